"""Metrics against scikit-learn, torchmetrics and counting by hand."""

import subprocess
import sys

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
import torchmetrics.functional.classification as tm
from hypothesis import given, settings
from hypothesis import strategies as st

from sightsmith.kinds.labels import calibration, metrics
from sightsmith.kinds.labels.temperature import softmax


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
    honest_NK = softmax(logits_NK, true_temperature)
    targets_N = (honest_NK.cumsum(axis=1) > rng.random((len(logits_NK), 1))).argmax(axis=1)
    fitted = calibration.fit_temperature(logits_NK, targets_N)
    assert fitted == pytest.approx(true_temperature, rel=0.03)
    from_log_probabilities = calibration.fit_temperature(
        calibration.log_probabilities(softmax(logits_NK, 1)), targets_N
    )
    assert from_log_probabilities == pytest.approx(fitted, rel=1e-4)
    before = calibration.nll(softmax(logits_NK, 1), targets_N)
    assert calibration.nll(softmax(logits_NK, fitted), targets_N) <= before


def test_temperature_never_changes_the_answer() -> None:
    probabilities_NK, _targets_N = answers(3, 200, 6)
    cooled_NK = softmax(calibration.log_probabilities(probabilities_NK), 0.4)
    assert (cooled_NK.argmax(axis=1) == probabilities_NK.argmax(axis=1)).all()


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
        "import sys; import sightsmith.kinds.labels.metrics, sightsmith.kinds.labels.calibration, "
        "sightsmith.kinds.labels.uncertainty; print({'torch', 'sklearn', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_answer_of_a_group_is_the_class_with_the_largest_product_of_probabilities() -> None:
    probabilities_NK, targets_N = answers(3, 60, 4)
    groups_N = np.arange(60) % 7
    targets_N = groups_N % 4
    answer_G, target_G = metrics.group_answers(np.log(probabilities_NK), targets_N, groups_N)
    products_GK = np.stack([probabilities_NK[groups_N == group].prod(axis=0) for group in range(7)])
    assert (answer_G == products_GK.argmax(axis=1)).all()
    assert (target_G == np.arange(7) % 4).all()
    mixed_N = np.where(np.arange(60) == 59, (targets_N + 1) % 4, targets_N)
    assert metrics.group_answers(np.log(probabilities_NK), mixed_N, groups_N) is None
