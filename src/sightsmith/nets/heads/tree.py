"""A decision tree: thresholds on single features, one after the other.

Source: Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees", 1984 (CART, Gini impurity).
Shapes: N pictures, D features.
"""

from dataclasses import dataclass

from torch import Tensor

from sightsmith.nets.parts.checks import at_least
from sightsmith.nets.parts.fitted import Names
from sightsmith.nets.parts.tree_head import TreeHead, stepped

PAPER = "Breiman et al., Classification and Regression Trees, 1984"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    depth: int = 12
    """tree: thresholds from the root to a leaf at most, ≥ 1."""
    leaf: int = 3
    """tree: training pictures of a leaf, at least, ≥ 1."""

    def __post_init__(self) -> None:
        at_least("net.depth", self.depth, 1)
        at_least("net.leaf", self.leaf, 1)


class Tree(TreeHead):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings

    def fit(self, features_ND: Tensor, targets_N: Tensor, names: Names) -> None:  # noqa: ARG002 -- as every head
        from sklearn.tree import DecisionTreeClassifier

        found = DecisionTreeClassifier(
            max_depth=self.settings.depth, min_samples_leaf=self.settings.leaf, random_state=0
        )
        self.take([found.fit(stepped(features_ND).numpy(), targets_N.numpy()).tree_])


def build(settings: Settings) -> Tree:
    return Tree(settings)
