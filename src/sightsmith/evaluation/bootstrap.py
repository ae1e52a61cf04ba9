"""How far a metric may be off by the luck of the test set: bootstrap intervals and paired tests, NumPy only.

Drawing N samples with replacement and counting how many fall in each cell (one target and one answer) is one draw
from the multinomial distribution over the cells, so a repeat costs as many numbers as there are non-empty cells.

Papers: Efron, "Bootstrap methods", 1979 (percentile interval); McNemar, "Note on the sampling error of the
difference between correlated proportions", 1947 (exact form, by the binomial distribution). Wilson, "Probable
inference, the law of succession, and statistical inference", 1927 (interval of a proportion without a mistake).

Shapes: N samples, K classes, C non-empty cells, R repeats.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightsmith.evaluation.metrics import Integers, per_class_of_counts

REPEATS = 2000
LEVEL = 0.95
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


def intervals(
    predicted_N: Integers, targets_N: Integers, classes: int, *, repeats: int = REPEATS, seed: int = 0
) -> dict[str, Interval]:
    """Return the 95 % intervals of `accuracy`, `balanced_accuracy` and `macro_f1`.

    Args:
        predicted_N: index of each answer.
        targets_N: index of each target.
        classes: how many classes there are.
        repeats: bootstrap repeats.
        seed: of the draws; the same seed gives the same intervals.
    """
    cells_C2, counts_C = np.unique(np.stack([targets_N, predicted_N], axis=1), axis=0, return_counts=True)
    (whole,) = _figures(counts_C[None], cells_C2, classes)
    drawn = [_figures(counts_RC, cells_C2, classes)[0] for counts_RC in _draws(counts_C, repeats, seed)]
    found = {name: _interval(whole[name], np.concatenate([one[name] for one in drawn])) for name in whole}
    whole_1 = np.array([len(targets_N)])
    support_K = np.unique(targets_N, return_counts=True)[1]
    return {name: _widened(one, whole_1 if name == "accuracy" else support_K) for name, one in found.items()}


def _widened(interval: Interval, counts: Integers) -> Interval:
    """Widen the interval of a flawless (or hopeless) result, whose resamples are all alike, by Wilson's formula.

    Counts are the samples of each class for a metric that averages over classes: its reach is the mean of theirs.
    """
    if interval.low < interval.high or interval.value not in (0.0, 1.0):
        return interval
    reach = float((_NORMAL**2 / (counts + _NORMAL**2)).mean())
    return Interval(interval.value, *((1 - reach, 1.0) if interval.value else (0.0, reach)))


def differences(
    first_N: Integers, second_N: Integers, targets_N: Integers, classes: int, *, repeats: int = REPEATS, seed: int = 0
) -> dict[str, Interval]:
    """Return second minus first of the same metrics with 95 % intervals, both models answering the same samples.

    Each repeat draws samples, not answers, so what makes a sample hard for both cancels out.
    """
    cells_C3, counts_C = np.unique(np.stack([targets_N, first_N, second_N], axis=1), axis=0, return_counts=True)

    def gaps(counts_RC: Integers) -> Figures:
        first, second = _figures(counts_RC, cells_C3, classes)
        return {name: second[name] - first[name] for name in first}

    whole = gaps(counts_C[None])
    drawn = [gaps(counts_RC) for counts_RC in _draws(counts_C, repeats, seed)]
    return {name: _interval(whole[name], np.concatenate([one[name] for one in drawn])) for name in whole}


def mcnemar(first_N: Integers, second_N: Integers, targets_N: Integers) -> float:
    """Return the exact two-sided p-value of "both models err equally often", in 0…1.

    Only samples that one model gets right and the other wrong tell them apart; under the hypothesis each of those
    is a fair coin.
    """
    first_right_N, second_right_N = first_N == targets_N, second_N == targets_N
    only_first = int((first_right_N & ~second_right_N).sum())
    only_second = int((~first_right_N & second_right_N).sum())
    flips = only_first + only_second
    tail = sum(_fair_coin(heads, flips) for heads in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail)


def _fair_coin(heads: int, flips: int) -> float:
    log_ways = math.lgamma(flips + 1) - math.lgamma(heads + 1) - math.lgamma(flips - heads + 1)
    return math.exp(log_ways - flips * math.log(2))


def _draws(counts_C: Integers, repeats: int, seed: int) -> Iterator[NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    total = int(counts_C.sum())
    step = max(1, _CHUNK_NUMBERS // len(counts_C))
    for done in range(0, repeats, step):
        yield rng.multinomial(total, counts_C / total, size=min(step, repeats - done))


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
