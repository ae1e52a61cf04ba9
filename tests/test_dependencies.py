"""Every package that is imported stands in pyproject.toml, and every one that stands there is used."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "sightsmith"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BASE_ALONE = ("core", "inputs", "kinds", "bundle", "serving")
"""Packages that run in the base install."""
USED_BY_OTHERS = {"uvloop", "onnx", "onnxscript", "tensorboard", "mlflow-skinny", "scipy"}
"""uvicorn takes the first where it is there, torch.onnx the next two, Lightning's loggers two, transformers scipy."""
DISTRIBUTIONS = packages_distributions()


def declared(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


BASE = declared(PROJECT["dependencies"])
EXTRAS = {
    name: declared(listed) for name, listed in PROJECT["optional-dependencies"].items() if name not in {"dev", "docs"}
}
ALL = BASE.union(*EXTRAS.values())


def modules_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def imported(path: Path) -> set[str]:
    """Return the distributions that a file imports, the standard library and ours left out."""
    modules = {name.partition(".")[0] for name in modules_in(path)} - sys.stdlib_module_names - {"sightsmith"}
    return {canonicalize_name(DISTRIBUTIONS.get(module, [module])[0]) for module in modules}


def test_what_is_imported_is_declared():
    found = {path.name: imported(path) - ALL for path in SOURCE.rglob("*.py")}
    assert {name: missing for name, missing in found.items() if missing} == {}


def tried(path: Path) -> set[str]:
    """Return the distributions whose imports may fail: inside `try` with `except ImportError`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.Try) and "ImportError" in ast.dump(node)]
    return {
        canonicalize_name(DISTRIBUTIONS.get(one.module, [one.module])[0])
        for block in blocks
        for one in block.body
        if isinstance(one, ast.ImportFrom) and one.module
    }


def test_what_runs_in_the_base_install_needs_no_extra():
    found = {
        path.name: imported(path) - BASE - tried(path) for name in BASE_ALONE for path in (SOURCE / name).rglob("*.py")
    }
    assert {name: missing for name, missing in found.items() if missing} == {}


def test_what_is_declared_is_used():
    assert ALL - USED_BY_OTHERS - set().union(*map(imported, SOURCE.rglob("*.py"))) == set()
