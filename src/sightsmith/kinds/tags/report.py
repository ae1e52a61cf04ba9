"""The report and the comparison of taggers.

Shapes: N samples, K tags.
"""

from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sightsmith.core.counts import first_few
from sightsmith.kinds.parts import summary
from sightsmith.kinds.parts.charts import Series, line_chart
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
from sightsmith.kinds.parts.summary import meter, quoted
from sightsmith.kinds.tags.figures import Figures, Rows, TagFigures
from sightsmith.kinds.tags.value import METRIC, NOUNS, Tags

_CURVES = 9  # Tags whose precision is drawn over recall, the most frequent ones
_POINTS = 80  # Points of such a curve
_WEAK = 0.1  # Average precision above the prior by less than this reports a tag
_FEW = 10  # Positive samples below which a tag's figures are reported as uncertain
_SIDE_BY_SIDE = {"map": "mAP", "map_gain": "mAP above prior", "macro_f1": "macro F1", "micro_f1": "micro F1"}


def lead(evaluated: Evaluated) -> Markup:
    """Return the first paragraph."""
    figures: Figures = evaluated.figures
    span = evaluated.intervals.get("map")
    value, gain = evaluated.overall["map"] or 0.0, evaluated.overall["map_gain"] or 0.0
    between = f", on other pictures of the kind {share(span.low)} to {share(span.high)}" if span else ""
    return Markup(
        "Mean average precision <b>{}</b> on {:,} pictures{}; scores that tell nothing would have {}. At the "
        "thresholds of the model micro F1 is <b>{}</b>; always answering {} would have {}."
    ).format(
        share(value),
        evaluated.counts["evaluated"],
        between,
        share(value - gain),
        share(evaluated.overall["micro_f1"]),
        quoted(figures.frequent, 3),
        share(figures.frequent_micro_f1),
    )


def tiles(evaluated: Evaluated) -> list[Tile]:
    """Return the headline figures."""
    shown = {
        "map": ("mAP", "mean over tags of the average precision"),
        "macro_f1": ("Macro F1", "mean F1 of the tags at their thresholds, equally weighted"),
        "micro_f1": ("Micro F1", "F1 of all answers together at the thresholds"),
        "micro_precision": ("Precision", "share of the answered tags that are right"),
        "micro_recall": ("Recall", "share of the pictures' tags that are answered"),
    }
    return summary.tiles(evaluated, shown)


def findings(evaluated: Evaluated) -> list[Finding]:
    """Return the findings, each by a stated rule."""
    figures: Figures = evaluated.figures
    found = []
    gain = evaluated.intervals.get("map_gain")
    if gain is None or gain.low <= 0:
        found.append(Finding("error", "Not shown to rank pictures better than scores that tell nothing."))
    if (evaluated.overall["micro_f1"] or 0) <= figures.frequent_micro_f1:
        constant = f"Always answering {quoted(figures.frequent, 3)} has a micro F1 of {figures.frequent_micro_f1:.1%}"
        found.append(Finding("warning", f"{constant}, no lower than the model's."))
    never = [one.name for one in figures.per_tag if one.support and not one.recall]
    if never:
        found.append(Finding("error", f"Never found: {quoted(never)}."))
    weak = [one.name for one in figures.per_tag if one.name not in never and _gain(one) < _WEAK and one.support]
    if weak:
        text = f"Ranked hardly better than by chance (less than {_WEAK:.0%} above the prior): {quoted(weak)}."
        found.append(Finding("warning", text))
    found += summary.uncertain(evaluated, METRIC)
    few = [f"{one.name} ({one.support})" for one in figures.per_tag if 0 < one.support < _FEW]
    if few:
        text = f"Tags with fewer than {_FEW} pictures, whose own figures tell little: {quoted(few)}."
        found.append(Finding("note", text))
    return [*found, *summary.absent([one.name for one in figures.per_tag if one.support == 0], NOUNS)]


def _gain(one: TagFigures) -> float:
    return (one.average_precision or 0.0) - (one.prior or 0.0)


def sections(evaluated: Evaluated, *, kept: bool) -> list[Section]:
    """Return the parts of the report."""
    return [_each_tag(evaluated), _curves(evaluated), _baselines(evaluated)]


def _each_tag(evaluated: Evaluated) -> Section:
    note = (
        "AP, average precision: how well the scores rank pictures that have the tag above those that have not. Prior: "
        "the AP of scores that tell nothing, which is the share of pictures with the tag. Precision, recall and F1 are "
        "at the tag's threshold, which was chosen on validation pictures."
    )
    header = [Cell("Tag", ""), *map(Cell, ("Pictures", "Prior", "AP", "Threshold", "Precision", "Recall", "F1"))]
    rows = [
        [
            Cell(one.name, "name"),
            Cell(f"{one.support:,}", value=one.support),
            Cell(share(one.prior), value=one.prior or 0),
            meter(one.average_precision),
            Cell(f"{one.threshold:.3f}"),
            *map(meter, (one.precision, one.recall, one.f1)),
        ]
        for one in evaluated.figures.per_tag
    ]
    return Section(title="Each tag", note=note, blocks=[Table(header=header, rows=rows, sortable=True)])


