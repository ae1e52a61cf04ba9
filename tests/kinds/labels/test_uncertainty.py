"""Intervals and paired tests: against drawing by hand, against scipy, and by how often they hold a known truth."""

import itertools
import math

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sightsmith.kinds.labels import metrics, uncertainty
from sightsmith.kinds.parts.intervals import group_indices, student_deviations

Integers = NDArray[np.integer]
RARE = np.repeat([1, 2, 4, 6, 9], [10, 11, 10, 7, 5])
"""Groups of 43 classes, 160 in all."""


def rare_and_weak(rng: np.random.Generator) -> tuple[Integers, Integers, Integers, Integers]:
    """Draw 25 pictures a group, the rarer its class the harder; a second model puts a tenth of the errors right.

    Returns:
        Targets, groups and the answers of both models.
    """
    class_G = np.repeat(np.arange(len(RARE)), RARE)
    mean_G = 0.05 + 0.05 * RARE[class_G]
    groups_N = np.repeat(np.arange(len(class_G)), 25)
    targets_N = class_G[groups_N]
    right_N = rng.random(len(targets_N)) < rng.beta(2 * mean_G, 2 * (1 - mean_G))[groups_N]
    first_N = np.where(right_N, targets_N, (targets_N + rng.integers(1, len(RARE), len(targets_N))) % len(RARE))
    second_N = np.where(rng.random(len(targets_N)) < 0.1, targets_N, first_N)
    return targets_N, groups_N, first_N, second_N


def truth(recall_K: NDArray[np.float64]) -> dict[str, float]:
    """Return the metrics on endless pictures of `rare_and_weak`."""
    share_K = RARE / RARE.sum()
    wrong_K = share_K * (1 - recall_K) / (len(RARE) - 1)
    answered_K = share_K * recall_K + wrong_K.sum() - wrong_K
    return {
        "accuracy": float((share_K * recall_K).sum()),
        "balanced_accuracy": float(recall_K.mean()),
        "macro_f1": float((2 * share_K * recall_K / (share_K + answered_K)).mean()),
    }


def test_intervals_hold_the_truth_with_groups_and_rare_classes() -> None:
    """Rare classes drop out of test sets drawn with replacement; where they are weak that made the metric too good."""
    first = truth(0.05 + 0.05 * RARE)
    second = truth(0.1 + 0.9 * (0.05 + 0.05 * RARE))
    held = {name: [0, 0] for name in first}
    places = {name: [] for name in first}
    rng = np.random.default_rng(12)
    for _ in range(500):
        targets_N, groups_N, first_N, second_N = rare_and_weak(rng)
        alone = uncertainty.intervals(first_N, targets_N, groups_N)
        gap = uncertainty.differences(first_N, second_N, targets_N, groups_N)
        for name, one in alone.items():
            assert one.low < one.value < one.high
            places[name].append((one.value - one.low) / (one.high - one.low))
            held[name][0] += one.low <= first[name] <= one.high
            held[name][1] += gap[name].low <= second[name] - first[name] <= gap[name].high
    for name, counts in held.items():
        assert 0.93 * 500 <= counts[0] <= 0.985 * 500, (name, counts)
        assert 0.93 * 500 <= counts[1] <= 0.985 * 500, (name, counts)
        assert 0.35 < np.mean(places[name]) < 0.65


@st.composite
def answered(draw: st.DrawFn) -> tuple[Integers, Integers, Integers, Integers]:
    """Draw targets, groups without gaps, and the answers of two models."""
    rows = draw(st.lists(st.tuples(*[st.integers(0, 4)] * 4), min_size=1, max_size=40))
    targets_N, groups_N, first_N, second_N = np.array(rows).T
    return targets_N, np.unique(groups_N, return_inverse=True)[1], first_N, second_N


@given(drawn=answered(), random=st.randoms(use_true_random=False))
def test_intervals_are_in_range_hold_the_value_and_do_not_depend_on_order(drawn, random) -> None:
    targets_N, groups_N, first_N, second_N = drawn
    order_N = np.array(random.sample(range(len(targets_N)), len(targets_N)))
    for found, shuffled, lowest in (
        (
            uncertainty.intervals(first_N, targets_N, groups_N),
            uncertainty.intervals(first_N[order_N], targets_N[order_N], groups_N[order_N]),
            0,
        ),
        (
            uncertainty.differences(first_N, second_N, targets_N, groups_N),
            uncertainty.differences(first_N[order_N], second_N[order_N], targets_N[order_N], groups_N[order_N]),
            -1,
        ),
    ):
        for name, one in found.items():
            assert lowest <= one.low <= one.value <= one.high <= 1
            assert one.low < one.high
            np.testing.assert_allclose(
                (shuffled[name].value, shuffled[name].low, shuffled[name].high),
                (one.value, one.low, one.high),
                atol=1e-9,
            )


