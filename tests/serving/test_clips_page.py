"""The page's view of a video in a real browser: what it shows is the service's answer, over time too."""

import os
import re
import signal

import pytest

from moving_clips import NAMES, SECONDS
from processes import clip_processes

pytestmark = pytest.mark.browser

BARS = """() => [...document.querySelectorAll("#track-list li")].map((track) => [
  track.querySelector(".name").textContent,
  [...track.querySelectorAll(".parts i")].map((bar) => bar.title),
])"""


@pytest.fixture(scope="module")
def moves(serving, moves_bundle, exported_bundle):
    with serving(moves_bundle, exported_bundle, "--examples") as running:
        yield running


def choose(page, content: bytes, name: str = "my moves.mp4") -> None:
    page.locator("#card h1").wait_for(state="attached")
    with page.expect_response("**/predict*"):
        page.locator("#file").set_input_files({"name": name, "mimeType": "video/mp4", "buffer": content})


def shown_titles(answers: dict[tuple[float, float], list[dict]], name: str) -> list[str]:
    """Return the words of a class's bars, of answers by their part."""
    shares = [(part, one["score"]) for part, answer in answers.items() for one in answer if one["label"] == name]
    return [f"{name} {share:.0%}, {start:g} s to {end:g} s" for (start, end), share in shares]


def test_a_video_is_shown_with_its_answer_and_those_of_its_parts(opened, moves, video):
    with opened(moves.url) as page:
        page.locator("#title", has_text="What happens in the video?").wait_for()
        assert page.locator("#drop-title").inner_text() == "Drop a video here"
        assert page.locator("#file").get_attribute("accept").startswith("video/*")
        choose(page, video)
        page.locator("#timeline-state", has_text="9 parts of 1 s").wait_for()
        asked = []
        page.on("request", lambda request: asked.append(request.url) if "/predict" in request.url else None)
        page.locator("#part").fill(f"{2 * SECONDS}")
        page.locator("#part").press("Tab")
        page.locator("#timeline-state", has_text="5 parts of 1.6 s").wait_for()
        assert [re.search(r"part=([\d.]+)&every=([\d.]+)", url).groups() for url in asked] == [("1.6", "0.8")]
        parts = [(round(SECONDS * index, 1), round(SECONDS * (index + 2), 1)) for index in range(5)]
        answers = {
            (start, end): moves.client.post(
                f"/v1/models/moves/predict?start={start}&end={end}", files={"file": video}
            ).json()
            for start, end in parts
        }
        assert page.evaluate(BARS) == [[name, shown_titles(answers, name)] for name in NAMES]
        whole = moves.client.post("/v1/models/moves/predict", files={"file": video}).json()
        assert page.locator("#best-label").inner_text() == whole[0]["label"]
        assert page.locator("#curl").inner_text().startswith("curl -F 'file=@my moves.mp4' ")


def test_a_time_is_sought_by_pointer_and_keyboard(opened, moves, video):
    with opened(moves.url) as page:
        choose(page, video)
        page.locator("#timeline-state", has_text="9 parts of 1 s").wait_for()
        frame = page.locator("#tracks").bounding_box()
        page.locator("#tracks").click(position={"x": frame["width"] * 0.75, "y": frame["height"] / 2})
        time = "() => document.getElementById('video').currentTime"
        assert page.evaluate(time) == pytest.approx(3.6, abs=0.05)
        page.locator("#tracks").press("Home")
        assert page.evaluate(time) == 0
        page.locator("#tracks").press("ArrowRight")
        assert page.evaluate(time) == pytest.approx(4.8 / 9, abs=0.01)
        page.wait_for_function("document.getElementById('tracks').getAttribute('aria-valuetext').startsWith('0.5 s: ')")
        head, tracks = page.locator("#playhead").bounding_box(), page.locator("#tracks").bounding_box()
        assert head["x"] + 1 - tracks["x"] == pytest.approx(tracks["width"] / 9, abs=2)


def test_the_parts_can_be_stopped(opened, moves, video):
    with opened(moves.url) as page:
        choose(page, video)
        page.locator("#timeline-state", has_text="9 parts of 1 s").wait_for()
        stopped = clip_processes(moves.process.pid)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        page.locator("#part").fill("1.6")
        page.locator("#part").press("Tab")
        page.locator("#timeline-state", has_text="0 of 5 parts answered").wait_for()
        page.locator("#timeline-stop").click()
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        assert page.locator("#timeline-state").inner_text() == "Stopped after 0 of 5 parts"
        assert page.locator("#timeline-stop").is_hidden()
        page.locator("#part").fill("2.4")
        page.locator("#part").press("Tab")
        page.locator("#timeline-state", has_text="3 parts of 2.4 s").wait_for()


def test_parts_that_fail_are_told(opened, moves, video):
    line = '{"start": %s, "end": %s, "error": "this part is damaged."}\n'
    with opened(moves.url) as page:
        page.route("**/predict*part=*", lambda route: route.fulfill(body=line % (0, 2.4) + line % (2.4, 4.8)))
        choose(page, video)
        page.locator("#timeline-state", has_text="2 of 2 parts failed: this part is damaged.").wait_for()
        assert page.locator("#timeline-stop").is_hidden()
        assert page.locator(".parts i").count() == 0


def test_an_example_is_shown_and_answered(opened, moves):
    with opened(moves.url) as page:
        page.locator("#example-list button").nth(1).click()
        page.locator("#best-label", has_text=NAMES[1]).wait_for()
        page.wait_for_function("document.getElementById('video').duration > 0.7")
        page.locator("#timeline-state", has_text="One part of 0.8 s").wait_for()
        page.locator("#example-list button[aria-pressed=true]").wait_for()


def test_what_cannot_be_answered_is_told_and_the_next_video_is_shown(opened, moves, video, digit):
    with opened(moves.url, expected="422 (Unprocessable") as page:
        choose(page, digit, "digit.png")
        page.locator("#failure", has_text="a picture, not a video").wait_for()
        page.locator("#no-preview").wait_for()
        assert page.locator("#timeline").is_hidden()
        choose(page, video)
        page.locator("#timeline-state", has_text="9 parts of 1 s").wait_for()
        assert page.locator("#failure").is_hidden()
        assert page.locator("#no-preview").is_hidden()


def test_another_model_takes_its_own_files(opened, moves, video, digit):
    with opened(moves.url) as page:
        choose(page, video)
        page.locator("#timeline-state", has_text="9 parts of 1 s").wait_for()
        page.locator("#models").select_option("digits")
        page.locator("#drop-title", has_text="Drop a picture here").wait_for()
        assert [page.locator(f"#{name}").is_hidden() for name in ("shown", "timeline", "result")] == [True] * 3
        assert page.locator("#limits").inner_text().startswith("JPEG, PNG")
        with page.expect_response("**/digits/predict*"):
            page.locator("#file").set_input_files({"name": "7.png", "mimeType": "image/png", "buffer": digit})
        page.locator("#picture").wait_for()
        assert page.locator("#video").is_hidden()


@pytest.mark.parametrize("width", [320, 390])
def test_it_fits_a_phone(opened, moves, video, width):
    with opened(moves.url, viewport={"width": width, "height": 800}) as page:
        choose(page, video)
        page.locator("#timeline-state", has_text="9 parts of 1 s").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("#video").bounding_box()["width"] > 0.7 * width
        assert page.locator(".parts i").count() == 18
