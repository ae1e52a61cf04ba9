"""Metrics against scikit-learn, torchmetrics and counting by hand."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
import torchmetrics.functional.classification as tm
from hypothesis import given, settings
from hypothesis import strategies as st

from sightsmith.evaluation import bootstrap, calibration, metrics


def answers(seed: int, samples: int, classes: int, sharpness: float = 2.0, ties: bool = False):
    rng = np.random.default_rng(seed)
    targets_N = rng.integers(classes, size=samples)
    logits_NK = rng.normal(size=(samples, classes)) * sharpness
    logits_NK[np.arange(samples), targets_N] += 1.5
    probabilities_NK = np.exp(logits_NK) / np.exp(logits_NK).sum(axis=1, keepdims=True)
    return (probabilities_NK.round(1) if ties else probabilities_NK), targets_N


random_answers = st.builds(
    answers, st.integers(0, 10_000), st.integers(2, 120), st.integers(2, 8), st.floats(0.1, 4), st.booleans()
)


@settings(max_examples=40, deadline=None)
@given(random_answers)
def test_counted_metrics_agree_with_scikit_learn(pair) -> None:
    probabilities_NK, targets_N = pair
    classes = probabilities_NK.shape[1]
    predicted_N = probabilities_NK.argmax(axis=1)
    present = np.unique(targets_N)
    confusion_KK = metrics.confusion_matrix(predicted_N, targets_N, classes)
    assert (confusion_KK == sk.confusion_matrix(targets_N, predicted_N, labels=range(classes))).all()
    each = metrics.per_class(confusion_KK)
    expected = sk.precision_recall_fscore_support(targets_N, predicted_N, labels=present, zero_division=0)
    for ours, theirs in zip((each.precision_K, each.recall_K, each.f1_K, each.support_K), expected, strict=True):
        assert np.allclose(ours[present], theirs)
    absent = np.setdiff1d(np.arange(classes), present)
    assert np.isnan(each.recall_K[absent]).all()
    for average, name in ((metrics.macro(each), "macro"), (metrics.weighted(each), "weighted")):
        theirs = sk.precision_recall_fscore_support(
            targets_N, predicted_N, labels=present, average=name, zero_division=0
        )
        assert np.allclose((average.precision, average.recall, average.f1), theirs[:3])
    assert metrics.accuracy(probabilities_NK, targets_N) == pytest.approx(sk.accuracy_score(targets_N, predicted_N))
    assert metrics.weighted(each).recall == pytest.approx(metrics.accuracy(probabilities_NK, targets_N))


@settings(max_examples=40, deadline=None)
@given(random_answers)
def test_auroc_agrees_with_scikit_learn_where_it_is_defined(pair) -> None:
    probabilities_NK, targets_N = pair
    areas_K = metrics.auroc(probabilities_NK, targets_N)
    for one, area in enumerate(areas_K):
        positive_N = targets_N == one
        if positive_N.any() and not positive_N.all():
            assert area == pytest.approx(sk.roc_auc_score(positive_N, probabilities_NK[:, one]))
        else:
            assert np.isnan(area)


@settings(max_examples=25, deadline=None)
@given(random_answers)
def test_top_k_agrees_with_torchmetrics_and_reaches_one(pair) -> None:
    probabilities_NK, targets_N = pair
    classes = probabilities_NK.shape[1]
    shares = [metrics.top_k(probabilities_NK, targets_N, k) for k in range(1, classes + 1)]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    distinct = all(len(np.unique(row)) == classes for row in probabilities_NK)
    if distinct:  # the order of equal probabilities is theirs to choose
        theirs = tm.multiclass_accuracy(
            torch.tensor(probabilities_NK), torch.tensor(targets_N), classes, average="micro", top_k=min(2, classes)
        )
        assert shares[min(2, classes) - 1] == pytest.approx(float(theirs))


def test_of_equal_probabilities_the_first_is_the_answer() -> None:
    even_NK = np.full((2, 3), 1 / 3)
    assert metrics.ranks(even_NK, np.array([0, 2])).tolist() == [0, 2]
    assert metrics.accuracy(even_NK, np.array([0, 2])) == 0.5


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 200), st.integers(2, 6))
def test_calibration_agrees_with_the_libraries(seed: int, samples: int, classes: int) -> None:
    probabilities_NK, targets_N = answers(seed, samples, classes)
    ours = calibration.reliability(probabilities_NK, targets_N)
    theirs = tm.multiclass_calibration_error(
        torch.tensor(probabilities_NK), torch.tensor(targets_N), classes, n_bins=15
    )
    assert ours.ece == pytest.approx(float(theirs), abs=1e-6)
    assert ours.count_M.sum() == samples
    assert calibration.nll(probabilities_NK, targets_N) == pytest.approx(
        sk.log_loss(targets_N, probabilities_NK, labels=range(classes))
    )
    one_hot_NK = np.eye(classes)[targets_N]
    assert calibration.brier(probabilities_NK, targets_N) == pytest.approx(
        ((probabilities_NK - one_hot_NK) ** 2).sum(axis=1).mean()
    )


def test_calibration_error_by_hand() -> None:
    probabilities_NK = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    # sure at 0.9 and half right; at 0.6 and always right: (2·0.4 + 2·0.4) / 4
    assert calibration.reliability(probabilities_NK, np.array([0, 1, 0, 0])).ece == pytest.approx(0.4)


def test_certain_mistakes_keep_the_likelihood_finite() -> None:
    assert calibration.nll(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-np.log(1e-12))


@pytest.mark.parametrize("true_temperature", [0.3, 1.0, 2.5])
def test_temperature_scaling_recovers_the_temperature(true_temperature: float) -> None:
    rng = np.random.default_rng(1)
    logits_NK = rng.normal(size=(60_000, 5)) * 2
    honest_NK = calibration.at_temperature(logits_NK, true_temperature)
    targets_N = (honest_NK.cumsum(axis=1) > rng.random((len(logits_NK), 1))).argmax(axis=1)
    fitted = calibration.fit_temperature(logits_NK, targets_N)
    assert fitted == pytest.approx(true_temperature, rel=0.03)
    from_log_probabilities = calibration.fit_temperature(
        calibration.log_probabilities(calibration.at_temperature(logits_NK, 1)), targets_N
    )
    assert from_log_probabilities == pytest.approx(fitted, rel=1e-4)
    before = calibration.nll(calibration.at_temperature(logits_NK, 1), targets_N)
    assert calibration.nll(calibration.at_temperature(logits_NK, fitted), targets_N) <= before


def test_temperature_never_changes_the_answer() -> None:
    probabilities_NK, _targets_N = answers(3, 200, 6)
    cooled_NK = calibration.at_temperature(calibration.log_probabilities(probabilities_NK), 0.4)
    assert (cooled_NK.argmax(axis=1) == probabilities_NK.argmax(axis=1)).all()


def test_bootstrap_agrees_with_resampling_by_hand() -> None:
    probabilities_NK, targets_N = answers(5, 150, 3)
    predicted_N = probabilities_NK.argmax(axis=1)
    found = bootstrap.intervals(predicted_N, targets_N, 3)
    rng = np.random.default_rng(9)
    by_hand = {"accuracy": [], "balanced_accuracy": [], "macro_f1": []}
    for _ in range(500):
        drawn = rng.integers(150, size=150)
        by_hand["accuracy"].append(sk.accuracy_score(targets_N[drawn], predicted_N[drawn]))
        by_hand["balanced_accuracy"].append(sk.balanced_accuracy_score(targets_N[drawn], predicted_N[drawn]))
        by_hand["macro_f1"].append(sk.f1_score(targets_N[drawn], predicted_N[drawn], average="macro"))
    for name, interval in found.items():
        assert interval.low < interval.value < interval.high
        assert np.allclose((interval.low, interval.high), np.quantile(by_hand[name], [0.025, 0.975]), atol=0.015)
    assert found == bootstrap.intervals(predicted_N, targets_N, 3)
    assert found["macro_f1"].value == pytest.approx(sk.f1_score(targets_N, predicted_N, average="macro"))


def test_paired_difference_is_narrower_than_the_two_intervals() -> None:
    rng = np.random.default_rng(0)
    targets_N = rng.integers(4, size=400)
    first_N = np.where(rng.random(400) < 0.8, targets_N, (targets_N + 1) % 4)
    second_N = np.where(rng.random(400) < 0.15, targets_N, first_N)  # the same errors, some put right
    gap = bootstrap.differences(first_N, second_N, targets_N, 4)["accuracy"]
    assert gap.value == pytest.approx((second_N == targets_N).mean() - (first_N == targets_N).mean())
    assert 0 < gap.low < gap.high
    alone = bootstrap.intervals(first_N, targets_N, 4)["accuracy"]
    assert gap.high - gap.low < alone.high - alone.low


def test_mcnemar_against_the_binomial_test() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(4)
    targets_N = np.zeros(300, dtype=int)
    first_N, second_N = (rng.random((2, 300)) < [[0.2], [0.3]]).astype(int)
    only_first = int(((first_N == 0) & (second_N == 1)).sum())
    only_second = int(((first_N == 1) & (second_N == 0)).sum())
    expected = scipy_stats.binomtest(only_first, only_first + only_second).pvalue
    assert bootstrap.paired_p_value(first_N, second_N, targets_N) == pytest.approx(expected)
    assert bootstrap.paired_p_value(first_N, first_N, targets_N) == 1


def test_sign_flips_of_groups_against_every_flip() -> None:
    rng = np.random.default_rng(6)
    targets_N, groups_N = np.zeros(60, dtype=int), np.arange(60) % 9
    first_N, second_N = (rng.random((2, 60)) < [[0.55], [0.3]]).astype(int)
    lead_G = np.bincount(groups_N, weights=(second_N == 0).astype(float) - (first_N == 0))
    flips = np.array(list(itertools.product([-1, 1], repeat=9)))
    expected = (np.abs(flips @ lead_G) >= abs(lead_G.sum())).mean()
    assert bootstrap.paired_p_value(first_N, second_N, targets_N, groups_N) == pytest.approx(expected)
    alone_N = np.arange(60)
    assert bootstrap.paired_p_value(first_N, second_N, targets_N, alone_N) == pytest.approx(
        bootstrap.paired_p_value(first_N, second_N, targets_N)
    )


def test_group_bootstrap_agrees_with_drawing_groups_by_hand() -> None:
    rng = np.random.default_rng(2)
    targets_N, groups_N = np.arange(200) % 4 // 2, np.arange(200) // 10
    hard_N = rng.random(20)[groups_N] < 0.3  # a group is easy or hard as a whole
    predicted_N = np.where(hard_N & (rng.random(200) < 0.9), 1 - targets_N, targets_N)
    found = bootstrap.intervals(predicted_N, targets_N, 2, groups_N)
    by_hand = {"accuracy": [], "balanced_accuracy": [], "macro_f1": []}
    for _ in range(500):
        drawn = np.concatenate([np.flatnonzero(groups_N == group) for group in rng.integers(20, size=20)])
        by_hand["accuracy"].append(sk.accuracy_score(targets_N[drawn], predicted_N[drawn]))
        by_hand["balanced_accuracy"].append(sk.balanced_accuracy_score(targets_N[drawn], predicted_N[drawn]))
        by_hand["macro_f1"].append(sk.f1_score(targets_N[drawn], predicted_N[drawn], average="macro"))
    for name, interval in found.items():
        assert np.allclose((interval.low, interval.high), np.quantile(by_hand[name], [0.025, 0.975]), atol=0.03)
    alone = bootstrap.intervals(predicted_N, targets_N, 2)["accuracy"]
    whole = found["accuracy"]
    assert whole.value == alone.value
    assert whole.high - whole.low > 1.5 * (alone.high - alone.low)


@given(groups=st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=1, max_size=30))
def test_groups_are_numbered_without_gaps(groups: list[str]) -> None:
    numbers_N = bootstrap.group_indices(groups)
    assert set(numbers_N.tolist()) == set(range(groups.count("") + len(set(groups) - {""})))
    for name, number in zip(groups, numbers_N.tolist(), strict=True):
        alike = [other for other, at in zip(groups, numbers_N.tolist(), strict=True) if at == number]
        assert alike == ([""] if name == "" else [name] * groups.count(name))


def test_a_handful_of_groups_that_happen_to_be_alike_is_not_certain() -> None:
    targets_N, groups_N = np.zeros(200, dtype=int), np.arange(200) // 100
    predicted_N = (np.arange(200) % 100 < np.where(groups_N == 0, 20, 19)).astype(int)  # 0.80 and 0.81 are right
    accuracy = bootstrap.intervals(predicted_N, targets_N, 2, groups_N)["accuracy"]
    assert accuracy.low < 0.5 < 0.95 < accuracy.high
    gap = bootstrap.differences(predicted_N, targets_N, targets_N, 2, groups_N)["accuracy"]
    assert gap.low < 0 < 0.8 < gap.high


def test_a_difference_without_an_exception_is_not_certain() -> None:
    right_N, wrong_N = np.zeros(3, dtype=int), np.ones(3, dtype=int)
    gap = bootstrap.differences(wrong_N, right_N, right_N, 2)["accuracy"]
    assert (gap.value, gap.high) == (1, 1)
    assert gap.low < 0.5
    many_N = np.zeros(10_000, dtype=int)
    alike = bootstrap.differences(many_N, many_N, many_N, 1)["accuracy"]
    assert alike.value == 0
    assert -0.001 < alike.low < 0 < alike.high < 0.001


def test_a_single_group_says_little() -> None:
    targets_N, one_N = np.zeros(50, dtype=int), np.zeros(50, dtype=int)
    predicted_N = (np.arange(50) < 10).astype(int)
    accuracy = bootstrap.intervals(predicted_N, targets_N, 2, one_N)["accuracy"]
    assert accuracy.low < 0.2 < 0.8 < accuracy.high
    gap = bootstrap.differences(predicted_N, targets_N, targets_N, 2, one_N)["accuracy"]
    assert gap.value == pytest.approx(0.2)
    assert gap.low < -0.5 < 0.9 < gap.high
    assert bootstrap.paired_p_value(predicted_N, targets_N, targets_N, one_N) == 1


@pytest.mark.parametrize(
    ("probabilities", "targets", "says"),
    [
        (np.zeros((0, 3)), np.zeros(0, int), "N ≥ 1"),
        (np.ones((2, 3)), np.zeros(3, int), r"\(2, 3\) and \(3,\)"),
        (np.array([[np.nan, 1.0]]), np.zeros(1, int), "finite"),
        (np.ones((1, 2)) / 2, np.array([2]), "0…1, got 2…2"),
    ],
)
def test_wrong_input_is_refused(probabilities, targets, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        metrics.accuracy(probabilities, targets)


def test_metrics_need_no_torch_and_no_scikit_learn() -> None:
    code = (
        "import sys; import sightsmith.evaluation.metrics, sightsmith.evaluation.calibration, "
        "sightsmith.evaluation.bootstrap; print({'torch', 'sklearn', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_flawless_average_over_classes_is_as_uncertain_as_its_small_classes() -> None:
    """Ten of ten leave a recall of 0.72 possible, a thousand of a thousand 0.996; the average of both is about 0.86."""
    targets_N = np.array([0] * 990 + [1] * 10)
    found = bootstrap.intervals(targets_N, targets_N, 2)
    assert found["accuracy"].low == pytest.approx(0.99617, abs=1e-5)
    assert found["balanced_accuracy"].low == pytest.approx((0.99613 + 0.72247) / 2, abs=1e-4)
    assert found["macro_f1"].low == found["balanced_accuracy"].low


def test_a_flawless_result_is_not_certain() -> None:
    targets_N = np.arange(359) % 10
    found = bootstrap.intervals(targets_N, targets_N, 10)
    assert found["accuracy"].high == 1.0
    assert found["accuracy"].low == pytest.approx(0.98941, abs=1e-5)
    assert found["macro_f1"].low < 1.0