@given(drawn=answered())
def test_values_are_those_of_the_metrics_and_a_group_each_is_no_group(drawn) -> None:
    targets_N, _groups_N, first_N, second_N = drawn
    found = uncertainty.intervals(first_N, targets_N)
    each = metrics.macro(metrics.per_class(metrics.confusion_matrix(first_N, targets_N, 5)))
    values = ((first_N == targets_N).mean(), each.recall, each.f1)
    np.testing.assert_allclose([one.value for one in found.values()], values, atol=1e-12)
    alone_N = np.arange(len(targets_N))
    assert found == uncertainty.intervals(first_N, targets_N, alone_N)
    gap = uncertainty.differences(first_N, second_N, targets_N)
    assert gap == uncertainty.differences(first_N, second_N, targets_N, alone_N)


@pytest.mark.parametrize("freedom", [1.0, 1.4, 2.0, 3.7, 10.0, 200.0])
def test_student_s_quantiles(freedom: float) -> None:
    exact = pytest.importorskip("scipy.stats").t.ppf(0.975, freedom)
    assert student_deviations(freedom) == pytest.approx(exact, rel=1e-4)


def test_intervals_agree_with_drawing_samples_by_hand() -> None:
    rng = np.random.default_rng(9)
    targets_N = rng.integers(3, size=150)
    predicted_N = np.where(rng.random(150) < 0.7, targets_N, rng.integers(3, size=150))
    found = uncertainty.intervals(predicted_N, targets_N)
    by_hand = {"accuracy": [], "balanced_accuracy": [], "macro_f1": []}
    for _ in range(500):
        drawn = rng.integers(150, size=150)
        by_hand["accuracy"].append(sk.accuracy_score(targets_N[drawn], predicted_N[drawn]))
        by_hand["balanced_accuracy"].append(sk.balanced_accuracy_score(targets_N[drawn], predicted_N[drawn]))
        by_hand["macro_f1"].append(sk.f1_score(targets_N[drawn], predicted_N[drawn], average="macro"))
    for name, interval in found.items():
        assert interval.low < interval.value < interval.high
        assert np.allclose((interval.low, interval.high), np.quantile(by_hand[name], [0.025, 0.975]), atol=0.015)
    assert found["macro_f1"].value == pytest.approx(sk.f1_score(targets_N, predicted_N, average="macro"))


def test_paired_difference_is_narrower_than_the_two_intervals() -> None:
    rng = np.random.default_rng(0)
    targets_N = rng.integers(4, size=400)
    first_N = np.where(rng.random(400) < 0.8, targets_N, (targets_N + 1) % 4)
    second_N = np.where(rng.random(400) < 0.15, targets_N, first_N)  # the same errors, some put right
    gap = uncertainty.differences(first_N, second_N, targets_N)["accuracy"]
    assert gap.value == pytest.approx((second_N == targets_N).mean() - (first_N == targets_N).mean())
    assert 0 < gap.low < gap.high
    alone = uncertainty.intervals(first_N, targets_N)["accuracy"]
    assert gap.high - gap.low < alone.high - alone.low


def test_mcnemar_against_the_binomial_test() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(4)
    targets_N = np.zeros(300, dtype=int)
    first_N, second_N = (rng.random((2, 300)) < [[0.2], [0.3]]).astype(int)
    only_first = int(((first_N == 0) & (second_N == 1)).sum())
    only_second = int(((first_N == 1) & (second_N == 0)).sum())
    expected = scipy_stats.binomtest(only_first, only_first + only_second).pvalue
    assert uncertainty.paired_p_value(first_N, second_N, targets_N) == pytest.approx(expected)
    assert uncertainty.paired_p_value(first_N, first_N, targets_N) == 1


def test_sign_flips_of_groups_against_every_flip() -> None:
    rng = np.random.default_rng(6)
    targets_N, groups_N = np.zeros(60, dtype=int), np.arange(60) % 9
    first_N, second_N = (rng.random((2, 60)) < [[0.55], [0.3]]).astype(int)
    lead_G = np.bincount(groups_N, weights=(second_N == 0).astype(float) - (first_N == 0))
    flips = np.array(list(itertools.product([-1, 1], repeat=9)))
    expected = (np.abs(flips @ lead_G) >= abs(lead_G.sum())).mean()
    assert uncertainty.paired_p_value(first_N, second_N, targets_N, groups_N) == pytest.approx(expected)
    alone_N = np.arange(60)
    assert uncertainty.paired_p_value(first_N, second_N, targets_N, alone_N) == pytest.approx(
        uncertainty.paired_p_value(first_N, second_N, targets_N)
    )


