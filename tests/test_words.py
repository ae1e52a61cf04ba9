"""Only kinds, tasks, nets, sources and rules name a kind of answer: the machinery holds for every kind."""

import ast
import re
from pathlib import Path

import sightsmith
from sightsmith.kinds import KINDS

ROOT = Path(sightsmith.__file__).parent
FREE = ("kinds", "tasks", "nets", "data/sources", "data/rules", "bundle/schema1.py")
"""Where the words may stand; schema1.py reads what an earlier version wrote."""
EVERYDAY = {"number", "pictures", "tags"}
"""Kinds whose names are ordinary words: they count where a kind is imported or compared, not as any variable."""
WORDS = {"classes", "accuracy", "class_map", *KINDS.names()} - EVERYDAY
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def spelt(file: Path, root: Path = ROOT) -> list[str]:
    """Return the identifiers and literals of a file that are one of the words; prose is free."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        found += [(node.lineno, word) for word in _words_of(node) if word in WORDS]
        found += [(node.lineno, word) for word in _named_kinds(node) if word in EVERYDAY]
    return [f"{file.relative_to(root)}:{line}: {word}" for line, word in sorted(set(found))]


def _words_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        return [node.attr]
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.keyword) and node.arg:
        return [node.arg]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.alias):
        return [*node.name.split("."), node.asname or ""]
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").split(".")
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _WORD.fullmatch(node.value):
        return [node.value]
    return []


def _named_kinds(node: ast.AST) -> list[str]:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [
            word for one in ast.walk(node) if isinstance(one, (ast.alias, ast.ImportFrom)) for word in _words_of(one)
        ]
    if isinstance(node, ast.Compare):
        return [str(one.value) for one in ast.walk(node) if isinstance(one, ast.Constant)]
    return []


def test_the_machinery_names_no_kind_of_answer():
    files = [file for file in ROOT.rglob("*.py") if not file.relative_to(ROOT).as_posix().startswith(FREE)]
    assert len(files) > 80
    assert [line for file in sorted(files) for line in spelt(file)] == []


def test_a_word_is_found_wherever_it_may_stand(tmp_path):
    text = (
        "import a.labels\ndef f(classes): return classes.accuracy(class_map=1)\nx = 'labels'\n'the classes, in prose'\n"
        "number = 'tags'\nnumber == 'tags'\nfrom kinds.number import tags\n"
    )
    (tmp_path / "a.py").write_text(text)
    assert [line.split(": ")[1] for line in spelt(tmp_path / "a.py", tmp_path)] == [
        "labels",
        "accuracy",
        "class_map",
        "classes",
        "labels",
        "tags",
        "number",
        "tags",
    ]
