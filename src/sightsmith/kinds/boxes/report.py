"""The report and the comparison of detectors.

Shapes: N pictures, D candidates, G objects, S thresholds.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sightsmith.core.counts import many
from sightsmith.kinds.boxes.errors import ERRORS, mistakes
from sightsmith.kinds.boxes.figures import TITLES, Figures
from sightsmith.kinds.boxes.matching import RIGHT, WRONG, Matches, match
from sightsmith.kinds.boxes.metrics import f1_curve
from sightsmith.kinds.boxes.rows import Rows
from sightsmith.kinds.boxes.value import METRIC, NOUNS
from sightsmith.kinds.parts import summary
from sightsmith.kinds.parts.charts import Series, line_chart
from sightsmith.kinds.parts.confusion import MAX_MATRIX, confusion_chart
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
from sightsmith.kinds.parts.shapes import Shape
from sightsmith.kinds.parts.summary import meter, quoted

_CURVES = 9  # Classes whose curves are drawn, the most frequent ones
_POINTS = 80  # Points of a curve
_FEW = 10  # Objects below which the figures of a class are reported as uncertain
_CONFUSED = 0.1  # Share of the objects of a class from which another class for it is reported
_BACKGROUND = "background"
_MEANS = {
    "class": "at the place of an object of another class",
    "location": "near an object of its class, but by less than half",
    "both": "near an object of another class",
    "duplicate": "an object that a surer answer has found already",
    "background": "no object near",
    "missed": "objects that no answer stands for",
}


def lead(evaluated: Evaluated) -> Markup:
    """Return the first paragraph."""
    figures: Figures = evaluated.figures
    span = evaluated.intervals.get("map")
    between = f", on other pictures of the kind {share(span.low)} to {share(span.high)}" if span else ""
    return Markup(
        "mAP 50:95 is <b>{}</b> on {}{}; random boxes would have {}. At the thresholds of the model <b>{}</b> of {} "
        "are found, and {} of the {:,} answers are right."
    ).format(
        share(evaluated.overall["map"]),
        many(evaluated.counts["evaluated"], "picture"),
        between,
        share(figures.map_of_prior),
        share(evaluated.overall["recall"]),
        many(figures.objects, "object"),
        share(evaluated.overall["precision"]),
        figures.answered,
    )


def tiles(evaluated: Evaluated) -> list[Tile]:
    """Return the headline figures."""
    shown = {
        "map": ("mAP 50:95", "mean over classes and overlaps of 0.50 to 0.95 of the average precision"),
        "map_50": ("mAP 50", "the same at an overlap of 0.5: found, but not exactly placed"),
        "map_75": ("mAP 75", "the same at an overlap of 0.75: well placed"),
        "f1": ("F1", "of all answers at the thresholds and an overlap of 0.5"),
        "precision": ("Precision", "share of the answers that are right"),
        "recall": ("Recall", "share of the objects that are found"),
    }
    return summary.tiles(evaluated, shown)


def findings(evaluated: Evaluated) -> list[Finding]:
    """Return the findings, each by a stated rule."""
    figures: Figures = evaluated.figures
    found = []
    span = evaluated.intervals.get("map")
    if figures.objects and (span is None or span.low <= figures.map_of_prior):
        found.append(Finding("error", "Not shown to find objects better than random boxes do."))
    never = [one.name for one in figures.per_class if one.support and not one.recall]
    if never:
        found.append(Finding("error", f"Never found at the thresholds: {quoted(never)}."))
    found += summary.uncertain(evaluated, METRIC)
    found += _confused(figures)
    few = [f"{one.name} ({one.support})" for one in figures.per_class if 0 < one.support < _FEW]
    if few:
        text = f"{NOUNS[1].capitalize()} with fewer than {_FEW} objects, whose own figures tell little: {quoted(few)}."
        found.append(Finding("note", text))
    return [*found, *summary.absent([one.name for one in figures.per_class if one.support == 0], NOUNS)]


def _confused(figures: Figures) -> list[Finding]:
    names = [one.name for one in figures.per_class]
    texts = [
        f"{name} is taken for {names[other]} in {count:,} of {one.support:,}"
        for name, row, one in zip(names, figures.confusion, figures.per_class, strict=False)
        for other, count in enumerate(row[:-1])
        if name != names[other] and count > _CONFUSED * one.support
    ]
    return [Finding("warning", f"Taken for another: {'; '.join(texts[:5])}.")] if texts else []


def sections(evaluated: Evaluated, *, kept: bool) -> list[Section]:
    """Return the parts of the report."""
    return [
        _each_class(evaluated),
        _mistakes(evaluated),
        _confusion(evaluated),
        _curves(evaluated),
        _sizes(evaluated),
        _scores(evaluated),
    ]


def _each_class(evaluated: Evaluated) -> Section:
    note = (
        "AP 50:95 with its 95% interval. Precision, recall and F1 are at the threshold of the class, which was chosen "
        "on validation pictures, and at an overlap of 0.5."
    )
    titles = ("Objects", "AP 50:95", "interval", "AP 50", "Threshold", "Precision", "Recall", "F1")
    rows = [
        [
            Cell(one.name, "name"),
            Cell(f"{one.support:,}", value=one.support),
            meter(one.ap),
            Cell("–" if one.ap_low is None else f"{share(one.ap_low)} … {share(one.ap_high)}"),
            Cell(share(one.ap_50), value=one.ap_50 or 0),
            Cell(f"{one.threshold:.3f}"),
            *(Cell(share(value), value=value or 0) for value in (one.precision, one.recall, one.f1)),
        ]
        for one in evaluated.figures.per_class
    ]
    table = Table(header=[Cell("Class", ""), *map(Cell, titles)], rows=rows, sortable=True)
    return Section(title="Each class", note=note, blocks=[table])


def _mistakes(evaluated: Evaluated) -> Section:
    figures: Figures = evaluated.figures
    most = max((one.gain for one in figures.errors), default=0.0)
    rows = [
        [
            Cell(one.name, "name"),
            Cell(_MEANS[one.name], "name"),
            Cell(f"{one.count:,}", value=one.count),
            Cell(f"{one.gain * 100:+.1f} points", value=one.gain, share=max(0.0, one.gain) / most if most > 0 else 0),
        ]
        for one in sorted(figures.errors, key=lambda one: -one.gain)
    ]
    header = [Cell("Mistake", ""), Cell("The answer is", ""), Cell("How often"), Cell("mAP 50 without it")]
    note = (
        "Of all candidates, unsure ones too, at an overlap of 0.5. The last column tells what mending would bring; "
        "mistakes hide each other, so the gains do not add up."
    )
    return Section(title="Kinds of mistakes", note=note, blocks=[Table(header=header, rows=rows)])


def _confusion(evaluated: Evaluated) -> Section:
    note = "At the thresholds: rows are objects, columns answers. Background: missed objects, and invented ones."
    names = [*evaluated.names, _BACKGROUND]
    if len(names) > MAX_MATRIX:
        blocks: list[Any] = [Note(f"Not drawn: {len(names) - 1} classes are too many to read.")]
    else:
        blocks = [Chart(svg=confusion_chart(np.array(evaluated.figures.confusion), names), scrolls=True)]
    return Section(title="Confusion", note=note, blocks=blocks)


def _curves(evaluated: Evaluated) -> Section:
    matches = match(evaluated.rows)
    each = evaluated.figures.per_class
    frequent = sorted(range(len(each)), key=lambda at: -each[at].support)[:_CURVES]
    columns = [
        Column(title=each[at].name, blocks=_class_curves(matches, at, each[at].support, each[at].threshold))
        for at in frequent
        if each[at].support and (matches.labels_D == at).any()
    ]
    note = (
        "First: how many objects of a class are found, and how many of the answers are right, for each threshold; at "
        "two overlaps. Second: F1 over the threshold, with the threshold of the model."
    )
    return Section(title="Precision, recall and F1", note=note, columns=columns)


def _class_curves(matches: Matches, label: int, support: int, threshold: float) -> list[Chart]:
    of_label = matches.labels_D == label
    scores_D, states_DT = matches.scores_D[of_label], matches.states_DAT[of_label, 0]
    lines = []
    for at, name, css in ((0, "overlap 0.5", "a"), (5, "overlap 0.75", "b")):
        _, precision_S, recall_S, _ = f1_curve(scores_D, states_DT[:, at], support)
        lines.append(Series(name=name, points=_thinned(recall_S, precision_S), css=css))
    scores_S, _, _, f1_S = f1_curve(scores_D, states_DT[:, 0], support)
    reached = f1_S[scores_S >= threshold]
    points = dict(_thinned(scores_S[::-1], f1_S[::-1]))
    points[threshold] = float(reached[-1]) if len(reached) else 0.0
    curve = Series(name="F1", points=sorted(points.items()))
    return [
        Chart(svg=line_chart(lines, "recall", "precision", shares=True)),
        Chart(svg=line_chart([curve], "threshold", "F1", shares=True, best=threshold, marked="model")),
    ]


def _thinned(x_S: NDArray[np.float64], y_S: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return some points of a curve, evenly along it: most candidates are unsure, so most points lie at one end."""
    along_S = np.cumsum(np.hypot(np.diff(x_S, prepend=x_S[:1]), np.diff(y_S, prepend=y_S[:1])))
    steps = np.linspace(0, along_S[-1], _POINTS) if len(along_S) else along_S
    kept = np.unique(np.searchsorted(along_S, steps).clip(max=len(along_S) - 1))
    return list(zip(x_S[kept].tolist(), y_S[kept].tolist(), strict=True))


