"""Labels: which of K names fits an item, with a score for each name and where the evidence lies."""

from sightsmith.kinds.labels.value import (
    METRIC,
    NOUN,
    PREDICTION,
    TOLERANCES,
    calibrate,
    decode,
    differences,
    headline,
    same_answers,
)

__all__ = [
    "METRIC",
    "NOUN",
    "PREDICTION",
    "TOLERANCES",
    "calibrate",
    "decode",
    "differences",
    "headline",
    "same_answers",
]
