"""How far a metric may be off by the luck of the test set: bootstrap intervals and paired tests, NumPy only.

Drawing N samples with replacement and counting how many fall in each cell (one target and one answer) is one draw
from the multinomial distribution over the cells, so a repeat costs as many numbers as there are non-empty cells.
Samples of one group (frames of a video, pictures of a patient) are alike, so groups are drawn whole: the interval is
of other groups, not of other pictures of the same ones.

Papers: Efron, "Bootstrap methods", 1979 (percentile interval); Davison and Hinkley, "Bootstrap methods and their
application", 1997, section 3.8 (groups drawn whole); McNemar, "Note on the sampling error of the difference between
correlated proportions", 1947 (exact form, by the binomial distribution); Fisher, "The design of experiments", 1935,
section 21 (sign flips). Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

Shapes: N samples, K classes, C non-empty cells, G groups, P non-empty pairs of a cell and a group, R repeats.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightsmith.evaluation.metrics import Integers, per_class_of_counts

REPEATS = 2000
LEVEL = 0.95
FEW_GROUPS = 10
"""With fewer groups an interval is at least as wide as Wilson's of as many samples as there are groups."""
_NORMAL = 1.959964
"""Standard deviations of a normal distribution that hold 95 %."""
_CHUNK_NUMBERS = 4_000_000
"""Numbers drawn at a time, 32 MB of memory."""

Figures = dict[str, NDArray[np.floating]]
"""`accuracy`, `balanced_accuracy` and `macro_f1`, each (R,)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the range that 95 % of resampled test sets give."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Cells:
    """Samples counted by cell; with groups also by pair of cell and group, in the order of the cells.

    Attributes:
        columns_CX: the target and each model's answer.
        counts_C: samples of each cell.
        groups: how many groups there are; 0 where each sample stands for itself.
        group_P: group of each pair.
        counts_P: samples of each pair.
        starts_C: where the pairs of each cell start.
    """

    columns_CX: Integers
    counts_C: Integers
    groups: int
    group_P: Integers
    counts_P: Integers
    starts_C: Integers

    def draws(self, repeats: int, seed: int) -> Iterator[Integers]:
        """Yield the counts of each cell in resampled test sets, (R, C), some repeats at a time."""
        rng = np.random.default_rng(seed)
        width = max(len(self.group_P), len(self.counts_C), self.groups)
        step = max(1, _CHUNK_NUMBERS // width)
        for done in range(0, repeats, step):
            size = min(step, repeats - done)
            if not self.groups:
                yield rng.multinomial(self.counts_C.sum(), self.counts_C / self.counts_C.sum(), size=size)
                continue
            times_RG = rng.multinomial(self.groups, np.full(self.groups, 1 / self.groups), size=size)
            yield np.add.reduceat(times_RG[:, self.group_P] * self.counts_P, self.starts_C, axis=1)


def _cells(columns_NX: Integers, groups_N: Integers | None) -> _Cells:
    cells_CX, cell_N, counts_C = np.unique(columns_NX, axis=0, return_inverse=True, return_counts=True)
    if groups_N is None:
        none = np.zeros(0, dtype=np.int64)
        return _Cells(cells_CX, counts_C, 0, none, none, none)
    pairs_P2, counts_P = np.unique(np.stack([cell_N.reshape(-1), groups_N], axis=1), axis=0, return_counts=True)
    starts_C = np.searchsorted(pairs_P2[:, 0], np.arange(len(cells_CX)))
    return _Cells(cells_CX, counts_C, int(groups_N.max()) + 1, pairs_P2[:, 1], counts_P, starts_C)


def group_indices(groups: Sequence[str]) -> Integers:
    """Return (N,) the number of each sample's group, counted from 0; a sample without a name is a group of its own."""
    numbers: dict[str | int, int] = {}
    return np.array([numbers.setdefault(name or place, len(numbers)) for place, name in enumerate(groups)])


