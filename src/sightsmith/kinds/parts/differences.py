"""Differences between arrays of two answers."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def largest(gaps: Iterable[float]) -> float:
    """Return the largest; infinity if one is not a number."""
    return float(np.nan_to_num(np.max([*gaps]), nan=np.inf))


def relative_difference(expected: NDArray[np.floating], got: NDArray[np.floating]) -> float:
    """Return the root mean square of the difference, relative to that of the expected array of the same shape."""
    size = np.sqrt(np.square(expected, dtype=np.float64).mean())
    gap = np.sqrt(np.square(got.astype(np.float64) - expected).mean())
    return float(gap / max(size, 1e-6))
