"""The words of an evaluation of clips: nothing of it speaks of pictures, and a card shows four frames of its clip."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import patch_bundle
from patch_bundle import COLOURS, PATCH, SIDE, patch_picture
from sightsmith.bundle.card import model_card
from sightsmith.evaluation import record
from sightsmith.evaluation.compare import compare
from sightsmith.evaluation.evaluate import evaluate
from sightsmith.evaluation.record import Evaluation
from sightsmith.evaluation.settings import EvaluateSettings
from sightsmith.runtime.predictor import Predictor

_HIDDEN = re.compile(r"<style>.*?</style>|<script>.*?</script>|data:[^\"]*", re.DOTALL)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Return a folder of clips as frames, by class; one of green says that it is red, and one has a damaged frame."""
    folder, rng = tmp_path_factory.mktemp("clips"), np.random.default_rng(0)
    for target, label in enumerate((*COLOURS, "none")):
        for number in range(3):
            shown = 1 if (label, number) == ("red", 0) else target
            place = folder / label / str(number)
            place.mkdir(parents=True)
            for frame in range(4):
                picture = patch_picture(rng, shown, 2 + 5 * frame, (SIDE - PATCH) // 2)
                Image.fromarray(picture).save(place / f"{frame}.png")
    broken = folder / "none" / "2" / "1.png"
    broken.write_bytes(broken.read_bytes()[:60])
    return folder


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    noise = np.random.default_rng(0).integers(0, 255, (4, SIDE, SIDE, 3), dtype=np.uint8)
    bundle = patch_bundle.write_clip_bundle(tmp_path_factory.mktemp("bundle") / "patches", [noise, noise[::-1]])
    return Predictor.open(bundle, backend="torch", precision="fp32")


@pytest.fixture(scope="module")
def done(predictor, clips, tmp_path_factory):
    page = tmp_path_factory.mktemp("report") / "index.html"
    return evaluate(predictor, EvaluateSettings(data=clips, format="clips", report=page), quiet=True)


def test_the_report_and_the_texts_speak_of_clips(done) -> None:
    page = _HIDDEN.sub("", done.report.read_text(encoding="utf-8"))
    assert "of 11 clips; with other clips of the same kind" in page
    assert "<h2>Clips left out</h2>" in page
    assert "heat maps" not in page
    for text in (page, done.to_text(), repr(done), done._repr_html_()):
        assert "clips" in text
        assert "picture" not in text.lower()


def test_a_card_shows_the_sheet_of_four_frames(done) -> None:
    page = done.report.read_text(encoding="utf-8")
    wrong = re.search(r'src="data:image/[a-z]+;base64,([^"]+)" alt="clip: red/0"', page)
    with Image.open(io.BytesIO(base64.b64decode(wrong[1]))) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    high, wide = pixels.shape[0] // 2, pixels.shape[1] // 2
    green = pixels[..., 1] - pixels[..., [0, 2]].max(axis=2) > 60
    lefts = [np.flatnonzero(green[y : y + high, x : x + wide].any(axis=0))[0] for y in (0, high) for x in (0, wide)]
    assert lefts == sorted(set(lefts)), "the patch moves to the right from frame to frame"


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Return a table of parts of 10 videos; the first says that its part in red is green."""
    folder, rng = tmp_path_factory.mktemp("parts"), np.random.default_rng(0)
    table = ["path,label,start,end"]
    for video in range(10):
        place = folder / "site" / f"{video}.frames"
        place.mkdir(parents=True)
        for frame in range(16):  # 0.64 s: a class in each quarter
            picture = patch_picture(rng, frame // 4, 2 + 5 * (frame % 4), (SIDE - PATCH) // 2)
            Image.fromarray(picture).save(place / f"{frame}.png")
        labels = ["green" if video == 0 else "red", *patch_bundle.CLASSES[1:]]
        table += [
            f"site/{video}.frames,{label},{at * 0.16},{'' if at == 3 else (at + 1) * 0.16}"
            for at, label in enumerate(labels)
        ]
    (folder / "parts.csv").write_text("\n".join(table))
    return folder / "parts.csv"


@pytest.fixture(scope="module")
def along(predictor, parts, tmp_path_factory):
    report = tmp_path_factory.mktemp("along") / "index.html"
    return evaluate(predictor, EvaluateSettings(data=parts, report=report), quiet=True)


def test_parts_of_videos_are_drawn_along_them_the_worst_video_first(along) -> None:
    assert along.overall["accuracy"] == 39 / 40
    page = along.report.read_text(encoding="utf-8")
    section = page[page.index("Along the videos") :]
    section = section[: section.index("</section>")]
    assert "The 8 of 10 with the most mistakes are shown." in section
    told = re.findall(r"<title>([^<]+ right)</title>", section)
    assert told[0] == "0.frames: 3 of 4 clips right"
    assert len(told) == 8
    assert section.count('class="wrong"') == 2, "the mistake, and the words that name its colour"
    assert re.search(r"0 to 0.16 s: red [\d.]+%, is green", section)
    assert ">0.6 s</text>" in section, "the end of the last part is that of the video"


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_names_in_a_timeline_fit_into_their_fields(along, browser, width) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.set_content(along.report.read_text(encoding="utf-8"))
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    measured = """svg => [...svg.querySelectorAll("rect + text")].filter(text => text.style.pointerEvents)
      .map(text => [text, text.previousElementSibling].map(one => one.getBoundingClientRect().width))
      .filter(([words]) => words > 0)"""
    widths = page.locator("section", has_text="Along the videos").locator("svg").last.evaluate(measured)
    assert len(widths) == 8, "four classes, in the truth and in the answer"
    assert all(words < field for words, field in widths)
    page.close()


def test_an_evaluation_that_is_read_again_still_counts_clips(done, tmp_path) -> None:
    done.save(tmp_path)
    assert Evaluation.load(tmp_path).nouns == ("clip", "clips")


def test_the_model_card_speaks_of_clips(predictor) -> None:
    plan = {"spacing": {"value": None, "why": ""}, "frames": {"value": 5, "why": ""}}
    manifest = replace(predictor.manifest, training={"plan": plan}, data={"counts": {"train": 5}})
    card = model_card(manifest)
    assert "pip install 'sightsmith[video]'\nsightsmith predict patches clip.mp4\n" in card
    assert "| clips | 5 train |" in card
    assert "The clips in `witnesses/` come from the data" in card
    assert "| frames | 5 |" in card
    assert "None" not in card.replace("None were recorded", "")
    assert "picture" not in card.replace("contrast of each picture", "")


@pytest.fixture(scope="module")
def compared(done, tmp_path_factory):
    paths = []
    for name in ("one", "two"):
        texts = zip((record.JSON_NAME, record.TABLE_NAME), done.files(), strict=True)
        files = {f"{record.FOLDER}/{file}": text for file, text in texts}
        noise = np.zeros((1, SIDE, SIDE, 3), np.uint8)
        place = tmp_path_factory.mktemp("compared") / name
        paths.append(patch_bundle.write_clip_bundle(place, [noise, noise], files=files).path)
    return compare(paths)


def test_a_comparison_counts_clips(compared) -> None:
    assert "picture" not in compared.to_text() + _HIDDEN.sub("", compared.to_html())
    assert "clips/s" in compared.to_text()


@pytest.mark.browser
def test_a_comparison_of_two_fits_a_phone(compared, browser) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.set_content(compared.to_html())
    hidden = "boxes => boxes.map(box => box.scrollWidth - box.clientWidth)"
    assert page.locator(".scroll").evaluate_all(hidden) == [0, 0]
    page.close()
