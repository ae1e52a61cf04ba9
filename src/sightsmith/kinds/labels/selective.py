"""The effect of a confidence threshold: fewer answers, of which more are right.

Paper: Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017, arXiv:1705.08500.

Shapes: N samples, P distinct thresholds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightsmith.kinds.labels.metrics import Floats

GOALS = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Coverage and accuracy of answers at or above each threshold, thresholds falling."""

    threshold_P: Floats  # the least score that is answered
    coverage_P: Floats  # share of samples answered, 0…1, rising
    accuracy_P: Floats  # share of the answered that is right, 0…1


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A target accuracy, and the threshold that reached it with the highest coverage on these samples."""

    accuracy: float
    threshold: float
    coverage: float


def coverage(scores_N: Floats, right_N: NDArray[np.bool_]) -> Coverage:
    """Return the curve of accuracy over coverage; samples of equal score are answered together."""
    order_N = np.argsort(-scores_N, kind="stable")
    sorted_N, hits_N = scores_N[order_N], np.cumsum(right_N[order_N])
    last_P = np.append(np.flatnonzero(np.diff(sorted_N)), len(sorted_N) - 1)
    return Coverage(
        threshold_P=sorted_N[last_P],
        coverage_P=(last_P + 1) / len(sorted_N),
        accuracy_P=hits_N[last_P] / (last_P + 1),
    )


def goals(curve: Coverage, wanted: tuple[float, ...] = GOALS) -> list[Goal]:
    """Return for each wanted accuracy the threshold with the most answers; goals out of reach are left out."""
    reached = []
    for accuracy in wanted:
        good_P = np.flatnonzero(curve.accuracy_P >= accuracy)
        if len(good_P):
            at = good_P[-1]
            reached.append(
                Goal(accuracy=accuracy, threshold=float(curve.threshold_P[at]), coverage=float(curve.coverage_P[at]))
            )
    return reached
