"""Confidence intervals, numbers of sample groups, and ranks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NORMAL = 1.959964  # Standard deviations of a normal distribution that hold 95 %
_STUDENT = (1.0, 0.49928670, -0.01818335, -0.43144554, 0.39122502, -0.11580944)


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its 95 % confidence interval."""

    value: float
    low: float
    high: float


def group_indices(groups: Sequence[str]) -> NDArray[np.integer]:
    """Return (N,) the number of each sample's group, counted from 0; a sample without a name is a group of its own."""
    numbers: dict[str | int, int] = {}
    return np.array([numbers.setdefault(name or place, len(numbers)) for place, name in enumerate(groups)])


def middle_ranks(values_N: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the rank of each value from 1, (N,); equal values get their mean rank."""
    _, place_N, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place_N]


def wilson(share: float, count: int) -> Interval:
    """Return Wilson's 95 % interval of a share of independent trials, in 0…1."""
    centre, wide = share + NORMAL**2 / (2 * count), 1 + NORMAL**2 / count
    reach = NORMAL * (share * (1 - share) / count + NORMAL**2 / (4 * count**2)) ** 0.5
    return Interval(share, max(0.0, (centre - reach) / wide), min(1.0, (centre + reach) / wide))


def known(value: float) -> float | None:
    """Return a number for JSON: None for NaN."""
    return None if np.isnan(value) else float(value)


def student_deviations(freedom: float) -> float:
    """Return how many standard errors hold 95 % by Student's distribution, to 0.01 % from one degree of freedom on.

    The form is Wallace's ("Bounds on normal approximations to Student's and the chi-square distributions", 1959), its
    factor a polynomial fitted to the exact quantiles.
    """
    factor = np.polynomial.polynomial.polyval(1 / freedom, _STUDENT)
    return float(np.sqrt(freedom * np.expm1(NORMAL**2 * factor / freedom)))
