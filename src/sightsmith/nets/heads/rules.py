"""A short list of rules: the first one whose conditions all hold gives the answer.

A condition is a threshold on one feature. The list is learned by separate and conquer (Fürnkranz, "Separate-and-Conquer
Rule Learning", Artificial Intelligence Review 13, 1999): a shallow decision tree is fitted to the pictures that no rule
covers yet; its purest leaf becomes a rule; the pictures in the leaf are covered. The purity of a leaf is
(n + 1) / (N + K), n of its N pictures being of its commonest class. The last rule, without conditions, holds for all
other pictures. Rules that a person wrote are read from a TOML file: in order, each with `when`, a list of conditions
such as "red > 0.4" or "edges <= 0.1" on the names of the features, and `class`; the last one leaves `when` out.

Shapes: N pictures, D features, R rules, L conditions of the longest, K classes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightsmith.core.errors import SettingsError
from sightsmith.core.names import did_you_mean
from sightsmith.core.settings import read_toml
from sightsmith.nets.parts.checks import at_least
from sightsmith.nets.parts.fitted import Head, Names
from sightsmith.nets.parts.reason import Reason, Step, told_apart
from sightsmith.nets.parts.tree_head import rounded_down, stepped

PAPER = "Fürnkranz, Separate-and-Conquer Rule Learning, 1999"

_SMOOTH = 0.5  # Pictures of each class that a rule is thought to have covered besides those it did
_CONDITION = re.compile(r"(\S.*?)\s*(>|<=)\s*([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)")
_Condition = tuple[int, bool, float]  # the feature, whether it must be above the threshold, and the threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    rules: int = 8
    """rules: how many at most, before the one for all other pictures, ≥ 1."""
    conditions: int = 2
    """rules: conditions of a rule at most, ≥ 1."""
    covered: int = 5
    """rules: training pictures that a rule covers at least, ≥ 1."""
    file: str = ""
    """rules: TOML file with rules written by hand, which are kept as they are; empty learns them."""

    def __post_init__(self) -> None:
        for name in ("rules", "conditions", "covered"):
            at_least(f"net.{name}", getattr(self, name), 1)


class Rules(Head):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        one = torch.zeros(1, 1)
        self.keep(feature_RL=one.long(), above_RL=one.long(), threshold_RL=one, share_RK=one, counts_RK=one.long())
        self.feature_RL: Tensor
        self.above_RL: Tensor  # 1: the feature must be above the threshold; 0: at most the threshold
        self.threshold_RL: Tensor
        self.share_RK: Tensor  # share of each class among the training pictures that reach and meet a rule, smoothed
        self.counts_RK: Tensor  # how many they are

    def fit(self, features_ND: Tensor, targets_N: Tensor, names: Names) -> None:
        features, targets, classes = stepped(features_ND).numpy(), targets_N.numpy(), len(names.classes)
        if self.settings.file:
            self._write(*_read(Path(self.settings.file), names), features, targets)
            return
        rules: list[list[_Condition]] = []
        counts: list[NDArray[np.int64]] = []
        left = np.ones(len(targets), dtype=bool)
        while len(rules) < self.settings.rules and len(np.unique(targets[left])) > 1:
            conditions, members = self._best(features[left], targets[left], classes)
            if not conditions:
                break
            places = np.flatnonzero(left)[members]
            rules.append(conditions)
            counts.append(np.bincount(targets[places], minlength=classes))
            left[places] = False
        rules.append([])
        counts.append(np.bincount(targets[left], minlength=classes))
        self._take(rules, np.stack(counts))

    def _write(
        self,
        rules: list[list[_Condition]],
        answers: list[int],
        features_ND: NDArray[np.float32],
        targets_N: NDArray[np.int64],
    ) -> None:
        """Keep rules as they are; how sure each is follows from the training pictures that it covers."""
        counts_RK = np.zeros((len(rules), int(targets_N.max()) + 1), dtype=np.int64)
        self._take(rules, counts_RK)
        first_N = self.first(torch.from_numpy(features_ND)).argmax(dim=1).numpy()
        np.add.at(counts_RK, (first_N, targets_N), 1)
        # the answer is the writer's even where most pictures say otherwise
        believed_RK, own = counts_RK.copy(), (np.arange(len(rules)), np.array(answers))
        believed_RK[own] = np.maximum(believed_RK[own], believed_RK.max(axis=1) + 1)
        self._take(rules, counts_RK, believed_RK)

    def _best(
        self, features_ND: NDArray[np.float32], targets_N: NDArray[np.int64], classes: int
    ) -> tuple[list[_Condition], NDArray[np.int64]]:
        """Return the conditions of the purest leaf and the positions of its pictures; no condition for a bare root."""
        from sklearn.tree import DecisionTreeClassifier

        chosen = DecisionTreeClassifier(
            max_depth=self.settings.conditions, min_samples_leaf=self.settings.covered, random_state=0
        )
        leaves_N = chosen.fit(features_ND, targets_N).apply(features_ND)
        found = np.unique(leaves_N)
        counts = [np.bincount(targets_N[leaves_N == leaf]) for leaf in found]
        purity = [(count.max() + 1) / (count.sum() + classes) for count in counts]
        leaf = int(found[int(np.argmax(purity))])
        return _way_to(chosen.tree_, leaf), np.flatnonzero(leaves_N == leaf)

    def _take(
        self,
        rules: Sequence[Sequence[_Condition]],
        counts_RK: NDArray[np.int64],
        believed_RK: NDArray[np.int64] | None = None,
    ) -> None:
        length = max(1, *(len(one) for one in rules))
        always: _Condition = (0, False, np.inf)  # a condition that every picture meets
        full = [[*one, *[always] * (length - len(one))] for one in rules]
        feature, above, threshold = (np.array([[each[at] for each in one] for one in full]) for at in range(3))
        smoothed_RK = (counts_RK if believed_RK is None else believed_RK) + _SMOOTH
        self.keep(
            feature_RL=feature.astype(np.int64),
            above_RL=above.astype(np.int64),
            threshold_RL=rounded_down(threshold.astype(np.float64)),
            share_RK=smoothed_RK / smoothed_RK.sum(axis=1, keepdims=True),
            counts_RK=counts_RK,
        )

    def forward(self, features_ND: Tensor) -> Tensor:
        """Return the logarithm of the shares of the first rule that holds, (N, K)."""
        return torch.log(self.first(features_ND) @ self.share_RK)

    def first(self, features_ND: Tensor) -> Tensor:
        """Return 1 for the first rule that holds and 0 for the others, (N, R)."""
        features_ND = stepped(features_ND)
        is_above_NRL = features_ND[:, self.feature_RL] > self.threshold_RL
        holds_NR = (is_above_NRL == (self.above_RL > 0)).all(dim=2)
        earlier_NR = holds_NR.float().cumsum(dim=1) - holds_NR.float()
        return (holds_NR & (earlier_NR < 0.5)).float()

    def reason(self, features_1D: Tensor, names: Names, keys: Sequence[str]) -> Reason:  # noqa: ARG002 -- as heads
        """Return the rules down to the one that holds."""
        held, told, values = int(self.first(features_1D).argmax()), self.sentences(names), stepped(features_1D)[0]
        steps = []
        for rule in range(held + 1):
            conditions = self._conditions(rule)
            texts = [told_apart(float(values[feature]), threshold) for feature, _, threshold in conditions]
            if not conditions:
                continue
            steps.append(
                Step(
                    question=" and ".join(
                        _in_words(names.features[feature], above, limit)
                        for (feature, above, _), (_, limit) in zip(conditions, texts, strict=True)
                    ),
                    values=" and ".join(value for value, _ in texts),
                    holds=rule == held,
                    otherwise="the next rules" if rule == held else self._answer(rule, names),
                )
            )
        return Reason(
            sentences=(told[held],), steps=tuple(steps), answer=self._answer(held, names), rest=tuple(told[held + 1 :])
        )

    def sentences(self, names: Names) -> list[str]:
        """Return the rules in words."""
        told = []
        for rule in range(len(self.counts_RK)):
            conditions = [
                _in_words(names.features[feature], above, f"{threshold:.3g}")
                for feature, above, threshold in self._conditions(rule)
            ]
            when = f"If {' and '.join(conditions)}" if conditions else "Otherwise"
            told.append(f"{when}: {self._answer(rule, names)}.")
        return told

    def _conditions(self, rule: int) -> list[_Condition]:
        rows = (tensor[rule].tolist() for tensor in (self.feature_RL, self.above_RL, self.threshold_RL))
        return [
            (feature, bool(above), threshold)
            for feature, above, threshold in zip(*rows, strict=True)
            if np.isfinite(threshold)
        ]

    def _answer(self, rule: int, names: Names) -> str:
        best, counts = int(self.share_RK[rule].argmax()), self.counts_RK[rule].tolist()
        return f"{names.classes[best]} ({counts[best]:,} of {sum(counts):,} training pictures)"


def _in_words(name: str, above: bool, threshold: str) -> str:
    return f"{name} is {'above' if above else 'at most'} {threshold}"


def _read(path: Path, names: Names) -> tuple[list[list[_Condition]], list[int]]:
    """Return the conditions and the class of each rule of a file.

    Raises SettingsError: it is no such file, or names a feature or a class that there is not.
    """
    rules: list[list[_Condition]] = []
    answers = []
    for at, rule in enumerate(read_toml(path).get("rule", []), 1):
        where, answer = f"{path}: rule {at}", str(rule.get("class", ""))
        if answer not in names.classes:
            raise SettingsError(f"{where}: no class {answer!r}. {did_you_mean(answer, names.classes)}")
        rules.append([_condition(str(text), where, names) for text in rule.get("when", [])])
        answers.append(names.classes.index(answer))
    if not rules:
        raise SettingsError(f'{path}: has no rule. Write [[rule]] with when = ["red > 0.4"] and class = "…".')
    if rules[-1]:
        raise SettingsError(f"{path}: the last rule must have no condition, so that every picture gets an answer.")
    return rules, answers


def _condition(text: str, where: str, names: Names) -> _Condition:
    found = _CONDITION.fullmatch(text.strip())
    if found is None:
        raise SettingsError(f"{where}: {text!r} is no condition. Write NAME > NUMBER or NAME <= NUMBER.")
    if found[1] not in names.features:
        raise SettingsError(f"{where}: no feature {found[1]!r}. {did_you_mean(found[1], names.features)}")
    return names.features.index(found[1]), found[2] == ">", float(found[3])


def _way_to(tree: Any, leaf: int) -> list[_Condition]:
    """Return the conditions from the root of a tree of scikit-learn to a node."""
    parents = {int(child): (node, above) for node in range(tree.node_count) for child, above in _children(tree, node)}
    way: list[_Condition] = []
    while leaf in parents:
        leaf, above = parents[leaf]
        way.insert(0, (int(tree.feature[leaf]), above, float(tree.threshold[leaf])))
    return way


def _children(tree: Any, node: int) -> list[tuple[int, bool]]:
    both = ((tree.children_left[node], False), (tree.children_right[node], True))
    return [(child, above) for child, above in both if child >= 0]


def build(settings: Settings) -> Rules:
    return Rules(settings)
