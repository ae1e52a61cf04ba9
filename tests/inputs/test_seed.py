"""Noise between two seeds, and the JSON of a seed."""

import json

import numpy as np
import pytest

from sightsmith.core.errors import SettingsError
from sightsmith.inputs import seed
from sightsmith.inputs.seed import Seed, between, noise

SETTINGS = seed.Settings(numbers=64, conditions=0, shape=(8, 8, 1))


def read(item) -> np.ndarray:
    return seed.feeds(item, SETTINGS)[seed.NOISE]


def test_the_ends_are_the_two_seeds_and_the_way_leads_from_one_to_the_other():
    shares = np.linspace(0, 1, 11)
    path = np.stack([read(Seed(seed=3, index=1, other_seed=9, other_index=2, share=share)) for share in shares])
    np.testing.assert_array_equal(path[0], noise(3, 1, 64))
    np.testing.assert_array_equal(path[-1], noise(9, 2, 64))
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    lengths = np.linalg.norm(path, axis=1)
    assert steps.max() < 1.3 * steps.min()
    assert lengths.min() >= min(lengths[0], lengths[-1]) * (1 - 1e-6)


def test_the_arc_between_perpendicular_noises_of_one_length_is_the_circle():
    first, second = np.eye(2, dtype=np.float32)
    for share in (0.0, 0.25, 0.5, 1.0):
        angle = share * np.pi / 2
        np.testing.assert_allclose(between(first, second, share), [np.cos(angle), np.sin(angle)], atol=1e-7)


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0])
def test_noises_on_one_line_are_mixed_along_it(factor):
    first = noise(0, 0, 8)
    np.testing.assert_allclose(between(first, factor * first, 1.0), factor * first)
    np.testing.assert_allclose(between(first, factor * first, 0.5), (1 + factor) / 2 * first, atol=1e-7)


def test_a_seed_is_stored_as_before_and_a_pair_of_them_whole():
    assert json.loads(seed.encode(Seed(seed=7, index=2, label=1), SETTINGS)) == {"seed": 7, "index": 2, "label": 1}
    pair = Seed(seed=7, other_seed=8, share=0.25)
    assert json.loads(seed.encode(pair, SETTINGS))["share"] == 0.25
    np.testing.assert_array_equal(read(seed.encode(pair, SETTINGS)), read(pair))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"seed": -1}, "seed must be in 0…2⁶³−1, got -1"),
        ({"seed": 0, "other_seed": 2**63}, "other_seed must be in"),
        ({"seed": 0, "other_seed": 1, "share": 1.5}, "share must be in 0…1, got 1.5"),
        ({"seed": 0, "other_seed": 1, "share": float("nan")}, "share must be in 0…1, got nan"),
        ({"seed": 0, "share": 0.5}, "need other_seed"),
        ({"seed": 0, "other_index": 1}, "need other_seed"),
    ],
)
def test_what_no_seed_can_be(fields, said):
    with pytest.raises(SettingsError, match=said):
        Seed(**fields)
