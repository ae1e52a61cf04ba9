"""The colours of a map and how it lies over a picture."""

import numpy as np
from PIL import Image

from sightsmith.core.overlay import colours, overlay
from sightsmith.core.resampling import resample


def test_colours_grow_evenly_lighter():
    shown = colours(np.linspace(0, 1, 33)[None])[0].astype(float) / 255
    linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    light = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16
    steps = np.diff(light)
    assert steps.min() > 0
    assert steps.max() < 2 * steps.mean()


def test_values_outside_are_clipped():
    np.testing.assert_array_equal(colours(np.array([[-3.0, 7.0, np.nan]])), colours(np.array([[0.0, 1.0, 0.0]])))


def test_a_cold_place_shows_the_picture_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    heat = np.zeros((20, 30), np.float32)
    heat[:, 15:] = 1
    shown = np.asarray(overlay(picture, heat))
    np.testing.assert_array_equal(shown[:, :15], picture[:, :15])
    assert (shown[:, 15:] != picture[:, 15:]).any()
    np.testing.assert_array_equal(np.asarray(overlay(picture, heat, alpha=0)), picture)


def test_a_coarse_map_is_stretched():
    assert overlay(Image.new("L", (40, 30)), np.ones((3, 4), np.float32)).size == (40, 30)


def test_resampling_keeps_a_flat_map_flat_and_a_ramp_a_ramp():
    np.testing.assert_allclose(resample(np.full((4, 4), 2.0), (0, 0, 50, 30), (50, 30)), 2, atol=1e-5)
    ramp = np.tile(np.arange(10.0), (3, 1))
    row = resample(ramp, (0, 0, 100, 30), (100, 30))[15]
    np.testing.assert_allclose(row[20:80], (np.arange(20, 80) + 0.5) / 10 - 0.5, atol=1e-4)
    np.testing.assert_allclose(resample(ramp, (0, 0, 10, 3), (10, 3)), ramp, atol=1e-5)
