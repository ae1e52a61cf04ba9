"""The pages on a phone, a tablet and a desk, in a real browser, with ten classes of long names."""

import os

import numpy as np
import pytest
from PIL import Image

from sightsmith.data.gate import check
from sightsmith.data.gate_page import gate_html
from sightsmith.data.source import open_source
from sightsmith.evaluation.compare import compare
from sightsmith.evaluation.evaluate import evaluate
from sightsmith.evaluation.settings import EvaluateSettings
from sightsmith.evaluation.timeline_page import timeline_html
from sightsmith.kinds.labels.value import Labels
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.stream_output import Ended
from sightsmith.runtime.streams import Arrival, Step
from sightsmith.runtime.timeline import Timeline
from small_bundle import digit_pictures, write_digits_bundle

pytestmark = pytest.mark.browser

NAMES = (
    *(f"Handwritten_figure_number_{number}_of_the_collection_Extraordinarily" for number in range(8)),
    "Pneumonoultramicroscopicsilicovolcanoconiosis",
    "a name of words",
)
WIDTHS = (390, 768, 1280)


@pytest.fixture(scope="module")
def pages(make, evaluated, tmp_path_factory) -> dict[str, str]:
    """Return the text of a report, a comparison, a data check and a timeline by name."""
    folder = tmp_path_factory.mktemp("narrow")
    pictures, targets = digit_pictures()
    for at in range(1397, 1597):
        place = folder / "data" / NAMES[targets[at]] / f"{at}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pictures[at]).save(place)
    name = "a_model_with_a_name_of_many_words_of_the_2026_collection"
    bundle = write_digits_bundle(folder / "bundle", steps=15, classes=NAMES, name=name, splits={})
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        evaluate(predictor, EvaluateSettings(data=folder / "data", report=folder / "page.html"), quiet=True)
        timeline = timeline_html(hours_of(predictor), predictor, "rtsp://a_camera_with_a_long_name.local/live/1")
    others = [make("smallcnn", name=f"{name}_{number}") for number in range(2)]
    for other in others:
        with Predictor.open(other, backend="torch", precision="fp32") as predictor:
            evaluate(predictor, quiet=True)
    source = open_source(folder / "data")
    return {
        "report": (folder / "page.html").read_text(encoding="utf-8"),
        "comparison": compare([evaluated[0].path, *(other.path for other in others)]).to_html(),
        "data check": gate_html(check(source, quiet=True), source),
        "timeline": timeline,
    }


def hours_of(predictor) -> Ended:
    """Return three hours of answers, which change every minute."""
    timeline = Timeline("labels")
    for time in range(0, 10_800, 10):
        scores_K = np.full(len(NAMES), 0.02, np.float32)
        scores_K[time // 60 % len(NAMES)] = 0.82
        timeline.add(Arrival(float(time), 0.0), Step(float(time), Labels(NAMES, scores_K)))
    return Ended(1080, 10_800.0, problem="lost", ranges=timeline.ranges(10_800.0))


@pytest.fixture
def shown(browser, pages):
    """Return a function that shows a page in a window of a width."""
    contexts = []

    def show(name: str, width: int):
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}))
        page = contexts[-1].new_page()
        page.set_content(pages[name])
        if os.environ.get("LOOKS"):
            page.screenshot(path=f"{os.environ['LOOKS']}/{name[:4]}-{width}.png", full_page=True)
        return page

    yield show
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", ["report", "comparison", "data check", "timeline"])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_scrolls_sideways_and_no_cell_is_cut(shown, name, width) -> None:
    page = shown(name, width)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    cut = """cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.textContent)"""
    assert page.locator("th, td").evaluate_all(cut) == []


@pytest.mark.parametrize("name", ["report", "comparison", "data check", "timeline"])
def test_names_break_only_between_their_words(shown, name) -> None:
    page = shown(name, 390)
    # the rectangles of a range over a word are as many as the lines it stands on
    broken = """() => {
      const found = [];
      const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walk.nextNode()) {
        if (!walk.currentNode.parentElement.closest("main") || walk.currentNode.parentElement.closest("svg")) continue;
        for (const word of walk.currentNode.data.matchAll(/[\\p{L}\\p{N}]+/gu)) {
          const range = new Range();
          range.setStart(walk.currentNode, word.index);
          range.setEnd(walk.currentNode, word.index + word[0].length);
          const lines = new Set([...range.getClientRects()].map(one => Math.round(one.top)));
          if (lines.size > 1 && word[0].length < 30) found.push(word[0]);
        }
      }
      return found;
    }"""
    assert page.evaluate(broken) == []


def test_the_matrix_of_ten_classes_is_legible_on_a_phone(shown) -> None:
    page = shown("report", 390)
    box = page.locator(".matrix")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX === 'auto'")
    heights = box.locator("text").evaluate_all("texts => texts.map(text => text.getBoundingClientRect().height)")
    assert min(heights) >= 9  # pixels
    assert box.locator("g rect").first.evaluate("cell => cell.getBoundingClientRect().width") >= 32
