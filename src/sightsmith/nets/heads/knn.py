"""The k nearest neighbours: the classes of the training pictures with the most alike features vote.

Paper: Cover and Hart, "Nearest Neighbor Pattern Classification", IEEE Transactions on Information Theory 13 (1967).
Near means a small Euclidean distance. The score of a class with v of the k votes is log((v + s) / (k + s·K)): votes of
so few are smoothed (Laplace), so that a class without one is unlikely, not impossible.

The head holds the features of all training pictures.
Shapes: N pictures, D features, S training pictures, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it

from sightsmith.core.errors import TrainingError
from sightsmith.nets.parts.checks import at_least
from sightsmith.nets.parts.fitted import Head, Names
from sightsmith.nets.parts.reason import Neighbour, Reason

PAPER = "Cover and Hart, Nearest Neighbor Pattern Classification, 1967"

_SMOOTH = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    k: int = 5
    """knn: neighbours that vote, ≥ 1."""

    def __post_init__(self) -> None:
        at_least("net.k", self.k, 1)


class Neighbours(Head):
    HOLDS = "the features of all training pictures"

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.k = settings.k
        self.keep(features_SD=torch.zeros(1, 1), classes_S=torch.zeros(1).long(), count=torch.tensor(1))
        self.features_SD: Tensor
        self.classes_S: Tensor

    def prepare(self) -> None:
        count = self._parameters.get("count")
        self.classes = 1 if count is None else int(count)

    def fit(self, features_ND: Tensor, targets_N: Tensor, names: Names) -> None:
        """Keep the training pictures' features. Raises TrainingError: there are fewer than k."""
        if len(features_ND) < self.k:
            raise TrainingError(f"net.k must be at most the training pictures, {len(features_ND)}, got {self.k}.")
        self.keep(features_SD=features_ND, classes_S=targets_N, count=len(names.classes))

    def forward(self, features_ND: Tensor) -> Tensor:
        nearest_NK = self.nearest(features_ND)
        votes_NK = F.one_hot(self.classes_S[nearest_NK], self.classes).float().sum(dim=1)
        return torch.log((votes_NK + _SMOOTH) / (self.k + _SMOOTH * self.classes))

    def reason(self, features_1D: Tensor, names: Names, keys: Sequence[str]) -> Reason:
        """Return the nearest training pictures."""
        nearest = [
            Neighbour(
                key=keys[place],
                label=names.classes[int(self.classes_S[place])],
                distance=float((self.features_SD[place] - features_1D[0]).norm()),  # 0 for the same picture, unlike in
                features_D=self.features_SD[place].numpy(),  # `nearest`, where large squares are subtracted
            )
            for place in self.nearest(features_1D)[0].tolist()
        ]
        nearest.sort(key=lambda one: one.distance)
        shown = ", ".join(f"{one.key} ({one.label}, distance {one.distance:.3g})" for one in nearest)
        return Reason(sentences=(f"Nearest training pictures: {shown}.",), neighbours=tuple(nearest))

    def nearest(self, features_ND: Tensor) -> Tensor:
        """Return the positions of the k nearest training pictures, (N, k), the nearest first."""
        # |x − s|² without |x|², which is the same for all
        apart_NS = self.features_SD.square().sum(dim=1) - 2 * features_ND @ self.features_SD.T
        return apart_NS.topk(self.k, dim=1, largest=False).indices


def build(settings: Settings) -> Neighbours:
    return Neighbours(settings)