def _curves(evaluated: Evaluated) -> Section:
    rows: Rows = evaluated.rows
    frequent = sorted(range(len(evaluated.names)), key=lambda at: -evaluated.figures.per_tag[at].support)[:_CURVES]
    columns = []
    for at in frequent:
        points = _curve(rows.scores_NK[:, at], rows.targets_NK[:, at])
        if points:
            chart = line_chart([Series(name="precision", points=points)], "recall", "precision", shares=True)
            columns.append(Column(title=evaluated.names[at], blocks=[Chart(svg=chart)]))
    note = "Each point is a threshold: how many of a tag's pictures are found, and how many of those found are right."
    return Section(title="Precision over recall", note=note, columns=columns)


def _curve(scores_N: NDArray[np.floating], targets_N: NDArray[np.floating]) -> list[tuple[float, float]]:
    known_N = ~np.isnan(targets_N)
    order = np.argsort(-scores_N[known_N], kind="stable")
    hits_N = np.cumsum(targets_N[known_N][order])
    if not len(hits_N) or not hits_N[-1]:
        return []
    steps = np.flatnonzero(targets_N[known_N][order] == 1)  # precision peaks at the samples that have the tag
    kept = np.unique(np.append(steps[np.linspace(0, len(steps) - 1, _POINTS).astype(int)], len(hits_N) - 1))
    return [(float(hits_N[at] / hits_N[-1]), float(hits_N[at] / (at + 1))) for at in kept]


def _baselines(evaluated: Evaluated) -> Section:
    figures: Figures = evaluated.figures
    prior = (evaluated.overall["map"] or 0.0) - (evaluated.overall["map_gain"] or 0.0)
    header = [Cell("Answer", ""), Cell("mAP"), Cell("Macro F1"), Cell("Micro F1")]
    rows = [
        [Cell("the model", "name"), *(Cell(share(evaluated.overall[key])) for key in ("map", "macro_f1", "micro_f1"))],
        [
            Cell(f"always {first_few(list(figures.frequent), 4)}", "name"),
            Cell(share(prior)),
            Cell(share(figures.frequent_macro_f1)),
            Cell(share(figures.frequent_micro_f1)),
        ],
    ]
    note = Note("The constant answer has the most frequent tags, as many as make its micro F1 here best.")
    return Section(title="Against a constant answer", blocks=[Table(header=header, rows=rows), note])


def picks(evaluated: Evaluated, each: int) -> list[Pick]:
    """Return the pictures worth looking at: wrong tags, missed tags, and pictures that are wholly right."""
    rows: Rows = evaluated.rows
    over_NK = rows.scores_NK - np.array([one.threshold for one in evaluated.figures.per_tag], np.float32)
    wrong_N = np.where((over_NK >= 0) & (rows.targets_NK == 0), over_NK, -1).max(axis=1)
    missed_N = np.where((over_NK < 0) & (rows.targets_NK == 1), -over_NK, -1).max(axis=1)
    clean_N = np.where((wrong_N < 0) & (missed_N < 0), (rows.targets_NK == 1).sum(axis=1), -1)
    look = "Look here first: tags far above their thresholds that the picture does not have."
    told = (
        ("Wrong tags", look, _falling(wrong_N)),
        ("Missed tags", "Tags of the picture that are far below their thresholds.", _falling(missed_N)),
        ("All tags right", "Pictures with most tags first.", _falling(clean_N)),
    )
    return summary.picks(evaluated, each, told)


def _falling(values_N: NDArray[np.floating]) -> NDArray[Any]:
    order = np.argsort(-values_N, kind="stable")
    return order[values_N[order] >= 0]


def said(evaluated: Evaluated, sample: int) -> list[Piece]:
    """Return the words below the picture of a sample: its answered tags, right or wrong, then missed ones."""
    rows: Rows = evaluated.rows
    scores_K, target_K = rows.scores_NK[sample], rows.targets_NK[sample]
    pieces: list[Piece] = []
    for at in np.argsort(-scores_K, kind="stable").tolist():
        name = evaluated.names[at]
        if scores_K[at] >= np.float32(evaluated.figures.per_tag[at].threshold):
            mark = "" if np.isnan(target_K[at]) else "yes" if target_K[at] else "no"
            pieces += [Piece(name, mark), Piece(f" {scores_K[at]:.0%}  ")]
        elif target_K[at] == 1:
            pieces += [Piece("missed "), Piece(name, "bold"), Piece(f" {scores_K[at]:.0%}  ")]
    return pieces or [Piece("no tag", "yes")]


def heats(
    answer: Tags, evaluated: Evaluated, sample: int, input_settings: Any, size: tuple[int, int]
) -> list[tuple[str, NDArray[np.float32]]]:
    """Return the heat map of a sample: the evidence for its most wrong tag, else for the surest."""
    if answer.class_map_Khw is None:
        return []
    target_K = evaluated.rows.targets_NK[sample]
    over_K = answer.scores_K - answer.thresholds_K
    wrong_K = ((over_K >= 0) != (target_K == 1)) & ~np.isnan(target_K)
    off_K = np.where(wrong_K, np.abs(over_K) + 1, answer.scores_K)
    index = int(off_K.argmax())
    return [(evaluated.names[index], answer.heat(index, input_settings, size))]


def side_by_side(evaluated: Evaluated) -> dict[str, str]:
    """Return a row a figure for a comparison."""
    return summary.rows(evaluated, _SIDE_BY_SIDE)
