"""A random forest: many trees, each of a bootstrap sample and of few features a threshold; their shares are averaged.

Paper: Breiman, "Random Forests", Machine Learning 45 (2001).
Shapes: N pictures, D features.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sightsmith.nets.parts.checks import at_least
from sightsmith.nets.parts.fitted import Names
from sightsmith.nets.parts.tree_head import TreeHead, stepped

PAPER = "Breiman, Random Forests, 2001"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    trees: int = 200
    """forest: trees, ≥ 1."""

    def __post_init__(self) -> None:
        at_least("net.trees", self.trees, 1)


class Forest(TreeHead):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.trees = settings.trees

    def fit(self, features_ND: Tensor, targets_N: Tensor, names: Names) -> None:  # noqa: ARG002 -- as every head
        from sklearn.ensemble import RandomForestClassifier

        found = RandomForestClassifier(self.trees, random_state=0, n_jobs=torch.get_num_threads())
        found.fit(stepped(features_ND).numpy(), targets_N.numpy())
        self.take([one.tree_ for one in found.estimators_])


def build(settings: Settings) -> Forest:
    return Forest(settings)
