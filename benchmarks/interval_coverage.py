"""Claim: 95 % intervals hold the truth in 93–97 % of test sets, with groups and rare classes.

Test sets are drawn whose truth is known, each a few thousand times (`python -m benchmarks interval_coverage 500` draws
fewer), and it is counted how often the intervals of `evaluate` and `compare` hold it. The truth is the metric on
endless pictures with the same shares of the classes. A group is right on its pictures with a chance of its own, drawn
around the recall of its class, and wrong answers prefer some classes, as models do.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import claim, machine
from sightsmith.kinds.labels.uncertainty import Interval, differences, intervals

_KEPT = 0.7
"""Share of the pictures on which the second model answers as the first."""
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Answers = tuple[Integers, Integers, Integers, Integers]
"""Targets, groups, and the answers of two models."""


@dataclass(frozen=True)
class World:
    """Where test sets are drawn from.

    Attributes:
        groups_K: how many groups of each class a test set has.
        recall_K: recall of each class on endless pictures.
        sizes: fewest and most pictures of a group.
        alike: how alike the pictures of a group are: its chance is drawn from a beta distribution of this strength,
            the smaller the more alike. A group that holds pictures of all classes has the same shift for all instead.
        drawn: whether the groups of each class are drawn by their shares, one at least, instead of fixed.
        crossed: groups hold pictures of all classes; `groups_K` then counts pictures, in as many groups.
    """

    groups_K: Sequence[int]
    recall_K: Floats
    sizes: tuple[int, int] = (1, 1)
    alike: float = 4.0
    drawn: bool = False
    crossed: int = 0

    def draw(self, rng: np.random.Generator, wrong_K: Floats) -> Answers:
        """Draw a test set and two models' answers to it."""
        groups_K = np.array(self.groups_K)
        if self.drawn:
            more_K = (groups_K - 1) / (groups_K - 1).sum()
            groups_K = 1 + rng.multinomial((groups_K - 1).sum(), more_K)
        class_G = np.repeat(np.arange(len(groups_K)), groups_K)
        size_G = rng.integers(self.sizes[0], self.sizes[1] + 1, len(class_G))
        groups_N = np.repeat(np.arange(len(class_G)), size_G)
        targets_N = class_G[groups_N]
        if self.crossed:
            groups_N = np.unique(rng.integers(self.crossed, size=len(targets_N)), return_inverse=True)[1]
            chance_N = self.recall_K[targets_N] + rng.uniform(-0.2, 0.2, self.crossed)[groups_N]
        elif self.sizes == (1, 1):
            chance_N = self.recall_K[targets_N]
        else:
            mean_G = self.recall_K[class_G]
            chance_N = rng.beta(self.alike * mean_G, self.alike * (1 - mean_G))[groups_N]
        first_N = _answers(rng, targets_N, chance_N, wrong_K)
        other_N = _answers(rng, targets_N, _second(self.recall_K)[targets_N], wrong_K)
        return targets_N, groups_N, first_N, np.where(rng.random(len(targets_N)) < _KEPT, first_N, other_N)

    def truth(self, recall_K: Floats, wrong_K: Floats) -> dict[str, float]:
        """Return the metrics of a model with these recalls on endless pictures."""
        share_K = np.array(self.groups_K) / np.sum(self.groups_K)
        wrong_KK = np.tile(wrong_K, (len(wrong_K), 1))
        np.fill_diagonal(wrong_KK, 0)
        hits_K = share_K * recall_K
        answered_K = hits_K + (share_K - hits_K) @ (wrong_KK / wrong_KK.sum(axis=1, keepdims=True))
        f1 = float((2 * hits_K / (share_K + answered_K)).mean())
        return {"accuracy": float(hits_K.sum()), "balanced_accuracy": float(recall_K.mean()), "macro_f1": f1}


def _second(recall_K: Floats) -> Floats:
    return 0.1 + 0.8 * recall_K


def _answers(rng: np.random.Generator, targets_N: Integers, chance_N: Floats, wrong_K: Floats) -> Integers:
    """Draw answers that are right by chance; a wrong one falls on the other classes in proportion to `wrong_K`."""
    ends_K = np.cumsum(wrong_K) / wrong_K.sum()
    own_N = np.append(0, ends_K)[targets_N]
    at_N = rng.random(len(targets_N)) * (1 - (ends_K[targets_N] - own_N))
    at_N += np.where(at_N >= own_N, ends_K[targets_N] - own_N, 0)
    wrong_N = np.searchsorted(ends_K, at_N, side="right").clip(max=len(wrong_K) - 1)
    return np.where(rng.random(len(targets_N)) < chance_N, targets_N, wrong_N)


