"""Figures of a regressor's answers: errors, correlation, the prediction interval, and the baseline.

Shapes: N samples, r draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.kinds.number.value import METRIC, Number
from sightsmith.kinds.parts import bootstrap, summary
from sightsmith.kinds.parts.bootstrap import Floats
from sightsmith.kinds.parts.intervals import known, middle_ranks, wilson
from sightsmith.kinds.parts.sections import Evaluated, Measured, Paired

TITLES = {
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R²",
    "spearman": "Spearman",
    "coverage": "in the interval",
    "mae_of_mean": "MAE of mean",
}
_WITH_UNIT = ("mae", "rmse", "mae_of_mean")
_SPEARMAN_COST = 8
_EXPLAINS = (
    "The p-value is of sign flips on each picture's absolute error; if pictures have groups, whole groups are flipped."
)
_ROUNDING = 1e-14  # Variances below this share of the squared values are rounding errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The answer to each sample."""

    truths_N: NDArray[np.float64]
    values_N: NDArray[np.float64]

    @property
    def off_N(self) -> NDArray[np.float64]:
        """Answers minus truths."""
        return self.values_N - self.truths_N


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures besides the averages."""

    unit: str
    quantity: str
    mean: float  # of the truths
    bias: float  # mean of answers minus truths
    reach: float | None  # half the width of the prediction interval
    wanted_coverage: float | None  # share of numbers that should lie inside it


def measure(
    answers: Sequence[Number], truths: Sequence[float], names: Sequence[str], groups_N: NDArray[np.integer] | None
) -> Measured:
    """Compute every metric of N answers; `groups_N` is the number of each sample's group, None for none."""
    rows = Rows(truths_N=np.array(truths, np.float64), values_N=np.array([answer.value for answer in answers]))
    one = answers[0]
    values = _values(rows, one.reach)
    overall = {name: known(value[0]) for name, value in values(np.ones((1, len(truths)))).items()}
    intervals = bootstrap.intervals(values, len(truths), groups_N, cost=_SPEARMAN_COST)
    if overall.get("coverage") in (0.0, 1.0):  # draws of equal outcomes show no spread
        units = len(truths) if groups_N is None else int(groups_N.max()) + 1
        intervals["coverage"] = wilson(overall["coverage"] or 0.0, units)
    return Measured(
        overall=overall,
        intervals=intervals,
        figures=Figures(
            unit=one.unit,
            quantity=one.quantity,
            mean=float(rows.truths_N.mean()),
            bias=float(rows.off_N.mean()),
            reach=one.reach,
            wanted_coverage=one.coverage,
        ),
        rows=rows,
    )


def _values(rows: Rows, reach: float | None) -> bootstrap.Values:
    """Return a function from weights to every metric.

    `mae_of_mean` is the error of always answering the mean of these truths, the baseline. Spearman's correlation is
    that of the ranks in the whole sample, under the weights.
    """
    off_N, truths_N = rows.off_N, rows.truths_N
    ranks = middle_ranks(rows.values_N), middle_ranks(truths_N)
    least = _ROUNDING * max(float((truths_N**2).max()), 1e-300)

    def values(weights_rN: Floats) -> dict[str, Floats]:
        share_rN = weights_rN / weights_rN.sum(axis=1, keepdims=True)
        mean_r = share_rN @ truths_N
        from_mean_rN = truths_N - mean_r[:, None]
        square_r, spread_r = share_rN @ off_N**2, (share_rN * from_mean_rN**2).sum(axis=1)
        found = {
            "mae": share_rN @ np.abs(off_N),
            "rmse": np.sqrt(square_r),
            "r2": np.where(spread_r > least, 1 - square_r / np.maximum(spread_r, 1e-300), np.nan),
            "spearman": _correlation(*ranks, share_rN),
            "mae_of_mean": (share_rN * np.abs(from_mean_rN)).sum(axis=1),
        }
        return found if reach is None else {**found, "coverage": share_rN @ (np.abs(off_N) <= reach)}

    return values


