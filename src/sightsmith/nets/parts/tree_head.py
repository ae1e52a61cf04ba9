"""Decision trees as tensors: from the root, each step follows one threshold on one feature.

A node holds a feature f, a threshold t and two children; x goes left if x[f] ≤ t. Leaves are their own children, so all
trees take as many steps as the deepest. Thresholds are rounded down to float32, under which x ≤ t keeps its meaning for
float32 x. Features are rounded to steps of 2⁻¹⁴ first: thresholds then lie between steps, and the last bits, in which
two runtimes differ, seldom change the path.

Shapes: N pictures, D features, T trees, M nodes of the largest, K classes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightsmith.nets.parts.fitted import Head, Names
from sightsmith.nets.parts.reason import Reason, Step, told_apart

_STEPS = 2.0**14
_LEAST = 1e-3  # Floor on a share before its logarithm


def stepped(features_ND: Tensor) -> Tensor:
    """Round features to the steps that trees are fitted on."""
    return torch.round(features_ND * _STEPS) / _STEPS


class TreeHead(Head):
    def __init__(self) -> None:
        super().__init__()
        empty = torch.zeros(1, 1)
        nodes = {name: empty.long() for name in ("feature_TM", "left_TM", "right_TM")}
        self.keep(threshold_TM=empty, share_TMK=empty[None], depth=torch.tensor(0), **nodes)
        self.feature_TM: Tensor
        self.threshold_TM: Tensor
        self.left_TM: Tensor
        self.right_TM: Tensor
        self.share_TMK: Tensor  # share of each class among the training pictures of a node

    def prepare(self) -> None:
        depth, thresholds = self._parameters.get("depth"), self._parameters.get("threshold_TM")
        # no tree is deeper than its nodes are many, whatever a file says
        self.steps = 0 if depth is None or thresholds is None else min(int(depth), thresholds.shape[1])

    def take(self, trees: Sequence[Any]) -> None:
        """Take the nodes of trees of scikit-learn (`tree_`)."""
        most = max(tree.node_count for tree in trees)
        filled = {name: np.stack([_padded(values, most) for values in each]) for name, each in _nodes(trees).items()}
        self.keep(depth=max(tree.max_depth for tree in trees), **filled)

    def reason(self, features_1D: Tensor, names: Names, keys: Sequence[str]) -> Reason | None:  # noqa: ARG002 -- as heads
        """Return the path in a single tree; a forest has too many."""
        if len(self.feature_TM) > 1:
            return None
        values, at, told, steps = stepped(features_1D)[0].tolist(), 0, [], []
        for _ in range(self.steps):
            left, right = int(self.left_TM[0, at]), int(self.right_TM[0, at])
            if left == at:
                break
            feature, threshold = int(self.feature_TM[0, at]), float(self.threshold_TM[0, at])
            name, low = names.features[feature], values[feature] <= threshold
            value, limit = told_apart(values[feature], threshold)
            otherwise = f"mostly {self._commonest(right if low else left, names)}"
            steps.append(Step(question=f"{name} is at most {limit}", values=value, holds=low, otherwise=otherwise))
            told.append(f"{name} is {'at most' if low else 'above'} {limit}")
            at = left if low else right
        answer = self._commonest(at, names)
        sentence = f"Path in the tree: {', then '.join(told) or 'it has no threshold'}: {answer}."
        return Reason(sentences=(sentence,), steps=tuple(steps), answer=answer)

    def _commonest(self, node: int, names: Names) -> str:
        """Return the commonest class of the training pictures that pass a node of the first tree, and its share."""
        share, index = self.share_TMK[0, node].max(dim=0)
        return f"{names.classes[int(index)]} ({float(share):.0%} of the training pictures there)"

    def forward(self, features_ND: Tensor) -> Tensor:
        """Return the logarithm of the mean share of each class over the trees, (N, K)."""
        features_ND = stepped(features_ND)
        trees, nodes = self.feature_TM.shape
        root_T1 = nodes * torch.arange(trees, device=features_ND.device)[:, None]
        feature, threshold = self.feature_TM.flatten(), self.threshold_TM.flatten()
        left, right = (self.left_TM + root_T1).flatten(), (self.right_TM + root_T1).flatten()
        at_NT = root_T1[:, 0].expand(features_ND.shape[0], trees)
        for _ in range(self.steps):
            goes_left = features_ND.gather(1, feature[at_NT]) <= threshold[at_NT]
            at_NT = torch.where(goes_left, left[at_NT], right[at_NT])
        share_NK = self.share_TMK.flatten(0, 1)[at_NT].mean(dim=1)
        return torch.log(share_NK.clamp(min=_LEAST))


def _nodes(trees: Sequence[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {
        name: [] for name in ("feature_TM", "threshold_TM", "left_TM", "right_TM", "share_TMK")
    }
    for tree in trees:
        leaf, own = tree.children_left == -1, np.arange(tree.node_count)
        weights_MK = tree.value[:, 0]
        found["feature_TM"].append(np.where(leaf, 0, tree.feature))
        found["threshold_TM"].append(rounded_down(np.where(leaf, 0.0, tree.threshold)))
        found["left_TM"].append(np.where(leaf, own, tree.children_left))
        found["right_TM"].append(np.where(leaf, own, tree.children_right))
        found["share_TMK"].append(weights_MK / weights_MK.sum(axis=1, keepdims=True))
    return found


def _padded(values: Any, length: int) -> Any:
    return np.pad(values, [(0, length - len(values))] + [(0, 0)] * (values.ndim - 1))


def rounded_down(values: Any) -> Any:
    """Return float32 values, none above its float64 one."""
    near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)