def _sizes(evaluated: Evaluated) -> Section:
    within = {"small": "below 32² pixels", "medium": "32² to 96² pixels", "large": "above 96² pixels"}
    rows = [
        [
            Cell(f"{name}, {text}", "name"),
            Cell(f"{evaluated.figures.sizes[name]:,}"),
            meter(evaluated.overall[f"map_{name}"]),
            meter(evaluated.overall[f"ar_{name}"]),
        ]
        for name, text in within.items()
    ]
    header = [Cell("Objects", ""), Cell("How many"), Cell("mAP 50:95"), Cell("Average recall")]
    told = ", ".join(f"{share(evaluated.overall[f'ar_{most}'])} of {most}" for most in (1, 10, 100))
    notes = [
        Note(f"Average recall over the overlaps 0.50 to 0.95 of the surest answers a picture and class: {told}."),
        Note(
            f"By the rules of Pascal VOC mAP 50 is {share(evaluated.overall['voc_area'])} as the area below the curves "
            f"and {share(evaluated.overall['voc_11'])} as the mean of 11 points."
        ),
    ]
    return Section(title="By size", blocks=[Table(header=header, rows=rows), *notes])


def _scores(evaluated: Evaluated) -> Section:
    bins = evaluated.figures.bins
    rows = [
        [
            Cell(f"{at / len(bins):.1f} … {(at + 1) / len(bins):.1f}", "name"),
            Cell(f"{one.count:,}"),
            Cell(share(one.score)),
            meter(one.right),
        ]
        for at, one in enumerate(bins)
    ]
    header = [Cell("Score", ""), Cell("Candidates"), Cell("mean score"), Cell("right")]
    note = "Scores rank answers; they are probabilities only as far as the last two columns agree."
    return Section(title="Do the scores tell the truth?", note=note, blocks=[Table(header=header, rows=rows)])