def intervals(
    predicted_N: Integers,
    targets_N: Integers,
    classes: int,
    groups_N: Integers | None = None,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return the 95 % intervals of `accuracy`, `balanced_accuracy` and `macro_f1`.

    Args:
        predicted_N: index of each answer.
        targets_N: index of each target.
        classes: how many classes there are.
        groups_N: number of each sample's group, every number from 0 on in use; None where each sample stands for
            itself.
        repeats: bootstrap repeats.
        seed: of the draws; the same seed gives the same intervals.
    """
    cells = _cells(np.stack([targets_N, predicted_N], axis=1), groups_N)
    (whole,) = _figures(cells.counts_C[None], cells.columns_CX, classes)
    drawn = [_figures(counts_RC, cells.columns_CX, classes)[0] for counts_RC in cells.draws(repeats, seed)]
    found = {name: _interval(whole[name], np.concatenate([one[name] for one in drawn])) for name in whole}
    return _widened(found, _wilson, targets_N, groups_N)


def differences(
    first_N: Integers,
    second_N: Integers,
    targets_N: Integers,
    classes: int,
    groups_N: Integers | None = None,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return second minus first of the same metrics with 95 % intervals, both models answering the same samples.

    Each repeat draws samples or groups, not answers, so what makes one hard for both cancels out. Where all repeats
    are alike, or with fewer than `FEW_GROUPS` groups, the interval reaches as far as Wilson's of a flawless result.
    """
    cells = _cells(np.stack([targets_N, first_N, second_N], axis=1), groups_N)

    def gaps(counts_RC: Integers) -> Figures:
        first, second = _figures(counts_RC, cells.columns_CX, classes)
        return {name: second[name] - first[name] for name in first}

    whole = gaps(cells.counts_C[None])
    drawn = [gaps(counts_RC) for counts_RC in cells.draws(repeats, seed)]
    found = {name: _interval(whole[name], np.concatenate([one[name] for one in drawn])) for name in whole}
    return _widened(found, _around, targets_N, groups_N)


def _widened(
    found: dict[str, Interval],
    reach: Callable[[float, Integers], tuple[float, float]],
    targets_N: Integers,
    groups_N: Integers | None,
) -> dict[str, Interval]:
    """Widen the intervals that resampling leaves too narrow, to what `reach` gives for a value and counts of samples.

    Too narrow are those whose resamples are all alike, such as of a flawless result, and all where a handful of groups
    says too little of how groups differ. The reach of a metric that averages over classes is the mean of theirs.
    """
    drawn_N = np.arange(len(targets_N)) if groups_N is None else groups_N
    pairs_P2 = np.unique(np.stack([targets_N, drawn_N], axis=1), axis=0)
    whole_1, support_K = np.array([len(np.unique(drawn_N))]), np.unique(pairs_P2[:, 0], return_counts=True)[1]
    few = groups_N is not None and int(whole_1[0]) < FEW_GROUPS
    widened = {}
    for name, one in found.items():
        widened[name] = one
        if few or one.low == one.high:
            low, high = reach(one.value, whole_1 if few or name == "accuracy" else support_K)
            widened[name] = Interval(one.value, min(one.low, low), max(one.high, high))
    return widened


def _wilson(value: float, counts: Integers) -> tuple[float, float]:
    """Return Wilson's interval of a share, the mean of those by each count."""
    shrink = _NORMAL**2 / counts
    middle = (value + shrink / 2) / (1 + shrink)
    half = np.sqrt(value * (1 - value) * shrink + shrink**2 / 4) / (1 + shrink)
    return float((middle - half).mean().clip(0, value)), float((middle + half).mean().clip(value, 1))


def _around(gap: float, counts: Integers) -> tuple[float, float]:
    """Return a difference of two shares less and more what Wilson's interval leaves to a flawless one."""
    reach = float((_NORMAL**2 / (counts + _NORMAL**2)).mean())
    return max(-1.0, gap - reach), min(1.0, gap + reach)


def paired_p_value(
    first_N: Integers, second_N: Integers, targets_N: Integers, groups_N: Integers | None = None
) -> float:
    """Return the exact two-sided p-value of "both models err equally often", in 0…1.

    Only samples that one model gets right and the other wrong tell them apart; under the hypothesis which of the two
    it is, is a fair coin: McNemar's test. With groups there is one coin a group, for all of its samples: sign flips
    of the groups' leads, of which McNemar's test is the case of groups of one sample.
    """
    lead_N = (second_N == targets_N).astype(np.int64) - (first_N == targets_N)
    lead_G = lead_N
    if groups_N is not None:
        lead_G = np.zeros(int(groups_N.max()) + 1, dtype=np.int64)
        np.add.at(lead_G, groups_N, lead_N)
    chances_H = _sums_of_coins(np.abs(lead_G[lead_G != 0]))
    gap_H = np.abs(2 * np.arange(len(chances_H)) - (len(chances_H) - 1))
    return min(1.0, float(chances_H[gap_H >= abs(int(lead_G.sum()))].sum()))


def _sums_of_coins(values: Integers) -> NDArray[np.float64]:
    """Return the chance of each sum 0…total of fair coins, each worth its value or nothing."""
    ones = int((values == 1).sum())
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, ones + 1)))])
    chances = np.exp(log_factorials[-1] - log_factorials - log_factorials[::-1] - ones * np.log(2))
    for value in values[values > 1].tolist():
        none = np.zeros(value)
        chances = (np.concatenate([chances, none]) + np.concatenate([none, chances])) / 2
    return chances


def _figures(counts_RC: Integers, cells_CX: Integers, classes: int) -> list[Figures]:
    """Return the figures of each model; a cell is a target and each model's answer."""
    target_C = cells_CX[:, 0]
    support_RK = _sums(counts_RC, target_C, classes)
    return [_figures_of(counts_RC, target_C, answer_C, support_RK) for answer_C in cells_CX[:, 1:].T]


def _figures_of(counts_RC: Integers, target_C: Integers, answer_C: Integers, support_RK: Integers) -> Figures:
    classes = support_RK.shape[1]
    right_C = answer_C == target_C
    hits_RK = _sums(counts_RC[:, right_C], target_C[right_C], classes)
    each = per_class_of_counts(hits_RK, support_RK, _sums(counts_RC, answer_C, classes))
    return {
        "accuracy": hits_RK.sum(axis=1) / support_RK.sum(axis=1),
        "balanced_accuracy": np.nanmean(each.recall_K, axis=1),
        "macro_f1": np.nanmean(each.f1_K, axis=1),
    }


def _sums(counts_RC: Integers, class_C: Integers, classes: int) -> NDArray[np.int64]:
    """Add up the counts of the cells of each class, (R, K)."""
    sums_RK = np.zeros((len(counts_RC), classes), dtype=np.int64)
    if len(class_C):
        order_C = np.argsort(class_C, kind="stable")
        present, starts = np.unique(class_C[order_C], return_index=True)
        sums_RK[:, present] = np.add.reduceat(counts_RC[:, order_C], starts, axis=1)
    return sums_RK


def _interval(whole: NDArray[np.floating], drawn_R: NDArray[np.floating]) -> Interval:
    low, high = np.quantile(drawn_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(whole[0]), float(low), float(high))
