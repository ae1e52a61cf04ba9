"""Why a net that can be read gave its answer: the questions that a picture went through, or its nearest neighbours.

This file imports no torch, so that drawing a reason needs none.
Shapes: D features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DIGITS = range(3, 10)  # significant digits of a value that are tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A question on the way to the answer."""

    question: str  # such as "red is at most 0.411"
    values: str  # the picture's own value of each feature in the question
    holds: bool
    otherwise: str  # the answer on the branch that was not taken


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbour:
    """A training picture that is among the nearest."""

    key: str  # in the training data
    label: str  # its class
    distance: float  # Euclidean, between the features, ≥ 0
    features_D: NDArray[np.float32]  # of the training picture, by which it is known again


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    sentences: tuple[str, ...]  # everything below in words
    steps: tuple[Step, ...] = ()  # in the order in which they were asked
    answer: str = ""  # where the steps lead
    rest: tuple[str, ...] = ()  # rules after the one that held
    notes: tuple[str, ...] = ()  # what the names of the features mean
    neighbours: tuple[Neighbour, ...] = ()  # the nearest first


def told_apart(value: float, threshold: float) -> tuple[str, str]:
    """Return both numbers as text, with 3 digits, or as many more as it takes to see which is larger."""
    pairs = [(f"{value:.{digits}g}", f"{threshold:.{digits}g}") for digits in _DIGITS]
    return next((pair for pair in pairs if pair[0] != pair[1]), pairs[0])
