"""Bootstrap intervals of metrics, resampling the samples or their groups.

A metric is computed from weights: how often each sample was drawn. So a draw copies no answers,
and two models are compared under the same draws.

Papers: Efron, "Better Bootstrap Confidence Intervals", JASA 82 (1987) (percentiles corrected for bias and skewness:
BCa); Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69 (2015), arXiv:1411.5279
(percentiles widened for few samples). Both together hold the mean of 20, 40 and 100 skewed values in 94 % of cases,
plain percentiles in 91 to 93 %.

Shapes: N samples, G groups, R draws, r draws of one step.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from sightsmith.kinds.parts.intervals import Interval, student_deviations

Floats = NDArray[np.float64]
Values = Callable[[Floats], Mapping[str, Floats]]
"""From the weights (r, N) to the value of each metric in each draw, (r,); NaN if a draw does not define it."""

_DRAWS = 1000
_WORK = 400_000_000  # Maximum operations of all draws together; larger inputs get fewer draws
_LEAST = 50
_JACKKNIFED = 500  # Groups up to which skewness is corrected: with more, it hardly matters
_NORMAL = NormalDist()
_STEP = 4_000_000  # Weights that are held at once


def intervals(
    values: Values, count: int, groups_N: NDArray[np.integer] | None, *, cost: int = 1
) -> dict[str, Interval]:
    """Return the 95 % interval of each metric.

    Args:
        count: of samples.
        groups_N: number of each sample's group, which is drawn as a whole; None draws samples.
        cost: operations a sample and draw.
    """
    return compared(values, count, groups_N, cost=cost)[0]


def compared(
    values: Values, count: int, groups_N: NDArray[np.integer] | None, *, cost: int = 1
) -> tuple[dict[str, Interval], dict[str, float]]:
    """Return the intervals, as `intervals`, and for each metric the two-sided p-value of "it is 0" from the draws."""
    centre = {name: float(value[0]) for name, value in values(np.ones((1, count))).items()}
    units = count if groups_N is None else int(groups_N.max()) + 1
    if units < 2:
        return {}, {}
    drawn = _collected(values, _weights(count, groups_N, draws(count, cost)))
    few = units <= _JACKKNIFED and units * count * cost <= _WORK
    without = _collected(values, _one_left_out(count, units, groups_N)) if few else {}
    found = {name: _interval(centre[name], drawn[name], without.get(name), units) for name in centre}
    known = {name: one for name, one in found.items() if one is not None}
    return known, {name: _p_value(drawn[name]) for name in known}


def _p_value(drawn_R: Floats) -> float:
    drawn_R = drawn_R[np.isfinite(drawn_R)]
    sides = ((drawn_R <= 0).sum(), (drawn_R >= 0).sum())
    return min(1.0, 2 * (int(min(sides)) + 1) / (len(drawn_R) + 1))


def _collected(values: Values, weights: Iterator[Floats]) -> dict[str, Floats]:
    steps = [values(weights_rN) for weights_rN in weights]
    return {name: np.concatenate([one[name] for one in steps]) for name in steps[0]}


def draws(count: int, cost: int = 1) -> int:
    """Return how many draws are made of that many samples: fewer for many."""
    return max(_LEAST, min(_DRAWS, _WORK // max(1, count * cost)))


def _weights(count: int, groups_N: NDArray[np.integer] | None, total: int) -> Iterator[Floats]:
    rng = np.random.default_rng(0)
    units = count if groups_N is None else int(groups_N.max()) + 1
    step = max(1, _STEP // max(count, units))
    for start in range(0, total, step):
        size = min(step, total - start)
        drawn_rG = rng.multinomial(units, np.full(units, 1 / units), size=size).astype(np.float64)
        yield drawn_rG if groups_N is None else drawn_rG[:, groups_N]


def _one_left_out(count: int, units: int, groups_N: NDArray[np.integer] | None) -> Iterator[Floats]:
    """Yield weights that leave out one group, for each group in turn."""
    group_N = np.arange(count) if groups_N is None else groups_N
    step = max(1, _STEP // count)
    for start in range(0, units, step):
        left_out_r = np.arange(start, min(start + step, units))
        yield (group_N != left_out_r[:, None]).astype(np.float64)


def _interval(value: float, drawn_R: Floats, without_G: Floats | None, units: int) -> Interval | None:
    """Return the BCa interval, widened as Student's for few samples; it always contains the value."""
    drawn_R = drawn_R[np.isfinite(drawn_R)]
    if not len(drawn_R) or not math.isfinite(value):
        return None
    wide = student_deviations(units - 1) * math.sqrt(units / (units - 1))
    below = (float((drawn_R < value).mean()) + float((drawn_R <= value).mean())) / 2
    bias = _NORMAL.inv_cdf(min(max(below, 1 / len(drawn_R)), 1 - 1 / len(drawn_R)))
    skew = 0.0 if without_G is None else _acceleration(without_G)
    ends = (bias + (bias + side) / max(0.1, 1 - skew * (bias + side)) for side in (-wide, wide))
    low, high = np.quantile(drawn_R, [_NORMAL.cdf(end) for end in ends])
    return Interval(value, min(float(low), value), max(float(high), value))


def _acceleration(without_G: Floats) -> float:
    """Return how the standard error changes with the value, from the values without one group each."""
    pull_G = without_G[np.isfinite(without_G)]
    pull_G = pull_G.mean() - pull_G if len(pull_G) else pull_G
    square = float((pull_G**2).sum())
    return float((pull_G**3).sum()) / (6 * square**1.5) if square > 0 else 0.0


def flipped_p_value(first_N: Floats, second_N: Floats, groups_N: NDArray[np.integer] | None) -> float:
    """Return the two-sided p-value of "the two models are equally good" for a metric that is a mean over samples.

    Under the hypothesis, a coin per group decides whether its values are swapped between the models (Fisher's
    sign flips), so the sum of their differences is compared with sums under 10,000 throws.
    """
    gap_G = second_N - first_N if groups_N is None else np.bincount(groups_N, second_N - first_N)
    if not gap_G.any():
        return 1.0
    rng, total = np.random.default_rng(0), 10_000
    as_far = 0
    for start in range(0, total, step := max(1, _STEP // len(gap_G))):
        signs = rng.integers(0, 2, (min(step, total - start), len(gap_G)), dtype=np.int8) * 2 - 1
        as_far += int((np.abs(signs @ gap_G) >= abs(gap_G.sum()) * (1 - 1e-9)).sum())
    return (as_far + 1) / (total + 1)
