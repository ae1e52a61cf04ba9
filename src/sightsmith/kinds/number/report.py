"""The report and the comparison of regressors.

Shapes: N samples.
"""

from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sightsmith.kinds.number.figures import TITLES, Figures, Rows, with_unit
from sightsmith.kinds.number.value import Number
from sightsmith.kinds.parts import summary
from sightsmith.kinds.parts.charts import histogram, scatter
from sightsmith.kinds.parts.sections import (
    Cell,
    Chart,
    Column,
    Evaluated,
    Finding,
    Note,
    Pick,
    Piece,
    Section,
    Table,
    Tile,
    share,
)

_DOTS = 1500  # Dots of a scatter plot
_BIASED = 0.25  # Bias as a share of the mean absolute error from which it is reported
_OFF_COVERAGE = 0.05  # Gap between measured and target coverage from which it is reported
_SHRUNK = 0.6  # Slope of answers over truths below which shrinkage is reported


def lead(evaluated: Evaluated) -> Markup:
    """Return the first paragraph."""
    figures: Figures = evaluated.figures
    mae, span = evaluated.overall["mae"] or 0.0, evaluated.intervals.get("mae")
    ends = (with_unit("mae", span.low), with_unit("mae", span.high, figures.unit)) if span else ()
    between = f" (95% interval {ends[0]} to {ends[1]})" if ends else ""
    return Markup(
        "Off by <b>{}</b> on average over {:,} pictures{}. Always answering their mean, {}, would be off by {}."
    ).format(
        with_unit("mae", mae, figures.unit),
        evaluated.counts["evaluated"],
        between,
        with_unit("mae", figures.mean, figures.unit),
        with_unit("mae", evaluated.overall["mae_of_mean"] or 0.0, figures.unit),
    )


def tiles(evaluated: Evaluated) -> list[Tile]:
    """Return the headline figures."""
    shown = {
        "mae": ("MAE", "mean absolute error"),
        "rmse": ("RMSE", "root of the mean squared error: large errors count more"),
        "r2": ("R²", "share of the variance that is explained; 0 is the mean's"),
        "spearman": ("Spearman", "rank correlation of answers and truths"),
        "coverage": ("In the interval", "share of truths in the prediction interval"),
    }
    return summary.tiles(evaluated, shown, with_unit, evaluated.figures.unit)


def findings(evaluated: Evaluated) -> list[Finding]:
    """Return the findings, each by a stated rule."""
    figures: Figures = evaluated.figures
    rows: Rows = evaluated.rows
    mae, mean_mae = evaluated.overall["mae"] or 0.0, evaluated.overall["mae_of_mean"] or 0.0
    span, found = evaluated.intervals.get("r2"), []
    if span is None or span.low <= 0:
        found.append(Finding("error", "Not shown to be better than always answering the mean."))
    if mean_mae:
        text = f"The error is {mae / mean_mae:.0%} of that of always answering the mean."
        found.append(Finding("note", text))
    if abs(figures.bias) > _BIASED * mae:
        side = "high" if figures.bias > 0 else "low"
        text = f"Answers are too {side} by {with_unit('mae', abs(figures.bias), figures.unit)} on average."
        found.append(Finding("warning", text))
    slope = _slope(rows)
    if slope is not None and slope < _SHRUNK:
        text = f"Answers are drawn towards the mean: they rise by {round(slope, 2) + 0.0:.2f} for each 1 of the truth."
        found.append(Finding("warning", text))
    return [*found, *_coverage(evaluated)]


def _coverage(evaluated: Evaluated) -> list[Finding]:
    figures: Figures = evaluated.figures
    if figures.reach is None or figures.wanted_coverage is None:
        text = "There is no prediction interval: too few pictures were held out to calibrate one."
        return [Finding("warning", text)]
    inside, span = evaluated.overall["coverage"] or 0.0, evaluated.intervals.get("coverage")
    wide = with_unit("mae", figures.reach, figures.unit)
    held = f"The prediction interval (± {wide}) holds {share(inside)} of the truths"
    asked = f"it was made to hold {share(figures.wanted_coverage)}"
    if span and not span.low - _OFF_COVERAGE <= figures.wanted_coverage <= span.high + _OFF_COVERAGE:
        text = f"{held}; {asked}. These pictures differ from the training's."
        return [Finding("warning", text)]
    return [Finding("note", f"{held}; {asked}.")]