def picks(evaluated: Evaluated, each: int) -> list[Pick]:
    """Return the pictures worth looking at: the worst ones, missed and invented objects, and likely wrong labels."""
    matches = match(evaluated.rows)
    found = mistakes(evaluated.rows, matches)
    count, sure_D = len(evaluated.rows), _sure(evaluated, matches)
    wrong_D = sure_D & (matches.states_DAT[:, 0, 0] == WRONG)
    missed_G = _missed(matches, sure_D)
    missed_N = np.bincount(matches.pictures_G[missed_G], minlength=count)
    worst_N = missed_N + np.bincount(matches.pictures_D[wrong_D], minlength=count)
    large_N = _largest(matches.pictures_G, evaluated.rows.areas_G, missed_G, count)
    background_D = wrong_D & (found.kinds_D == ERRORS.index("background"))
    surer_D = matches.scores_D >= _usual(matches, len(evaluated.names))[matches.labels_D]
    class_D = wrong_D & surer_D & (found.kinds_D == ERRORS.index("class"))
    scored = [
        _largest(matches.pictures_D, matches.scores_D, chosen_D, count)
        for chosen_D in (background_D & ~surer_D, background_D & surer_D, class_D)
    ]
    look = "The truth, then the answer. Thick: missed objects, and wrong answers with their scores; thin: the rest."
    usual = "the model is surer than of half of its right answers of the class"
    told = (
        ("Worst pictures", f"Most missed objects and wrong answers. {look}", worst_N),
        ("Missed objects", "Largest first.", large_N),
        (
            "Invented objects",
            "Answers far from any object, surest first, but for those that are probably missing in the truth.",
            scored[0],
        ),
        (
            "Probably missing in the truth",
            f"Answers far from any object of which {usual}: look at the truth.",
            scored[1],
        ),
        ("Probably another class", f"An object got another class, and {usual}: look at its label.", scored[2]),
    )
    return summary.picks(evaluated, each, [(title, text, _falling(one_N)) for title, text, one_N in told])