def test_intervals_of_groups_agree_with_drawing_groups_by_hand() -> None:
    rng = np.random.default_rng(2)
    targets_N, groups_N = np.arange(200) % 4 // 2, np.arange(200) // 10
    hard_N = rng.random(20)[groups_N] < 0.3  # a group is easy or hard as a whole
    predicted_N = np.where(hard_N & (rng.random(200) < 0.9), 1 - targets_N, targets_N)
    found = uncertainty.intervals(predicted_N, targets_N, groups_N)
    by_hand = {"accuracy": [], "balanced_accuracy": [], "macro_f1": []}
    for _ in range(500):
        drawn = np.concatenate([np.flatnonzero(groups_N == group) for group in rng.integers(20, size=20)])
        by_hand["accuracy"].append(sk.accuracy_score(targets_N[drawn], predicted_N[drawn]))
        by_hand["balanced_accuracy"].append(sk.balanced_accuracy_score(targets_N[drawn], predicted_N[drawn]))
        by_hand["macro_f1"].append(sk.f1_score(targets_N[drawn], predicted_N[drawn], average="macro"))
    for name, interval in found.items():
        assert np.allclose((interval.low, interval.high), np.quantile(by_hand[name], [0.025, 0.975]), atol=0.03)
    alone = uncertainty.intervals(predicted_N, targets_N)["accuracy"]
    whole = found["accuracy"]
    assert whole.value == alone.value
    assert whole.high - whole.low > 1.5 * (alone.high - alone.low)


@given(groups=st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=1, max_size=30))
def test_groups_are_numbered_without_gaps(groups: list[str]) -> None:
    numbers_N = group_indices(groups)
    assert set(numbers_N.tolist()) == set(range(groups.count("") + len(set(groups) - {""})))
    for name, number in zip(groups, numbers_N.tolist(), strict=True):
        alike = [other for other, at in zip(groups, numbers_N.tolist(), strict=True) if at == number]
        assert alike == ([""] if name == "" else [name] * groups.count(name))


def test_a_handful_of_groups_that_happen_to_be_alike_is_not_certain() -> None:
    targets_N, groups_N = np.zeros(200, dtype=int), np.arange(200) // 100
    predicted_N = (np.arange(200) % 100 < np.where(groups_N == 0, 20, 19)).astype(int)  # 0.80 and 0.81 are right
    accuracy = uncertainty.intervals(predicted_N, targets_N, groups_N)["accuracy"]
    assert accuracy.low < 0.5 < 0.95 < accuracy.high
    gap = uncertainty.differences(predicted_N, targets_N, targets_N, groups_N)["accuracy"]
    assert gap.low < 0 < 0.75 < gap.high


def test_a_difference_without_an_exception_is_not_certain() -> None:
    right_N, wrong_N = np.zeros(3, dtype=int), np.ones(3, dtype=int)
    gap = uncertainty.differences(wrong_N, right_N, right_N)["accuracy"]
    assert (gap.value, gap.high) == (1, 1)
    assert gap.low < 0.5
    many_N = np.zeros(10_000, dtype=int)
    alike = uncertainty.differences(many_N, many_N, many_N)["accuracy"]
    assert alike.value == 0
    assert -0.001 < alike.low < 0 < alike.high < 0.001


def test_a_single_group_says_little() -> None:
    targets_N, one_N = np.zeros(50, dtype=int), np.zeros(50, dtype=int)
    predicted_N = (np.arange(50) < 10).astype(int)
    accuracy = uncertainty.intervals(predicted_N, targets_N, one_N)["accuracy"]
    assert accuracy.low < 0.2 < 0.8 < accuracy.high
    gap = uncertainty.differences(predicted_N, targets_N, targets_N, one_N)["accuracy"]
    assert gap.value == pytest.approx(0.2)
    assert gap.low < -0.5 < 0.9 < gap.high
    assert uncertainty.paired_p_value(predicted_N, targets_N, targets_N, one_N) == 1


def test_a_flawless_average_over_classes_is_as_uncertain_as_its_small_classes() -> None:
    """Ten of ten leave a recall of 0.72 possible, a thousand of a thousand 0.996, but hardly both at once."""
    targets_N = np.array([0] * 990 + [1] * 10)
    found = uncertainty.intervals(targets_N, targets_N)
    assert found["accuracy"].low == pytest.approx(0.99617, abs=1e-5)
    assert found["balanced_accuracy"].low == pytest.approx(1 - math.hypot(0.00387, 0.27753) / 2, abs=1e-4)
    assert found["macro_f1"].low == found["balanced_accuracy"].low


def test_a_flawless_result_is_not_certain() -> None:
    targets_N = np.arange(359) % 10
    found = uncertainty.intervals(targets_N, targets_N)
    assert found["accuracy"].high == 1.0
    assert found["accuracy"].low == pytest.approx(0.98941, abs=1e-5)
    assert found["macro_f1"].low < 1.0


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_a_flawless_result_over_many_classes_is_not_far_less_certain_than_one_with_an_error(metric) -> None:
    targets_N = np.arange(360) % 10
    wrong_N = targets_N.copy()
    wrong_N[0] = 1
    flawless, one = (uncertainty.intervals(answers_N, targets_N)[metric].low for answers_N in (targets_N, wrong_N))
    assert flawless > one - 0.015
    assert flawless == pytest.approx(0.9695, abs=1e-4)
