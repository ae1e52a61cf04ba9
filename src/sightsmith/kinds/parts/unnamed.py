"""What kinds share whose truths have no names, such as numbers."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_Truth = TypeVar("_Truth")


def pairs(truths: Sequence[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return no pair of a truth and a name."""
    return np.zeros(0, np.int64), np.zeros(0, np.int64)


def translate(truth: _Truth, names: Sequence[str], model_names: Sequence[str]) -> _Truth:
    """Return the truth as it is."""
    return truth