def _sure(evaluated: Evaluated, matches: Matches) -> NDArray[np.bool_]:
    thresholds_C = np.array([one.threshold for one in evaluated.figures.per_class])
    sure_D: NDArray[np.bool_] = matches.scores_D >= thresholds_C[matches.labels_D]
    return sure_D


def _missed(matches: Matches, sure_D: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the objects that no sure candidate found, (G,)."""
    finder_G = matches.found_GT[:, 0]
    found_G = np.zeros(len(finder_G), dtype=np.bool_)
    found_G[finder_G >= 0] = sure_D[finder_G[finder_G >= 0]]
    return matches.counted_GA[:, 0] & ~found_G


def _usual(matches: Matches, count: int) -> NDArray[np.float64]:
    """Return the median score of the right candidates of each class, 1 without any."""
    right_D = matches.states_DAT[:, 0, 0] == RIGHT
    scores = [matches.scores_D[right_D & (matches.labels_D == label)] for label in range(count)]
    return np.array([float(np.median(one)) if len(one) else 1.0 for one in scores])


def _largest(
    pictures: NDArray[np.int64], values: NDArray[np.float64], chosen: NDArray[np.bool_], count: int
) -> NDArray[np.float64]:
    """Return the largest chosen value of each picture, (N,); 0 for none."""
    largest_N = np.zeros(count)
    np.maximum.at(largest_N, pictures[chosen], values[chosen])
    return largest_N


def _falling(values_N: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[Any]:
    order = np.argsort(-values_N, kind="stable")
    return order[values_N[order] > 0]


def said(evaluated: Evaluated, sample: int) -> list[Piece]:
    """Return the words below a picture: how many objects are found, missed and invented or otherwise wrong."""
    matches, _, sure_D, missed_G = _of_one(evaluated, sample)
    states_D = matches.states_DAT[sure_D, 0, 0]
    right, wrong, missed = int((states_D == RIGHT).sum()), int((states_D == WRONG).sum()), int(missed_G.sum())
    pieces = [Piece(f"{right:,} found", "yes" if right else "")]
    pieces += [Piece(", "), Piece(f"{missed:,} missed", "no")] if missed else []
    return [*pieces, Piece(", "), Piece(many(wrong, "wrong answer"), "no")] if wrong else pieces


def drawn(evaluated: Evaluated, sample: int) -> list[tuple[str, list[Shape]]]:
    """Return what is drawn over the picture, by caption: the truth, and the answer at the thresholds."""
    matches, rows, sure_D, missed_G = _of_one(evaluated, sample)
    objects = [
        _shape(evaluated.names, rows.classes_G[at], "", rows.truth_G4[at], bold=bool(missed_G[at]))
        for at in np.argsort(~missed_G, kind="stable").tolist()
    ]
    wrong_D = matches.states_DAT[:, 0, 0] == WRONG
    answers = [
        _shape(
            evaluated.names,
            matches.labels_D[at],
            f"{matches.scores_D[at]:.0%}",
            rows.boxes_D4[matches.kept_D[at]],
            bold=bool(wrong_D[at]),
        )
        for at in np.argsort(~wrong_D, kind="stable").tolist()
        if sure_D[at]
    ]
    return [("truth", objects), ("answer", answers)]


def _shape(names: Sequence[str], label: np.integer, text: str, box_4: NDArray[np.float64], *, bold: bool) -> Shape:
    place, on = int(label), None if bold else False
    return Shape(shape="box", name=names[place], text=text, box=tuple(box_4.tolist()), index=place, on=on)


def _of_one(evaluated: Evaluated, sample: int) -> tuple[Matches, Rows, NDArray[np.bool_], NDArray[np.bool_]]:
    rows: Rows = evaluated.rows.of(sample)
    matches = match(rows)
    sure_D = _sure(evaluated, matches)
    return matches, rows, sure_D, _missed(matches, sure_D)


def heats(
    answer: object, evaluated: Evaluated, sample: int, input_settings: object, size: tuple[int, int]
) -> list[tuple[str, NDArray[np.floating]]]:
    """Return no map: `drawn` shows where the objects are."""
    return []


def side_by_side(evaluated: Evaluated) -> dict[str, str]:
    """Return a row a figure for a comparison."""
    return summary.rows(evaluated, TITLES)
