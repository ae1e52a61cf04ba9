"""docs/algorithms.md: its symbols have names that the code has, and its figures can be drawn again."""

import ast
import importlib.util
import re

import pytest

from doc_pages import DOCS

PAGE = DOCS / "algorithms.md"
_TABLE = re.compile(r"^Names in \[`[\w/.]+`\]\(\.\./([\w/.]+)\).*:\n\n((?:\|.*\n)+)", re.MULTILINE)
_CODE = re.compile(r"`([\w.]+)`")
_NAME = re.compile(r"\w+")


def identifiers(path):
    """Return every name, attribute, argument and keyword of a file."""
    fields = ("id", "attr", "arg", "name")
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return {getattr(node, field) for node in nodes for field in fields if isinstance(getattr(node, field, None), str)}


def test_the_names_of_symbols_are_in_their_files():
    text = PAGE.read_text(encoding="utf-8")
    tables = _TABLE.findall(text)
    assert len(tables) == text.count("| symbol | meaning | name |") == 13
    for path, rows in tables:
        cells = [row.rsplit("|", 2)[1] for row in rows.splitlines()[2:]]
        names = {part for cell in cells for name in _CODE.findall(cell) for part in _NAME.findall(name)}
        assert len(names) > 3
        assert names <= identifiers(DOCS.parent / path), path


@pytest.fixture(scope="module")
def figures():
    spec = importlib.util.spec_from_file_location("figures", DOCS / "figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.SCENES, module.EPOCHS = 60, 1  # enough to see that they are drawn
    return module


def test_every_figure_is_drawn_again(figures, tmp_path):
    for name, draw in figures.FIGURES.items():
        path = f"algorithm-{name}.png"
        figures.save(draw(), tmp_path / path)
        assert f"](images/{path})" in PAGE.read_text(encoding="utf-8")
        for picture in (tmp_path / path, DOCS / "images" / path):
            assert 2_000 < picture.stat().st_size < 60_000
    assert {path.stem for path in (DOCS / "images").glob("algorithm-*")} == {
        f"algorithm-{name}" for name in figures.FIGURES
    }
