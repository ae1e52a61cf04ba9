"""The page and the reference in a real browser: Debian's Chromium, headless, driven by Playwright."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser

DROP = """([name, type, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type }));
  const event = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  document.getElementById("stage").dispatchEvent(event);
}"""
PASTE = """([name, type, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type }));
  dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
}"""


def as_argument(picture: bytes, name: str = "seven.png", kind: str = "image/png") -> list[str]:
    import base64

    return [name, kind, base64.b64encode(picture).decode()]


def scores(page) -> list[tuple[str, float]]:
    rows = page.locator("#bars .class")
    rows.first.wait_for()
    return [
        (row.locator(".name").inner_text(), float(row.locator(".value").inner_text().rstrip("%")) / 100)
        for row in rows.all()
    ]


def test_drop_a_picture_and_see_its_classes_and_the_heat_map(opened, service, digit):
    expected = service.predict(digit).json()
    with opened(service.url) as page:
        page.locator("#card h1").wait_for(state="attached")
        assert page.locator("#health").inner_text() == "Ready"
        page.evaluate(DROP, as_argument(digit))
        got = scores(page)
        assert [label for label, _ in got] == [one["label"] for one in expected]
        assert [score for _, score in got] == pytest.approx([one["score"] for one in expected], abs=6e-4)
        assert page.locator("#best-label").inner_text() == expected[0]["label"]
        widths = [row.bounding_box()["width"] for row in page.locator("#bars .fill").all()]
        assert widths == sorted(widths, reverse=True)
        heat = page.locator("#heat")
        heat.wait_for(state="visible")
        assert heat.evaluate("image => image.naturalWidth") == 256
        shown, under = heat.bounding_box(), page.locator("#picture").bounding_box()
        assert shown == pytest.approx(under)
        page.locator("#opacity").fill("30")
        assert heat.evaluate("image => image.style.opacity") == "0.3"
        page.locator("#heat-on").uncheck()
        heat.wait_for(state="hidden")


def test_choose_another_class_to_explain_with_the_keyboard(opened, service, digit):
    with opened(service.url) as page:
        page.locator("#file").set_input_files({"name": "seven.png", "mimeType": "image/png", "buffer": digit})
        scores(page)
        heat = page.locator("#heat")
        heat.wait_for(state="visible")
        first = heat.get_attribute("src")
        row = page.locator("#bars button").nth(1)
        row.focus()
        page.keyboard.press("Enter")
        page.locator(f'#heat:not([src="{first}"])').wait_for()
        assert row.get_attribute("aria-pressed") == "true"
        assert row.locator(".name").inner_text() in heat.get_attribute("alt")


def test_paste_and_examples(opened, service, digit, digits):
    with opened(service.url) as page:
        page.locator("#example-list button").first.wait_for()
        page.evaluate(PASTE, as_argument(digits[3]))
        assert scores(page)[0][0] == service.predict(digits[3]).json()[0]["label"]
        example = service.client.get("/v1/models/digits/examples/1").content
        page.locator("#example-list button").nth(1).click()
        page.locator("#example-list button[aria-pressed=true]").wait_for()
        assert scores(page)[0][0] == service.predict(example).json()[0]["label"]


def test_what_goes_wrong_is_shown_and_the_next_picture_works(opened, service, digit):
    with opened(service.url, expected="422") as page:
        page.locator("#card h1").wait_for(state="attached")
        page.evaluate(DROP, as_argument(b"no picture at all", "notes.txt", "text/plain"))
        failure = page.locator("#failure")
        failure.wait_for(state="visible")
        assert "not a picture in a known format" in failure.inner_text()
        assert page.locator("#summary").is_hidden()
        page.evaluate(DROP, as_argument(bytes(300_001), "large.png"))
        page.locator("#failure", has_text="300,001").wait_for()
        page.evaluate(DROP, as_argument(digit))
        assert len(scores(page)) == 5
        assert failure.is_hidden()


HELD_BACK = """() => {
  // The bodies of explanations arrive once they are let go, or never where the request was given up.
  window.waiting = [];
  const plain = window.fetch;
  window.fetch = async (path, options) => {
    const answer = await plain(path, options);
    if (!String(path).includes("label=")) return answer;
    const whole = await answer.arrayBuffer();
    const { status, headers } = answer;
    const held = new ReadableStream({
      start(body) {
        window.waiting.push(() => { body.enqueue(new Uint8Array(whole)); body.close(); });
        options.signal.addEventListener("abort", () => body.error(options.signal.reason));
      },
    });
    return new Response(held, { status, headers });
  };
}"""

# Not wait_for_function: the page's policy forbids what that does.
COMES = """(count) => new Promise((resolve) => {
  const look = () => (window.waiting.length === count ? resolve() : requestAnimationFrame(look));
  look();
})"""


def test_an_explanation_given_up_while_it_arrives_hides_nothing(opened, service, digit):
    with opened(service.url) as page:
        page.locator("#card h1").wait_for(state="attached")
        page.evaluate(DROP, as_argument(digit))
        scores(page)
        page.locator("#heat").wait_for(state="visible")
        page.evaluate(HELD_BACK)
        rows = page.locator("#bars button")
        rows.nth(1).click()
        page.evaluate(COMES, 1)
        rows.nth(2).click()
        page.evaluate(COMES, 2)
        page.evaluate("window.waiting[1]()")
        label = rows.nth(2).locator(".name").inner_text()
        page.locator(f'#heat[alt$="{label} lies"]').wait_for()
        assert page.locator("#result").is_visible()
        assert page.locator("#failure").is_hidden()


def test_an_answer_that_is_not_json_is_reported_and_the_next_explanation_shows_the_classes(opened, service, digit):
    with opened(service.url) as page:
        page.locator("#card h1").wait_for(state="attached")
        page.evaluate(DROP, as_argument(digit))
        scores(page)
        page.locator("#heat").wait_for(state="visible")
        page.route(
            "**/predict?*label=*", lambda route: route.fulfill(status=200, body="<html>", content_type="text/html")
        )
        first, second = (page.locator("#bars button").nth(place) for place in (1, 2))
        first.click()
        page.locator("#failure", has_text="answered 200, not JSON").wait_for()
        page.unroute("**/predict?*label=*")
        second.dispatch_event("click")
        page.locator("#failure").wait_for(state="hidden")
        assert page.locator("#result").is_visible()


def test_the_command_is_copied(opened, service, digit):
    with opened(service.url) as page:
        page.locator("#card h1").wait_for(state="attached")
        page.evaluate(DROP, as_argument(digit, "my 7's.png"))
        scores(page)
        page.locator("#copy").click()
        page.locator("#copy", has_text="Copied").wait_for()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == f"curl -F 'file=@my 7'\\''s.png' {service.url}/v1/models/digits/predict"
        assert copied == page.locator("#curl").inner_text()


def test_a_model_is_chosen_and_stays_in_the_address(opened, serving, exported_bundle, tmp_path, digit):
    second = tmp_path / "second"
    shutil.copytree(exported_bundle, second)
    with serving(exported_bundle, f"second={second}") as service, opened(service.url) as page:
        page.locator("#picker").wait_for()
        page.evaluate(DROP, as_argument(digit))
        scores(page)
        page.locator("#models").select_option("second")
        page.locator("#curl", has_text="/second/").wait_for()
        page.reload()
        page.locator("#facts", has_text="second").wait_for()


def test_facts_that_come_late_do_not_replace_those_of_the_model_chosen_since(
    opened, serving, exported_bundle, tmp_path, digit
):
    second = tmp_path / "second"
    shutil.copytree(exported_bundle, second)
    with serving(exported_bundle, f"second={second}") as service, opened(service.url) as page:
        page.locator("#picker").wait_for()
        held = []
        page.route("**/v1/models/second", lambda route: held.append(route))
        with page.expect_request("**/v1/models/second"):
            page.locator("#models").select_option("second")
        with page.expect_response("**/v1/models/digits"):
            page.locator("#models").select_option("digits")
        with page.expect_response("**/v1/models/second"):
            held[0].continue_()
        page.evaluate(DROP, as_argument(digit))
        with page.expect_request("**/predict*") as asked:
            page.evaluate(DROP, as_argument(digit))
        assert "/v1/models/digits/predict" in asked.value.url
        assert "second" not in page.locator("#facts").inner_text()


def test_a_picture_that_comes_before_the_model_is_known_is_answered_once_it_is(opened, service, digit):
    with opened(service.url) as page:
        page.locator("#card h1").wait_for(state="attached")  # so that the first load asks for nothing more
        held = []
        page.route("**/v1/models/*", lambda route: held.append(route))
        with page.expect_request("**/v1/models/*"):
            page.reload(wait_until="commit")
        page.evaluate(DROP, as_argument(digit))
        page.locator("#shown").wait_for()
        held[0].continue_()
        assert scores(page)


@pytest.mark.parametrize("path", ["/", "/docs"])
@pytest.mark.parametrize("width", [320, 390, 820, 1280])
def test_nothing_stands_out_of_the_window_at_any_width(opened, service, path, width):
    with opened(service.url, path, viewport={"width": width, "height": 800}) as page:
        page.locator("#card h1" if path == "/" else ".shape").first.wait_for(state="attached")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_model_card_waits_until_somebody_opens_it(opened, service):
    with opened(service.url) as page:
        page.locator("#card h1").wait_for(state="attached")
        assert not page.locator("#card").is_visible()
        page.locator("#card-details summary").click()
        assert page.locator("#card h1").is_visible()


def test_dark_and_light(opened, service, tmp_path):
    lightness = {}
    for scheme in ("light", "dark"):
        with opened(service.url, color_scheme=scheme) as page:
            page.locator("#card h1").wait_for(state="attached")
            file: Path = tmp_path / f"{scheme}.png"
            page.screenshot(path=file)
            lightness[scheme] = float(np.asarray(Image.open(file).convert("L")).mean())
    assert lightness["light"] > 200
    assert lightness["dark"] < 60


def test_the_reference_draws_every_route_offline(opened, service):
    with opened(service.url, "/docs") as page:
        page.locator(".shape").first.wait_for()
        paths = page.locator("summary .path").all_inner_texts()
        assert set(paths) == set(service.client.get("/openapi.json").json()["paths"])
        assert page.locator("#failure").is_hidden()
        assert "/v1/models/digits/predict" in page.locator("details[open] pre").first.inner_text()


def test_a_service_that_has_gone_is_reported(opened, serving, exported_bundle, digit):
    with serving(exported_bundle) as service, opened(service.url, expected="ERR_CONNECTION_REFUSED") as page:
        page.locator("#card h1").wait_for(state="attached")
        service.process.kill()
        service.end()
        page.evaluate(DROP, as_argument(digit))
        page.locator("#failure").wait_for(state="visible")
        assert "does not answer" in page.locator("#failure").inner_text()
