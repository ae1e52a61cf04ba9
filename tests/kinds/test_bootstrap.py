"""Intervals by drawing again: seeded, never missing the value, and none where one group is all there is."""

import numpy as np

from sightsmith.kinds.parts import bootstrap


def mean_of(values_N):
    return lambda weights_rN: {"mean": weights_rN @ values_N / weights_rN.sum(axis=1)}


def test_they_are_seeded_and_hold_the_value():
    values_N = np.random.default_rng(1).normal(size=50)
    one, again = (bootstrap.intervals(mean_of(values_N), 50, None)["mean"] for _ in range(2))
    assert one == again
    assert one.low < values_N.mean() < one.high


def test_groups_are_drawn_as_a_whole():
    values_N = np.repeat(np.random.default_rng(1).normal(size=10), 20)
    alone = bootstrap.intervals(mean_of(values_N), 200, None)["mean"]
    grouped = bootstrap.intervals(mean_of(values_N), 200, np.repeat(np.arange(10), 20))["mean"]
    assert grouped.high - grouped.low > 3 * (alone.high - alone.low)


def test_one_group_says_nothing_of_the_spread():
    assert bootstrap.intervals(mean_of(np.arange(5.0)), 5, np.zeros(5, np.int64)) == {}


def test_many_samples_are_drawn_less_often():
    assert bootstrap.draws(100) == 1000
    assert bootstrap.draws(10_000_000) == 50


def test_flips_tell_a_difference_from_luck():
    rng = np.random.default_rng(0)
    first_N = rng.random(60)
    assert bootstrap.flipped_p_value(first_N, first_N, None) == 1
    assert bootstrap.flipped_p_value(first_N, first_N + 0.5, None) < 0.001
    assert bootstrap.flipped_p_value(first_N, rng.permutation(first_N), None) > 0.05
