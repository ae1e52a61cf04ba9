"""From a picture to the pixels a net sees: geometry, channels, the frozen definition."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sightsmith.core.errors import SettingsError
from sightsmith.core.preprocessing import Preprocessing

GREY = {"colour": "grey", "mean": (0.5,), "std": (0.5,)}


def stripes(width, height):
    """Return a picture whose red says the column and whose green says the row, both 0…1."""
    rows, columns = np.mgrid[:height, :width]
    blue = np.zeros((height, width))
    return np.stack([255 * (columns + 0.5) / width, 255 * (rows + 0.5) / height, blue], -1).round().astype(np.uint8)


def shown(pixels):
    """Return which part of `stripes` the corners of the result show: (left, top, right, bottom) in 0…1."""
    return pixels[0, 0, 0] / 255, pixels[0, 0, 1] / 255, pixels[-1, -1, 0] / 255, pixels[-1, -1, 1] / 255


def test_a_picture_of_the_right_size_is_not_touched():
    picture = np.random.default_rng(0).integers(0, 256, (28, 28, 3), dtype=np.uint8)
    for resize in ("crop", "squash", "letterbox"):
        got = Preprocessing(height=28, width=28, resize=resize).apply(picture)
        assert got.dtype == np.uint8
        assert np.array_equal(got, picture)


def test_crop_fills_the_input_and_cuts_what_stands_out():
    got = Preprocessing(height=32, width=32, resize="crop").apply(stripes(400, 200))
    assert got.shape == (32, 32, 3)
    assert shown(got) == pytest.approx((0.25, 0, 0.75, 1), abs=0.03)


def test_crop_fraction_shows_the_middle():
    got = Preprocessing(height=32, width=32, crop_fraction=0.5).apply(stripes(200, 200))
    assert shown(got) == pytest.approx((0.25, 0.25, 0.75, 0.75), abs=0.03)


def test_squash_shows_all():
    got = Preprocessing(height=32, width=32, resize="squash").apply(stripes(400, 200))
    assert shown(got) == pytest.approx((0, 0, 1, 1), abs=0.03)


def test_letterbox_fits_and_pads():
    got = Preprocessing(height=32, width=32, resize="letterbox", fill=77).apply(stripes(400, 200))
    assert (got[:8] == 77).all()
    assert (got[24:] == 77).all()
    assert shown(got[8:24]) == pytest.approx((0, 0, 1, 1), abs=0.05)


@pytest.mark.parametrize("resize", ["crop", "squash", "letterbox"])
@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 7), (333, 77)])
def test_any_size_gives_the_input(resize, size):
    wide = Preprocessing(height=20, width=36, resize=resize)
    assert wide.apply(Image.new("RGB", size, (9, 9, 9))).shape == (20, 36, 3)
    grey = Preprocessing(height=36, width=20, resize=resize, **GREY)
    assert grey.apply(Image.new("RGB", size, (9, 9, 9))).shape == (36, 20, 1)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 512), st.integers(1, 512))
def test_boxes_have_the_inputs_aspect_and_lie_as_the_mode_says(width, height, out_width, out_height):
    for resize in ("crop", "letterbox"):
        left, top, right, bottom = Preprocessing(height=out_height, width=out_width, resize=resize).box(width, height)
        assert (right - left) * out_height == pytest.approx((bottom - top) * out_width)
        assert left + right == pytest.approx(width)
        assert top + bottom == pytest.approx(height)
        inside = left >= -1e-6 and top >= -1e-6
        around = left <= 1e-6 and top <= 1e-6
        assert inside if resize == "crop" else around


def test_grey_and_colour_convert():
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    grey = Preprocessing(height=8, width=8, **GREY).apply(red)
    assert grey.shape == (8, 8, 1)
    assert (grey == 76).all()
    colour = Preprocessing(height=8, width=8).apply(grey[..., 0])
    assert (colour == 76).all()
    assert colour.shape == (8, 8, 3)


def test_shrinking_is_antialiased():
    board = ((np.indices((256, 256)).sum(0) % 2) * 255).astype(np.uint8)
    for interpolation in ("bilinear", "bicubic"):
        got = Preprocessing(height=32, width=32, interpolation=interpolation, **GREY).apply(board)
        assert np.abs(got.astype(int) - 128).max() <= 3


def test_a_scaled_jpeg_gives_the_input_of_a_full_decode(shared_data, tmp_path):
    files = sorted(shared_data("imagenet500").glob("*.jpg"))[:12]
    spec = Preprocessing(height=224, width=224)
    for place, file in enumerate(files):
        large = Image.open(file).convert("RGB").resize((2400, 1800), Image.Resampling.BICUBIC)
        path = tmp_path / f"{place}.jpg"
        large.save(path, quality=92)
        with Image.open(path) as full:
            full.load()
            expected = spec.cut(full, spec.box(*full.size))
        assert np.abs(spec.apply(path).astype(int) - expected).mean() < 2


def test_json_round_trip_and_digest():
    spec = Preprocessing(height=64, width=96, resize="letterbox", interpolation="bicubic", fill=0, **GREY)
    back = Preprocessing.from_json(json.loads(json.dumps(spec.to_json())))
    assert back == spec
    assert back.digest() == spec.digest()
    assert Preprocessing(height=64, width=64).digest() != Preprocessing(height=64, width=65).digest()


def test_the_json_of_an_older_version_is_read_and_keeps_its_digest():
    spec = Preprocessing(height=64, width=64)
    assert "contrast" not in spec.to_json()
    assert Preprocessing.from_json(spec.to_json()).contrast == "data"
    by_picture = Preprocessing(height=64, width=64, contrast="picture")
    assert Preprocessing.from_json(json.loads(json.dumps(by_picture.to_json()))) == by_picture
    assert by_picture.digest() != spec.digest()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"height": 0}, "1…4096"),
        ({"width": 4097}, "1…4096"),
        ({"crop_fraction": 0.0}, "crop_fraction"),
        ({"mean": (0.5,)}, "mean and std"),
        ({"std": (0.1, 0.0, 0.1)}, "std must be > 0"),
    ],
)
def test_values_out_of_range_are_refused(change, message):
    with pytest.raises(SettingsError, match=message):
        Preprocessing(**({"height": 8, "width": 8} | change))


@pytest.mark.parametrize("change", [{"resize": "stretch"}, {"heigth": 3}, {"colour": "cmyk"}, {"contrast": "none"}])
def test_unknown_values_and_keys_of_json_are_refused(change):
    with pytest.raises(SettingsError):
        Preprocessing.from_json(Preprocessing(height=8, width=8).to_json() | change)
