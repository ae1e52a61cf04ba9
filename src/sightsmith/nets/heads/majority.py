"""The most frequent class, whatever the picture shows: what any other net must beat.

The score of a class is log((n + 1) / (N + K)), the logarithm of its smoothed share of the training pictures.
Source: Holte, "Very Simple Classification Rules Perform Well on Most Commonly Used Datasets", Machine Learning 11
(1993), which calls it 0R.

Shapes: N pictures, D features, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sightsmith.nets.parts.fitted import Head, Names
from sightsmith.nets.parts.reason import Reason

PAPER = "Holte, Very Simple Classification Rules Perform Well on Most Commonly Used Datasets, 1993"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """It has none."""


class Majority(Head):
    def __init__(self) -> None:
        super().__init__()
        self.keep(scores_K=torch.zeros(1))
        self.scores_K: Tensor

    def fit(self, features_ND: Tensor, targets_N: Tensor, names: Names) -> None:  # noqa: ARG002 -- as every head
        counts_K = torch.bincount(targets_N, minlength=len(names.classes))
        self.keep(scores_K=torch.log((counts_K + 1) / (counts_K.sum() + len(names.classes))))

    def forward(self, features_ND: Tensor) -> Tensor:
        return features_ND[:, :1] * 0 + self.scores_K

    def reason(self, features_1D: Tensor, names: Names, keys: Sequence[str]) -> Reason:  # noqa: ARG002 -- likewise
        return Reason(sentences=tuple(self.sentences(names)))

    def sentences(self, names: Names) -> list[str]:
        return [f"Always {names.classes[int(self.scores_K.argmax())]}: most of the training pictures are of it."]


def build(settings: Settings) -> Majority:  # noqa: ARG001 -- as every head
    return Majority()
