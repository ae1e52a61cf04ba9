"""A value and how far it may be off, and which samples belong together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the range that should hold, 95 times of 100, what it would be on endless pictures of the kind."""

    value: float
    low: float
    high: float


def group_indices(groups: Sequence[str]) -> NDArray[np.integer]:
    """Return (N,) the number of each sample's group, counted from 0; a sample without a name is a group of its own."""
    numbers: dict[str | int, int] = {}
    return np.array([numbers.setdefault(name or place, len(numbers)) for place, name in enumerate(groups)])


def known(value: float) -> float | None:
    """Return a number as JSON can hold it: None for NaN."""
    return None if np.isnan(value) else float(value)
