"""The gate's page: self-contained, bounded, and safe with hostile names."""

import re

import numpy as np
import pytest
from PIL import Image

from sightsmith.core.records import Sample
from sightsmith.data.gate import check
from sightsmith.data.gate_page import gate_html
from sightsmith.data.scene_drawing import draw_scene
from sightsmith.data.source import SourceOptions, build_source, open_source
from sightsmith.kinds.boxes.truth import boxed


@pytest.fixture
def photos(tmp_path):
    """Return a folder with 30 copies of pictures, a damaged one and a hostile name."""
    rng = np.random.default_rng(0)
    for name in ("cat", "<script>alert(1)<∕script>"):
        (tmp_path / name).mkdir()
        for number in range(30):
            image = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
            image.save(tmp_path / name / f"{number}.png")
            image.save(tmp_path / name / f"{number} copy & 'more'.png")
    (tmp_path / "cat" / "cut.png").write_bytes((tmp_path / "cat" / "1.png").read_bytes()[:99])
    Image.new("RGB", (300, 200), (9, 99, 9)).save(tmp_path / "cat" / "large.jpg")
    return tmp_path


def test_the_page_shows_the_problems_with_their_pictures(photos):
    source = open_source(photos)
    page = gate_html(check(source, quiet=True), source)
    assert page.count("<figure>") == 12 * 2 + 1  # twelve pairs of the duplicates and the damaged one
    assert "and 48 more; --json names all" in page
    assert page.count("cannot be shown") == 1
    assert "cat/<wbr>cut.<wbr>png" in page


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(photos):
    source = open_source(photos)
    page = gate_html(check(source, quiet=True), source)
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)""", page)
    assert not re.findall(r"url\(|@import|https?://", page)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "default-src 'none'" in page


def test_the_page_of_clean_data_and_of_arrays():
    source = open_source("digits")
    page = gate_html(check(source, quiet=True), source)
    assert "Nothing: every picture can be read" in page
    assert "All pictures are 8×8." in page


def test_many_classes_are_bounded(tmp_path):
    for number in range(130):
        (tmp_path / f"class{number}").mkdir()
        for side in (20, 21):
            Image.new("L", (side, side), number).save(tmp_path / f"class{number}" / f"{side}.png")
    source = open_source(tmp_path)
    page = gate_html(check(source, quiet=True), source)
    assert "and 10 more classes" in page


def test_unreadable_data_still_has_a_page(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"no picture")
    source = open_source(tmp_path)
    page = gate_html(check(source, quiet=True), source)
    assert "No picture can be read." in page


@pytest.fixture
def cells():
    """Return a source with boxes: one annotated twice, one that is ignored, and a class with a hostile name."""
    rng = np.random.default_rng(0)
    rows = np.array([[4, 5, 20, 25], [22, 8, 38, 30], [4, 5, 20, 25.2], [1, 1, 9, 9]], dtype=np.float64)
    samples = []
    for number in range(20):
        count = 4 if number == 7 else 2 if number < 18 else 0
        ignored = np.arange(count) == 3
        truth = boxed(rows[:count], np.array([0, 1, 0, 1])[:count], (60, 40), ignored_N=ignored)
        picture = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
        samples.append(Sample(f"{number:02}.jpg", picture, truth))
    names, options = ("cell", "<script>x"), SourceOptions()
    return build_source(format="voc", location="x", names=names, samples=samples, options=options, kind="boxes")


def test_faulty_places_are_drawn_on_their_pictures(cells):
    page = gate_html(check(cells, quiet=True), cells)
    problem = page.partition("Warning · same-box")[2].partition("</section>")[0]
    assert problem.count('<svg class="scene" viewBox="0.0 0.0 60.0 40.0"') == 1
    assert problem.count('<g class="fault">') == 2
    assert problem.count('<g class="plain">') == 3
    assert problem.count('<g class="ignored">') == 1
    assert 'x="4.00" y="5.00" width="16.00" height="20.20"' in problem


def test_random_pictures_of_each_class_and_of_none_are_shown(cells):
    page = gate_html(check(cells, quiet=True), cells)
    samples = page.partition("<h2>Samples</h2>")[2].partition("<h2>Sizes</h2>")[0]
    assert samples.count("<figure") == 4 + 4 + 2
    assert "<h3>Without any</h3>" in samples
    assert samples.count('<g class="named"><title>cell</title>') >= 4
    assert "<script" not in page
    assert "<h2>Objects in a picture</h2>" in page


def test_a_place_beyond_the_picture_is_drawn_beyond_it():
    scene = draw_scene(Image.new("RGB", (30, 20)), (300, 200), [], [(250, 150, 350, 190), (9, 9, 9, 9)])
    assert scene.view == (0, 0, 350, 200)
    assert (scene.frames[1].width, scene.frames[1].left) == (6, 6)  # what has no size is drawn large enough to be seen
    far = draw_scene(Image.new("RGB", (30, 20)), (300, 200), [], [(-9000, 0, 9000, 9)])
    assert far.view == (-150, 0, 600, 200)
