"""Results in a notebook, in a real kernel: a short text, and a picture, table or report as HTML."""

import shutil

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

CELLS = """
import sightsmith as ss; model = ss.load("cats"); model
---
model.predict(PICTURE)
---
model.explain(PICTURE)
---
model.evaluate("test", quiet=True)
---
ss.check("photos", quiet=True)
---
ss.compare(["cats", "cats"])
---
model.evaluate("fewer", quiet=True)
"""


STARTS = (
    "<Model cats: smallcnn, 3 classes",
    "<Labels ",
    "<Explanation of ",
    "<Evaluation cats: accuracy ",
    "<GateReport photos: ",
    "<Comparison of cats, cats",
)


@pytest.fixture(scope="module")
def shown(tmp_path_factory, life):
    """Run the cells and return the last output of each."""
    folder = tmp_path_factory.mktemp("notebook")
    for name in ("cats", "photos"):
        shutil.copytree(life.home / name, folder / name)
    first, *_ = sorted((folder / "photos").iterdir())
    shutil.copytree(first, folder / "fewer" / first.name)
    picture = next(first.iterdir()).relative_to(folder)
    cells = CELLS.replace("PICTURE", repr(str(picture))).split("---")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": folder}}, allow_errors=True).execute()
    return [cell.outputs[-1] for cell in notebook.cells]


def test_results_have_a_short_text(shown):
    for output, start in zip(shown, STARTS, strict=False):
        assert output.data["text/plain"].startswith(start)
        assert len(output.data["text/plain"]) < 200


def test_results_are_drawn(shown):
    pages = [output.data["text/html"] for output in shown[: len(STARTS)]]
    assert "smallcnn" in pages[0]
    assert "background:#2f6fed;width:" in pages[1]
    assert '<img src="data:image/' in pages[2]
    assert "<th>accuracy</th><td>" in pages[3]
    assert pages[4].startswith("<pre>photos (folder): ")
    assert "<thead><tr><th></th><th>cats</th>" in pages[5]


def test_an_error_names_arguments_not_flags(shown):
    assert "or allow it: missing_ok=True." in shown[-1].evalue
    assert "--" not in shown[-1].evalue
