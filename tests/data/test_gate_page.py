"""The gate's page: self-contained, bounded, and safe with hostile names."""

import re

import numpy as np
import pytest
from PIL import Image

from sightsmith.data.gate import check
from sightsmith.data.gate_page import gate_html
from sightsmith.data.source import open_source


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
