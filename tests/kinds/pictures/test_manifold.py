"""Neighbourhoods of features against plain loops, and against sets whose answer is known."""

import tracemalloc

import numpy as np
import pytest

from sightsmith.kinds.pictures import manifold
from sightsmith.kinds.pictures.manifold import copied, measure_copies, measure_manifold, nearest


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def distance(x_D, y_D):
    return float(np.sqrt(np.square(x_D - y_D).sum()))


def radius_by_loops(features_ND, at, k):
    return sorted(distance(features_ND[at], other_D) for i, other_D in enumerate(features_ND) if i != at)[k - 1]


def manifold_by_loops(real_ND, made_MD):
    def inside(picture_D, centres, k):
        return [distance(picture_D, one_D) <= radius_by_loops(centres, at, k) for at, one_D in enumerate(centres)]

    covered = [any(distance(made_D, real_D) <= radius_by_loops(real_ND, at, 5) for made_D in made_MD)
               for at, real_D in enumerate(real_ND)]  # fmt: skip
    return {
        "precision": np.mean([any(inside(made_D, real_ND, 3)) for made_D in made_MD]),
        "recall": np.mean([any(inside(real_D, made_MD, 3)) for real_D in real_ND]),
        "density": np.mean([sum(inside(made_D, real_ND, 5)) / 5 for made_D in made_MD]),
        "coverage": np.mean(covered),
    }


@pytest.mark.parametrize("held", [4_000_000, 40])
def test_all_four_are_those_of_plain_loops(rng, monkeypatch, held):
    monkeypatch.setattr(manifold, "_STEP", held)
    real_ND, made_MD = rng.normal(size=(30, 2)), rng.normal(size=(22, 2)) * 1.5 + 0.7
    found, expected = measure_manifold(real_ND, made_MD), manifold_by_loops(real_ND, made_MD)
    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected)
    assert len({round(value, 3) for value in expected.values()}) == 4


def test_only_some_rows_of_distances_are_held_at_once(rng, monkeypatch):
    monkeypatch.setattr(manifold, "_STEP", 20_000)
    real_ND, made_MD = rng.normal(size=(2, 1000, 4))
    tracemalloc.start()
    try:
        measure_manifold(real_ND, made_MD)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000  # all at once: 8 MB
    finally:
        tracemalloc.stop()


def test_a_collapsed_generator_is_precise_and_recalls_little(rng):
    real_ND = rng.normal(size=(300, 4))
    collapsed = measure_manifold(real_ND, rng.normal(size=(300, 4)) * 0.1)
    assert collapsed.precision > 0.95
    assert collapsed.recall < 0.1
    assert collapsed.density > 1
    assert collapsed.coverage < 0.6
    scattered = measure_manifold(real_ND, rng.normal(size=(300, 4)) * 3)
    assert scattered.precision < 0.3
    assert scattered.recall > 0.9


def test_one_distribution_gives_density_1_and_the_expected_coverage(rng):
    found = [measure_manifold(rng.normal(size=(200, 3)), rng.normal(size=(200, 3))) for _ in range(10)]
    assert np.mean([one.density for one in found]) == pytest.approx(1, abs=0.06)
    # A real picture is not covered if its 5 nearest among the 199 real and 200 generated ones are real:
    # 199 … 195 / (399 … 395) = 0.030.
    assert np.mean([one.coverage for one in found]) == pytest.approx(0.970, abs=0.015)


def test_copies_lie_in_neighbourhoods_of_radius_0(rng):
    pictures_ND = np.repeat(rng.normal(size=(5, 3)).astype(np.float32) + 1000, 8, axis=0)
    same = measure_manifold(pictures_ND, pictures_ND[::-1])
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    assert measure_manifold(pictures_ND, pictures_ND + 0.5).precision == 0


@pytest.mark.parametrize("held", [4_000_000, 25])
def test_nearest_pictures_are_those_of_plain_loops(rng, monkeypatch, held):
    monkeypatch.setattr(manifold, "_STEP", held)
    train_TD, made_MD = rng.normal(size=(20, 3)), rng.normal(size=(9, 3))
    positions_Mk, distances_Mk = nearest(train_TD, made_MD, count=4)
    for made_D, found, far in zip(made_MD, positions_Mk, distances_Mk, strict=True):
        expected = sorted((distance(made_D, train_D), at) for at, train_D in enumerate(train_TD))[:4]
        assert found.tolist() == [at for _, at in expected]
        assert far == pytest.approx([one for one, _ in expected])


def test_equal_pictures_are_found_in_their_order_at_distance_0():
    train_TD = np.array([[9.0, 9], [1, 2], [1, 2], [4, 4]])
    positions_Qk, distances_Qk = nearest(train_TD, np.array([[1.0, 2]]), count=3)
    assert positions_Qk.tolist() == [[1, 2, 3]]
    assert distances_Qk[0, :2].tolist() == [0, 0]


def test_copies_are_counted_beside_held_out_pictures(rng):
    train_TD, held_out_ND, fresh_MD = rng.normal(size=(400, 12)), rng.normal(size=(200, 12)), rng.normal(size=(150, 12))
    copies_MD = train_TD[:50] + rng.normal(size=(50, 12)) * 0.05
    found = measure_copies(train_TD, np.concatenate([copies_MD, fresh_MD]), held_out_ND)
    assert found.made == pytest.approx(0.25, abs=0.02)
    assert found.held_out < 0.05


def test_the_bound_of_a_copy_is_half_the_mean_of_its_50_nearest():
    # One training picture at distance d, 49 at 1 and others far away: the mean of 50 is (d + 49) / 50.
    circle_TD = np.stack([np.cos(np.arange(49)), np.sin(np.arange(49))], axis=1)
    for first, expected in ((0.494, True), (0.496, False)):  # the bound is 24.5 / 49.5 = 0.4949
        train_TD = np.concatenate([circle_TD, [[first, 0]], np.full((10, 2), 5.0)])
        assert copied(train_TD, np.zeros((1, 2))).tolist() == [expected]
    assert copied(np.ones((60, 2)), np.ones((1, 2))).tolist() == [True]


@pytest.mark.parametrize(
    ("function", "sets", "match"),
    [
        (
            measure_manifold,
            (np.ones((5, 3)), np.ones((9, 3))),
            "first set .* at least 6 pictures, got shape \\(5, 3\\)",
        ),
        (measure_manifold, (np.ones((9, 3)), np.ones((3, 3))), "second set .* at least 4 pictures"),
        (measure_manifold, (np.ones((9, 3)), np.ones((9, 4))), "3 and 4 features"),
        (
            measure_manifold,
            (np.ones((9, 3)), np.full((9, 3), np.inf)),
            "second set has features that are NaN or infinite",
        ),
        (measure_copies, (np.ones((9, 3)), np.ones((0, 3)), np.ones((9, 3))), "at least 1 pictures"),
        (copied, (np.ones((1, 3)), np.ones((9, 3))), "at least 2 pictures"),
    ],
)
def test_bad_input_is_named(function, sets, match):
    with pytest.raises(ValueError, match=match):
        function(*sets)


def test_no_more_neighbours_than_training_pictures():
    with pytest.raises(ValueError, match="count must be in 1…3"):
        nearest(np.ones((3, 2)), np.ones((1, 2)), count=4)
