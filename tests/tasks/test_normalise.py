"""Normalising by each picture: against the formula in plain loops, and what it keeps of the light."""

import math

import numpy as np
import pytest
import torch

from sightsmith.core.preprocessing import Preprocessing
from sightsmith.tasks.parts.normalise import Normalise

SPEC = Preprocessing(
    height=6, width=5, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), contrast="picture"
)  # not square, channels unlike
BY_PICTURE = Normalise(SPEC)


def pictures(count, low=0, high=256):
    return torch.from_numpy(np.random.default_rng(1).integers(low, high, (count, 6, 5, 3), dtype=np.uint8))


def test_it_is_the_formula() -> None:
    pixels_BHWC = pictures(2)
    got_BCHW = BY_PICTURE(pixels_BHWC)
    for picture, channel in ((0, 0), (0, 2), (1, 1)):
        values = [
            (pixels_BHWC[picture, y, x, channel].item() / 255 - SPEC.mean[channel]) / SPEC.std[channel]
            for y in range(6)
            for x in range(5)
        ]
        m = sum(values) / len(values)
        v = sum((value - m) ** 2 for value in values) / len(values)
        expected = [(value - m) / math.sqrt(v + 0.1**2) + 0.3 * m for value in values]
        assert np.allclose(got_BCHW[picture, channel].flatten(), expected, atol=1e-5)


def test_light_moves_the_level_a_little_and_the_contrast_hardly() -> None:
    pixels_BHWC = pictures(8, 80, 120)
    lit_BHWC = (pixels_BHWC.float() * torch.tensor([2.0, 1.5, 1.0]) + torch.tensor([10, 0, 40])).to(torch.uint8)
    by_data = Normalise(Preprocessing(height=6, width=5, mean=SPEC.mean, std=SPEC.std))
    moved, stretched = {}, {}
    for name, normalise in (("data", by_data), ("picture", BY_PICTURE)):
        images_BCHW, lit_BCHW = normalise(pixels_BHWC), normalise(lit_BHWC)
        moved[name] = (lit_BCHW - images_BCHW).mean(dim=(2, 3)).abs().max().item()
        stretched[name] = (lit_BCHW.std(dim=(2, 3)) / images_BCHW.std(dim=(2, 3))).max().item()
    assert moved["picture"] == pytest.approx(0.3 * moved["data"], rel=0.01)
    assert 1.9 < stretched["data"] < 2.1
    assert stretched["picture"] < 1.15


def test_the_level_is_not_lost_and_an_even_picture_is_no_error() -> None:
    dark, bright = (BY_PICTURE(torch.full((1, 6, 5, 3), value, dtype=torch.uint8)) for value in (20, 230))
    assert dark.isfinite().all()
    assert (bright - dark).min() > 0.5


def test_a_picture_does_not_depend_on_its_batch() -> None:
    pixels_BHWC = pictures(4)
    alone = torch.cat([BY_PICTURE(one) for one in pixels_BHWC.split(1)])
    assert torch.allclose(BY_PICTURE(pixels_BHWC), alone, atol=1e-6)