def _slope(rows: Rows) -> float | None:
    spread = rows.truths_N.var()
    return float(np.cov(rows.truths_N, rows.values_N, bias=True)[0, 1] / spread) if spread else None


def sections(evaluated: Evaluated, *, kept: bool) -> list[Section]:
    """Return the parts of the report."""
    figures: Figures = evaluated.figures
    rows: Rows = evaluated.rows
    unit = f" in {figures.unit}" if figures.unit else ""
    half = float(np.median(np.abs(rows.off_N)))
    shown = np.unique(np.linspace(0, len(rows.off_N) - 1, min(len(rows.off_N), _DOTS)).astype(int))
    truths, answers = rows.truths_N[shown].tolist(), rows.values_N[shown].tolist()
    over = Chart(svg=scatter(truths, answers, ("truth", "answer"), unit, figures.reach))
    band = Note("On the line answers are right; between the dashed lines they are in the prediction interval.")
    off = Chart(svg=histogram(rows.off_N.tolist(), "How far answers are off", f"answer minus truth{unit}"))
    bias = Note(f"Bias {figures.bias:+.4g}{unit}; half of the answers are off by at most {half:.4g}.")
    columns = [Column(title="Answer over truth", blocks=[over, band]), Column(title="Errors", blocks=[off, bias])]
    constant = {"mae": evaluated.overall["mae_of_mean"] or 0.0, "rmse": float(rows.truths_N.std())}
    table = [
        [Cell(who, "name"), *(Cell(with_unit(name, errors[name] or 0.0, figures.unit)) for name in constant)]
        for who, errors in (("the model", evaluated.overall), ("always the mean", constant))
    ]
    header = [Cell("Answer", ""), Cell("MAE"), Cell("RMSE")]
    return [
        Section(title="How far off", columns=columns),
        Section(title="Against a constant answer", blocks=[Table(header=header, rows=table)]),
    ]


def picks(evaluated: Evaluated, each: int) -> list[Pick]:
    """Return the pictures worth looking at: too high, too low, and nearest to the truth, one of each group in turn."""
    off_N = evaluated.rows.off_N
    off_first = np.argsort(off_N, kind="stable")
    look = "Look here first: wrong numbers in the data, or pictures unlike those of the training."
    told = (
        ("Furthest too high", look, off_first[::-1][off_N[off_first[::-1]] > 0]),
        ("Furthest too low", "Pictures of which the model misses a part.", off_first[off_N[off_first] < 0]),
        ("Nearest to the truth", "The easy cases.", np.argsort(np.abs(off_N), kind="stable")),
    )
    return summary.picks(evaluated, each, told)


def said(evaluated: Evaluated, sample: int) -> list[Piece]:
    """Return the words below the picture of a sample: the answer, and the truth."""
    figures: Figures = evaluated.figures
    rows: Rows = evaluated.rows
    inside = figures.reach is None or abs(rows.off_N[sample]) <= figures.reach
    answer = with_unit("mae", float(rows.values_N[sample]), figures.unit)
    return [Piece(answer, "yes" if inside else "no"), Piece(f", is {rows.truths_N[sample]:.4g}")]


def heats(
    answer: Number, evaluated: Evaluated, sample: int, input_settings: Any, size: tuple[int, int]
) -> list[tuple[str, NDArray[np.float32]]]:
    """Return the heat map of a sample: the contribution of each place to the number."""
    return [] if answer.class_map_Khw is None else [("contribution", answer.heat(0, input_settings, size))]


def side_by_side(evaluated: Evaluated) -> dict[str, str]:
    """Return a row a figure for a comparison, without those that are undefined."""
    names = ("mae", "rmse", "r2", "spearman", "coverage", "mae_of_mean")
    titles = {name: TITLES[name] for name in names if evaluated.overall.get(name) is not None}
    return summary.rows(evaluated, titles, with_unit, evaluated.figures.unit)
