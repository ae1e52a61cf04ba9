"""Calibration of a classifier's probabilities: reliability, proper scores, temperature scaling.

Papers: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv:1706.04599 (expected calibration
error, temperature scaling); Brier, "Verification of forecasts expressed in terms of probability", 1950.

Shapes: N samples, K classes, M bins.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightsmith.kinds.labels.metrics import Floats, Integers, check
from sightsmith.kinds.labels.temperature import cross_entropy, fit_temperature

__all__ = ["Reliability", "brier", "fit_temperature", "log_probabilities", "nll", "reliability"]

BINS = 15
_TINY = 1e-12
"""Floor on a probability before its logarithm, so that one confident mistake does not make the mean infinite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How often answers of a given confidence are right."""

    confidence_M: Floats  # mean probability of the answers in each bin; NaN in an empty one
    accuracy_M: Floats  # share of right answers in each bin; NaN in an empty one
    count_M: Integers  # answers in each bin

    @property
    def ece(self) -> float:
        """Expected calibration error in 0…1: mean |accuracy − confidence| over bins, weighted by their counts."""
        gap_M = np.abs(self.accuracy_M - self.confidence_M)
        return float(np.nansum(gap_M * self.count_M) / self.count_M.sum())


def reliability(probabilities_NK: Floats, targets_N: Integers, bins: int = BINS) -> Reliability:
    """Sort answers by confidence (the largest probability) into bins of equal width.

    Bin m holds confidences in ((m-1)/M, m/M], as in the paper; a confidence of 0 falls in the first.
    """
    check(probabilities_NK, targets_N)
    confidence_N = probabilities_NK.max(axis=1).astype(np.float64)
    right_N = probabilities_NK.argmax(axis=1) == targets_N
    bin_N = np.clip(np.searchsorted(np.linspace(0, 1, bins + 1), confidence_N, side="left") - 1, 0, bins - 1)
    count_M = np.bincount(bin_N, minlength=bins)
    some_M = np.where(count_M > 0, count_M, np.nan)
    return Reliability(
        confidence_M=np.bincount(bin_N, weights=confidence_N, minlength=bins) / some_M,
        accuracy_M=np.bincount(bin_N, weights=right_N, minlength=bins) / some_M,
        count_M=count_M,
    )


def nll(probabilities_NK: Floats, targets_N: Integers) -> float:
    """Return the mean negative log-likelihood of the targets, in nats, ≥ 0."""
    check(probabilities_NK, targets_N)
    return cross_entropy(log_probabilities(probabilities_NK), targets_N)


def brier(probabilities_NK: Floats, targets_N: Integers) -> float:
    """Return Brier's score: the mean over samples of the squared distance to the one-hot target, in 0…2."""
    check(probabilities_NK, targets_N)
    probabilities_NK = probabilities_NK.astype(np.float64)
    own_N = probabilities_NK[np.arange(len(targets_N)), targets_N]
    return float(((probabilities_NK**2).sum(axis=1) - 2 * own_N + 1).mean())


def log_probabilities(probabilities_NK: Floats) -> NDArray[np.float64]:
    """Return the logarithm of probabilities, floored, as logits that a temperature scales."""
    return np.log(np.maximum(probabilities_NK.astype(np.float64), _TINY))