def _worlds() -> dict[str, World]:
    rare = np.repeat([1, 2, 4, 6, 9], [10, 11, 10, 7, 5])
    plain = np.repeat([1, 3, 10, 30, 100], [10, 10, 10, 5, 5])
    return {
        "43 classes, 1–9 groups, rare ones weak": World(rare, 0.05 + 0.05 * rare, (25, 25), 2.0),
        "the same, number of groups drawn": World(rare, 0.05 + 0.05 * rare, (25, 25), 2.0, drawn=True),
        "the same classes, recall 0.6 each": World(rare, np.full(43, 0.6), (25, 25), 2.0, drawn=True),
        "the same, 5–45 pictures, recall 0.4 or 0.85": World(rare, np.where(rare < 3, 0.4, 0.85), (5, 45), 2.0),
        "10 classes, 1–12 groups": World([1, 2, 3, 4, 5, 6, 8, 9, 10, 12], np.linspace(0.5, 0.9, 10), (20, 20)),
        "3 classes, 9 groups in all": World([2, 3, 4], np.array([0.6, 0.7, 0.8]), (20, 20)),
        "2 classes, 8 groups of 5–60 pictures": World([4, 4], np.array([0.7, 0.8]), (5, 60)),
        "3 classes, 100, 2 and 4 groups": World([100, 2, 4], np.array([0.95, 0.5, 0.6]), (10, 10)),
        "4 classes, 100 groups, nearly all right": World([10, 20, 30, 40], np.full(4, 0.985), (10, 10), 10.0),
        "30 classes, 2–10 groups, nearly all right": World(
            np.repeat([2, 4, 10], 10), np.repeat([0.95, 0.98, 0.98], 10), (10, 10), 10.0
        ),
        "20 classes near chance, 1–20 groups": World(np.repeat([1, 3, 10, 20], 5), np.full(20, 0.06), (10, 10), 5.0),
        "6 classes in each of 8 groups": World([48] * 6, np.linspace(0.4, 0.75, 6), crossed=8),
        "6 classes in each of 30 groups": World([30] * 6, np.linspace(0.4, 0.75, 6), crossed=30),
        "no groups, 40 classes of 1–100 pictures": World(plain, np.linspace(0.5, 0.8, 40)),
        "no groups, 20 classes, nearly all right": World(
            np.repeat([2, 5, 20, 60], 5), np.repeat([0.9, 0.97], 10), drawn=True
        ),
        "no groups, 2 classes of 180 and 20 pictures": World([180, 20], np.array([0.9, 0.6])),
    }


def _coverage(world: World, draws: int, seed: int) -> Floats:
    """Return how often the three intervals of a model, then of a difference, hold the truth, (6,)."""
    rng = np.random.default_rng(seed)
    wrong_K = rng.dirichlet(np.full(len(world.groups_K), 2.0))
    first = world.truth(world.recall_K, wrong_K)
    second = world.truth(_KEPT * world.recall_K + (1 - _KEPT) * _second(world.recall_K), wrong_K)
    gap = {name: second[name] - first[name] for name in first}
    held = np.zeros(6)
    for _ in range(draws):
        targets_N, groups_N, first_N, second_N = world.draw(rng, wrong_K)
        one, two = intervals(first_N, targets_N, groups_N), differences(first_N, second_N, targets_N, groups_N)
        held += [_holds(one[name], first[name]) for name in first] + [_holds(two[name], gap[name]) for name in gap]
    return held / draws


def _holds(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def main() -> None:
    print(machine())
    draws = int(sys.argv[1]) if sys.argv[1:] else 2000
    print(f"{draws} draws each; accuracy, balanced accuracy, macro F1; the same of a difference of two models\n")
    held = []
    for seed, (name, world) in enumerate(_worlds().items()):
        held.append(_coverage(world, draws, seed))
        print(f"| {name} | {' | '.join(f'{share:.3f}' for share in held[-1])} |", flush=True)
    reached = []
    for at, name in enumerate(("accuracy", "balanced accuracy", "macro F1")):
        for kind, shift in (("", 0), (", difference", 3)):
            values = np.array(held)[:, at + shift]
            reached.append(claim(f"{name}{kind}, least", values.min(), 0.93, unit=""))
            reached.append(claim(f"{name}{kind}, most", values.max(), 0.97, unit="", at_most=True))
    sys.exit(not all(reached))


main()
