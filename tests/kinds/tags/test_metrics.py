"""Average precision, F1 and thresholds against scikit-learn, and their properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_score

from sightsmith.kinds.tags import metrics


def case(seed, count=40, tags=3, levels=8):
    rng = np.random.default_rng(seed)
    targets_NK = (rng.random((count, tags)) < 0.4).astype(np.float64)
    targets_NK[0] = 1
    scores_NK = np.round(rng.random((count, tags)) * levels + 2 * targets_NK) / (levels + 2)
    return scores_NK, targets_NK


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_average_precision_is_that_of_scikit_learn(seed):
    scores_NK, targets_NK = case(seed)
    ours = metrics.average_precisions(scores_NK, targets_NK)[0]
    theirs = [average_precision_score(targets_NK[:, k], scores_NK[:, k]) for k in range(3)]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_a_weight_of_two_is_a_sample_twice(seed):
    scores_NK, targets_NK = case(seed)
    weights_N = np.random.default_rng(seed).integers(0, 3, len(scores_NK))
    weights_N[0] = 1
    again = np.repeat(np.arange(len(scores_NK)), weights_N)
    weighted_1N = weights_N[None].astype(np.float64)
    np.testing.assert_allclose(
        metrics.average_precisions(scores_NK, targets_NK, weighted_1N),
        metrics.average_precisions(scores_NK[again], targets_NK[again]),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        metrics.prevalence(targets_NK, weighted_1N), metrics.prevalence(targets_NK[again]), atol=1e-12
    )


def test_unknown_targets_change_nothing():
    scores_NK, targets_NK = case(1)
    more_NK = np.concatenate([targets_NK, np.full((5, 3), np.nan)])
    guesses_NK = np.concatenate([scores_NK, np.random.default_rng(0).random((5, 3))])
    np.testing.assert_allclose(
        metrics.average_precisions(guesses_NK, more_NK), metrics.average_precisions(scores_NK, targets_NK)
    )
    np.testing.assert_allclose(metrics.f1(guesses_NK > 0.5, more_NK), metrics.f1(scores_NK > 0.5, targets_NK))


def test_a_tag_that_no_sample_has_has_no_value():
    scores_NK, targets_NK = case(2)
    targets_NK[:, 1] = 0
    assert np.isnan(metrics.average_precisions(scores_NK, targets_NK)[0]).tolist() == [False, True, False]
    assert not np.isnan(metrics.mean_average_precision(scores_NK, targets_NK))
    assert np.isnan(metrics.mean_average_precision(scores_NK, np.zeros_like(targets_NK)))


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_no_threshold_has_a_better_f1(seed):
    scores_NK, targets_NK = case(seed)
    thresholds_K = metrics.best_thresholds(scores_NK, targets_NK)
    chosen_K = metrics.f1(scores_NK >= thresholds_K, targets_NK)
    for threshold in np.linspace(0, 1, 30):
        assert (metrics.f1(scores_NK >= threshold, targets_NK) <= chosen_K + 1e-12).all()
    theirs = f1_score(targets_NK, scores_NK >= thresholds_K, average=None, zero_division=0)
    np.testing.assert_allclose(chosen_K, theirs, atol=1e-12)


@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.7, 0.9, 1.0]))
@settings(max_examples=30, deadline=None)
def test_thresholds_keep_the_least_precision(seed, least):
    scores_NK, targets_NK = case(seed)
    thresholds_K = metrics.best_thresholds(scores_NK, targets_NK, least)
    for k, threshold in enumerate(thresholds_K):
        present_N = scores_NK[:, k] >= threshold
        if threshold == 1:
            assert not (present_N & (scores_NK[:, k] < 1)).any()
        else:
            assert precision_score(targets_NK[:, k], present_N) >= least


def test_a_tag_without_a_positive_sample_gets_the_middle():
    assert metrics.best_thresholds(np.array([[0.2], [0.9]]), np.array([[0.0], [0.0]])) == pytest.approx([0.5])