def _correlation(first_N: Floats, second_N: Floats, share_rN: Floats) -> Floats:
    one_rN, other_rN = (values_N - (share_rN @ values_N)[:, None] for values_N in (first_N, second_N))
    spread_r = (share_rN * one_rN**2).sum(axis=1) * (share_rN * other_rN**2).sum(axis=1)
    common_r = (share_rN * one_rN * other_rN).sum(axis=1)
    least = _ROUNDING * len(first_N) ** 4
    return np.where(spread_r > least, common_r / np.sqrt(np.maximum(spread_r, 1e-300)), np.nan)


def save(evaluated: Evaluated) -> dict[str, Any]:
    """Return the kind's part of evaluation.json."""
    return asdict(evaluated.figures)


def load(raw: Mapping[str, Any]) -> tuple[tuple[str, ...], Figures]:
    """Return no names, and the figures that `save` wrote. Raises KeyError, TypeError: they are damaged."""
    return (), Figures(**{name: raw[name] for name in Figures.__dataclass_fields__})


def to_table(rows: Rows, names: Sequence[str]) -> tuple[list[str], int, list[list[str]]]:
    """Return the columns, how many of them lead, and a row of cells a sample."""
    pairs = zip(rows.truths_N.tolist(), rows.values_N.tolist(), strict=True)
    cells = [[repr(truth), repr(value), f"{value - truth:.6g}"] for truth, value in pairs]
    return ["target", "answer", "off"], 3, cells


def from_table(header: Sequence[str], cells: Sequence[Sequence[str]], names: Sequence[str]) -> Rows:
    """Read back a table of `to_table`."""
    both = np.array([row[:2] for row in cells], dtype=np.float64)
    return Rows(truths_N=both[:, 0], values_N=both[:, 1])


def compare(
    first: Evaluated, second: Evaluated, order_N: NDArray[np.integer], groups_N: NDArray[np.integer] | None
) -> Paired:
    """Compare two evaluations of the same samples; the arguments are as in `sightsmith.kinds`."""
    one: Rows = first.rows
    other = Rows(truths_N=one.truths_N, values_N=second.rows.values_N[order_N])
    sides = _values(one, None), _values(other, None)

    def gaps(weights_rN: Floats) -> dict[str, Floats]:
        before, after = (side(weights_rN) for side in sides)
        return {name: after[name] - before[name] for name in ("mae", "rmse", "r2", "spearman")}

    found = bootstrap.intervals(gaps, len(one.truths_N), groups_N, cost=2 * _SPEARMAN_COST)
    p_value = bootstrap.flipped_p_value(np.abs(one.off_N), np.abs(other.off_N), groups_N)
    return Paired(
        metrics=found,
        p_value=p_value,
        test="sign flips" if groups_N is None else "sign flips of groups",
        explains=_EXPLAINS,
        verdict=summary.verdict(float(np.abs(other.off_N).mean() - np.abs(one.off_N).mean()), p_value, METRIC),
    )


def brief(evaluated: Evaluated) -> dict[str, float]:
    """Return the further figures that the bundle keeps."""
    return {"bias": evaluated.figures.bias}


def with_unit(name: str, value: float, unit: str = "") -> str:
    """Return a metric's value in words, with the unit if it has one."""
    if name == "coverage":
        return f"{value:.1%}"
    return f"{value:.4g} {unit}".rstrip() if name in _WITH_UNIT else f"{value:.3f}"


def text(evaluated: Evaluated) -> list[str]:
    """Return a line a figure for a terminal."""
    return summary.lines(evaluated, TITLES, with_unit, evaluated.figures.unit)


def further_text(evaluated: Evaluated) -> list[str]:
    """Return the lines that come last."""
    figures: Figures = evaluated.figures
    lines = [f"  {'bias':<18}{figures.bias:+.4g} {figures.unit}".rstrip()]
    if figures.reach is not None:
        asked = f"{figures.wanted_coverage:.0%}"
        lines.append(f"  prediction interval: answer ± {figures.reach:.4g} {figures.unit}, made for {asked}")
    return lines
