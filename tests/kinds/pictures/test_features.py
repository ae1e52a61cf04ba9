"""The feature net in NumPy against torch's convolutions, and distances on its features against how pictures changed."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from sklearn.datasets import load_digits
from torch.nn import functional as F  # noqa: N812

from sightsmith.core.errors import PictureError
from sightsmith.kinds.pictures import features
from sightsmith.kinds.pictures.features import features_of, load_layers, resized
from sightsmith.kinds.pictures.frechet import fd


@pytest.fixture(scope="module")
def digits():
    """Return 500 digits as grey pictures (N, 16, 16, 1) and their classes, in random order."""
    drawn_N = np.random.default_rng(0).permutation(1797)[:500]
    images = (load_digits().images[drawn_N] * (255 / 16)).round().astype(np.uint8)
    large = [np.asarray(Image.fromarray(image).resize((16, 16), Image.Resampling.BICUBIC)) for image in images]
    return np.stack(large)[..., None], load_digits().target[drawn_N]


@pytest.fixture(scope="module")
def features_ND(digits):
    return features_of(digits[0])


def test_features_are_those_of_torch(digits):
    pictures = [*digits[0][:5], np.random.default_rng(0).integers(0, 256, (40, 70, 3), np.uint8)]
    maps_NCHW = torch.from_numpy(np.stack([resized(one) for one in pictures])).permute(0, 3, 1, 2) / 127.5 - 1
    for (weights_KO, biases_O), stride in zip(load_layers(), features.STRIDES, strict=True):
        weights = torch.from_numpy(weights_KO).reshape(3, 3, -1, len(biases_O)).permute(3, 2, 0, 1)
        maps_NCHW = F.relu(F.conv2d(maps_NCHW, weights, torch.from_numpy(biases_O), stride, padding=1))
    expected_ND = maps_NCHW.mean(dim=(2, 3)).numpy()
    found_ND = features_of(iter(pictures), batch=4)
    assert found_ND.dtype == np.float32
    assert found_ND.shape == (6, features.DIMENSIONS)
    np.testing.assert_allclose(found_ND, expected_ND, rtol=1e-3, atol=1e-4)


def test_no_pictures_have_no_features():
    assert features_of([]).shape == (0, features.DIMENSIONS)


def test_a_grey_picture_is_one_of_three_equal_channels(digits):
    greys = digits[0][:3]
    np.testing.assert_allclose(features_of(greys), features_of(np.repeat(greys, 3, axis=3)), rtol=1e-5)


def test_the_weights_are_those_that_the_figures_name():
    assert hashlib.sha256(features.WEIGHTS.read_bytes()).hexdigest() == features.SHA256
    assert features.WEIGHTS.stat().st_size <= 700_000
    assert sum(weights.size + biases.size for weights, biases in load_layers()) <= 300_000


def noisy(pictures, sigma):
    noise = np.random.default_rng(1).normal(0, sigma, pictures.shape)
    return (pictures + noise).clip(0, 255).round().astype(np.uint8)


def blurred(pictures, radius):
    images = (Image.fromarray(one[:, :, 0]).filter(ImageFilter.GaussianBlur(radius)) for one in pictures)
    return [np.asarray(image)[..., None] for image in images]


def tinted(pictures, gain):
    return (pictures * np.array([gain, 1, 1 / gain])).clip(0, 255).round().astype(np.uint8)


@pytest.mark.parametrize(("change", "amounts"), [(noisy, (15, 30, 60)), (blurred, (0.5, 1, 2)), (tinted, (1.2, 1.5))])
def test_fd_rises_with_a_flaw(digits, features_ND, change, amounts):
    changed = (features_of(change(digits[0][250:], amount)) for amount in amounts)
    distances = [fd(features_ND[:250], made_ND) for made_ND in (features_ND[250:], *changed)]
    assert distances == sorted(distances)
    assert distances[-1] > 5 * distances[0]


def test_fd_rises_with_missing_classes(digits, features_ND):
    real_ND, made_ND, labels_N = features_ND[:250], features_ND[250:], digits[1][250:]
    distances = [fd(real_ND, made_ND[labels_N >= missing]) for missing in (0, 3, 6, 9)]
    assert distances == sorted(distances)
    assert distances[-1] > 3 * distances[0]


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((8, 8, 3)),
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_named(wrong):
    with pytest.raises(PictureError, match=r"picture 1: .* uint8 pixels of shape .* got \w+ of shape"):
        features_of([np.zeros((8, 8, 3), np.uint8), wrong])
