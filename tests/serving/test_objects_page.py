"""The page's view of boxes in a real browser: what it shows is the service's answer, without asking again."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coloured_boxes import png, scene

pytestmark = pytest.mark.browser

PICTURE = png(
    scene((40, 30, 260, 200, 0, 240), (300, 40, 420, 120, 1, 120), (300, 150, 420, 230, 2, 50), size=(480, 260))
)
DRAWN = """([x, y]) => {
  const canvas = document.getElementById("boxes");
  const scale = canvas.width / document.getElementById("picture").naturalWidth;
  const copy = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, -Math.round(x * scale), -Math.round(y * scale));
  return [...copy.getImageData(0, 0, 1, 1).data];
}"""
"""A pixel of the drawing, at a place in pixels of the picture."""
FRAMES = "() => ['picture', 'boxes'].map((id) => document.getElementById(id).getBoundingClientRect().toJSON())"


@pytest.fixture(scope="module")
def colours(serving, coloured_bundle):
    with serving(coloured_bundle, "--max-tiles", "12") as running:
        yield running


def answer(colours, **options) -> list[dict]:
    return colours.predict(PICTURE, model="colours", **options).json()


def send(page, picture: bytes = PICTURE) -> None:
    page.locator("#card h1").wait_for(state="attached")
    with page.expect_response("**/predict*"):
        page.locator("#file").set_input_files({"name": "my scene.png", "mimeType": "image/png", "buffer": picture})
    page.locator("#objects").wait_for()


def listed(page) -> list[tuple[str, str]]:
    rows = page.locator("#object-list button")
    return list(zip(rows.locator(".name").all_inner_texts(), rows.locator(".value").all_inner_texts(), strict=True))


def rows_of(found: list[dict]) -> list[tuple[str, str]]:
    return [(one["label"], f"{one['score']:.0%}") for one in found]


def test_the_sliders_and_boxes_show_the_services_answer_and_ask_nothing(opened, colours):
    with opened(colours.url) as page:
        send(page)
        assert listed(page) == rows_of(answer(colours))
        assert page.locator("#count-shown").inner_text() == "4 objects"
        assert page.locator("#threshold-shown").inner_text() == "per class"
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        for threshold in (5, 38, 40, 76, 100):
            page.locator("#threshold").fill(str(threshold))
            assert listed(page) == rows_of(answer(colours, threshold=threshold / 100)), threshold
        page.locator("#threshold").fill("5")
        page.locator("#filter input[value=red]").uncheck()
        expected = [one for one in answer(colours, threshold=0.05) if one["label"] != "red"]
        assert listed(page) == rows_of(expected)
        assert page.locator("#filter label").all_text_contents() == ["red2", "green2", "blue2"]
        assert page.locator("#boxes").get_attribute("aria-label") == "4 objects drawn over the picture: 2 green, 2 blue"
        with page.expect_download() as saved:
            page.locator("#save-json").click()
        assert saved.value.suggested_filename == "my scene.json"
        assert json.loads(Path(saved.value.path()).read_text(encoding="utf-8")) == expected
        page.locator("#calibrated").click()
        assert listed(page) == rows_of([one for one in answer(colours) if one["label"] != "red"])
        assert [url for url in asked if not url.startswith("blob:")] == []
        with page.expect_request("**/predict*iou=0.4*"):
            page.get_by_label("Largest IoU").fill("0.4")
            page.get_by_label("Largest IoU").press("Tab")
        page.locator("#count-shown", has_text="1 object").wait_for()
        assert listed(page) == [("green", "47%")], "the filter stays"


def test_an_option_that_the_service_refuses_can_be_changed(opened, colours):
    with opened(colours.url, expected="status of 400") as page:
        send(page)
        tiles = page.get_by_label("Tiles")
        tiles.fill("32")
        tiles.press("Tab")
        page.locator("#failure", has_text="at most 12 tiles").wait_for()
        assert page.locator("#object-list button").count() == 0
        assert page.locator("#boxes").is_hidden()
        with page.expect_request("**/predict*tiles=200*"):
            tiles.fill("200")
            tiles.press("Tab")
        page.locator("#objects").wait_for()
        assert page.locator("#failure").is_hidden()
        assert listed(page) == rows_of(answer(colours, tiles=200))


def test_a_picture_that_the_browser_cannot_show_is_answered(opened, colours):
    file = io.BytesIO()
    Image.open(io.BytesIO(PICTURE)).save(file, "TIFF")
    with opened(colours.url) as page:
        send(page, file.getvalue())
        page.locator("#no-preview").wait_for()
        assert listed(page) == rows_of(answer(colours))
        assert page.locator("#save-json").is_visible()
        assert page.locator("#save-picture").is_hidden()
        send(page)
        page.locator("#save-picture").wait_for()


def test_boxes_are_drawn_in_their_colours_where_they_are(opened, colours):
    left, top, right, bottom = answer(colours)[0]["box"].values()
    with opened(colours.url, viewport={"width": 1280, "height": 900}) as page:
        send(page)
        red = [19, 106, 217, 255]  # hsl(215 85% 46%): the colour of the first class
        drawn = page.evaluate(DRAWN, [(left + right) / 2 + 40, bottom])
        assert drawn == pytest.approx(red, abs=12)
        assert page.evaluate(DRAWN, [right, (top + bottom) / 2]) == pytest.approx(red, abs=12)
        assert page.evaluate(DRAWN, [(left + right) / 2 + 40, (top + bottom) / 2])[3] == 0, "inside nothing is drawn"
        with page.expect_download() as saved:
            page.locator("#save-picture").click()
        assert saved.value.suggested_filename == "my scene-drawn.png"
        picture = np.asarray(Image.open(io.BytesIO(Path(saved.value.path()).read_bytes())).convert("RGB"))
        assert picture.shape == (260, 480, 3)
        assert picture[100, 240].tolist() == [240, 0, 0]
        assert picture[round((top + bottom) / 2), round(right)].tolist() == pytest.approx(red[:3], abs=12)


def test_a_box_and_its_row_are_shown_together_by_pointer_and_keyboard(opened, colours):
    with opened(colours.url) as page:
        send(page)
        frame, green = page.locator("#picture").bounding_box(), answer(colours)[2]["box"]
        scale = frame["width"] / 480
        place = {"x": (green["xmax"] - 5) * scale, "y": (green["ymax"] - 5) * scale}
        page.locator("#boxes").hover(position=place)
        assert page.locator("#object-list .active .name").all_inner_texts() == ["green"]
        page.mouse.move(0, 0)
        assert page.locator("#object-list .active").count() == 0
        bright = page.evaluate(DRAWN, [38, 120])
        page.locator("#object-list button").first.focus()
        for _ in range(2):
            page.keyboard.press("ArrowDown")
        assert page.locator("#object-list button:focus .value").inner_text() == "47%"
        assert page.evaluate(DRAWN, [38, 120])[3] < bright[3], "the others turn pale"


@pytest.mark.parametrize("width", [320, 390])
def test_it_fits_a_phone_and_says_when_there_is_nothing(opened, colours, width):
    with opened(colours.url, viewport={"width": width, "height": 800}) as page:
        send(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        picture, canvas = page.evaluate(FRAMES)
        assert canvas == pytest.approx(picture, abs=1)
        send(page, png(scene()))
        page.locator("#count-shown", has_text="No object").wait_for()
        assert page.locator("#object-list button").count() == 0
        assert page.locator("#boxes").is_hidden()
