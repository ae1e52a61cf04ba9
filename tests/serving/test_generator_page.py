"""The page's view of a generator in a real browser."""

import io

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser


@pytest.fixture
def page(opened, generator):
    with opened(generator.url, "/#vae", viewport={"width": 1100, "height": 900}) as shown:
        shown.locator("#card h1").wait_for(state="attached")
        yield shown


def make(page, **fields) -> list[str]:
    """Fill in the form, send it, and return the captions of the pictures."""
    for name, value in fields.items():
        page.locator(f"#{name}").select_option(value) if name == "label" else page.locator(f"#{name}").fill(value)
    with page.expect_response("**/generations"):
        page.locator("#ask button[type=submit]").click()
    page.locator("#gallery[aria-busy=false] li").first.wait_for()
    return page.locator("#gallery figcaption").all_inner_texts()


def test_a_gallery_of_a_class_and_a_seed_whose_pictures_are_saved(page, generator):
    assert page.locator("#bench").is_hidden()
    assert "makes 16×16 pictures from a seed" in page.locator("#facts").inner_text()
    captions = make(page, label="7", seed="42", count="3")
    assert [text.split() for text in captions] == [["7", "Save", "seed", "42", "·", "no.", str(at)] for at in range(3)]
    assert page.locator("#gallery img").nth(1).evaluate("image => image.naturalWidth") == 16
    with page.expect_download() as saved:
        page.locator("#gallery a").nth(1).click()
    assert saved.value.suggested_filename == "42-00001-7.png"
    fields = {"model": "vae", "prompt": "", "seed": 42, "index": 1, "label": "7"}
    (expected,) = generator.client.post("/v1/images/generations", json=fields).json()["data"]
    assert page.locator("#gallery a").nth(1).get_attribute("href").endswith(expected["b64_json"])
    assert '"n":3,"seed":42,"label":"7"' in page.locator("#curl").inner_text()


def test_all_pictures_are_saved(page):
    make(page, count="3")
    names = []
    page.on("download", lambda download: names.append(download.suggested_filename))
    with page.expect_event("download", lambda download: "00002" in download.suggested_filename):
        page.locator("#save-all").click()
    assert sorted(names) == ["1-00000-0.png", "1-00001-1.png", "1-00002-2.png"]


def test_the_dice_draw_another_seed(page):
    make(page)
    page.locator("#dice").click()
    page.locator("#made", has_not_text="of seed 1 in").wait_for()
    drawn = page.locator("#seed").input_value()
    assert drawn != "1"
    assert f"seed {drawn} ·" in page.locator("#gallery figcaption").first.inner_text()


def test_the_way_between_two_pictures_with_the_keyboard(page):
    make(page)
    assert page.locator("#between-shown").is_hidden()
    for place in (2, 5):
        page.locator("#gallery button").nth(place).focus()
        page.keyboard.press("Enter")
    page.locator("#between-caption", has_text="50 % · 5").wait_for()
    ends = [page.locator("#gallery img").nth(place).get_attribute("src") for place in (2, 5)]
    slider, middle = page.locator("#share"), page.locator("#between-middle")
    slider.focus()
    page.keyboard.press("Home")
    page.locator("#between-caption", has_text="0 % · 2").wait_for()
    start = shown(middle)
    page.keyboard.press("End")
    page.locator("#between-caption", has_text="100 % · 5").wait_for()
    for got, expected in ((start, ends[0]), (shown(middle), ends[1])):
        np.testing.assert_allclose(got, as_pixels(expected), atol=1)
    assert slider.get_attribute("aria-valuetext") == "100 % · 5"
    page.locator("#gallery button").nth(2).click()
    assert page.locator("#between-hint").inner_text() == "Choose one more picture above."


def as_pixels(address: str) -> np.ndarray:
    import base64

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))).astype(int)


def shown(image) -> np.ndarray:
    return as_pixels(image.get_attribute("src"))


def test_a_refusal_is_shown_and_the_next_pictures_too(opened, generator):
    with opened(generator.url, "/#vae", expected="503") as page:
        page.locator("#card h1").wait_for(state="attached")
        error = {"error": {"message": "the model is busy", "type": "server_error", "param": None, "code": None}}
        page.route("**/generations", lambda route: route.fulfill(status=503, json=error))
        page.locator("#ask button[type=submit]").click()
        page.locator("#generator-failure", has_text="the model is busy").wait_for()
        page.unroute("**/generations")
        assert len(make(page)) == 8
        assert page.locator("#generator-failure").is_hidden()


def test_a_picture_is_not_taken(page, digit):
    page.locator("#file").set_input_files({"name": "seven.png", "mimeType": "image/png", "buffer": digit})
    page.locator("#generator-failure", has_text="takes none").wait_for()
    assert len(make(page)) == 8


def test_from_the_generator_to_the_classifier_and_back(page, digit):
    page.locator("#models").select_option("digits")
    page.locator("#bench").wait_for()
    assert page.locator("#generator").is_hidden()
    page.locator("#file").set_input_files({"name": "seven.png", "mimeType": "image/png", "buffer": digit})
    page.locator("#bars .class").first.wait_for()
    page.locator("#models").select_option("vae")
    page.locator("#generator").wait_for()
    assert len(make(page)) == 8
    assert "/v1/images/generations" in page.locator("#curl").inner_text()


@pytest.mark.parametrize("width", [320, 400, 820, 1280])
def test_nothing_stands_out_of_the_window_at_any_width(opened, generator, width):
    with opened(generator.url, "/#vae", viewport={"width": width, "height": 800}) as page:
        page.locator("#card h1").wait_for(state="attached")
        make(page, seed="9007199254740991")
        for place in (0, 1):
            page.locator("#gallery button").nth(place).click()
        page.locator("#between-caption", has_text="50 %").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
