"""The report and the comparison of classifiers.

Shapes: N samples, K classes.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sightsmith.core.counts import first_few
from sightsmith.core.pages import breakable
from sightsmith.kinds.labels import selective
from sightsmith.kinds.labels.along import along
from sightsmith.kinds.labels.charts import coverage_chart, reliability_chart
from sightsmith.kinds.labels.figures import GROUP_ACCURACY, Figures, Rows
from sightsmith.kinds.labels.value import METRIC, NOUNS, Labels
from sightsmith.kinds.parts import summary
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
    in_turn,
    share,
)
from sightsmith.kinds.parts.summary import meter

__all__ = ["along", "findings", "heats", "lead", "picks", "said", "sections", "side_by_side", "tiles"]

_UNCALIBRATED = 0.03  # Expected calibration error from which a warning is shown
_WEAK = 0.1  # Recall below the mean by this much names a class as weak
_FREQUENT = 0.05  # Share of a class confused with one other class from which the pair is reported
_CONFUSIONS = 12
_SIDE_BY_SIDE = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auroc")


def lead(evaluated: Evaluated) -> Markup:
    """Return the opening paragraph, as HTML."""
    counts, span = evaluated.counts, evaluated.intervals["accuracy"]
    name, constant = baseline(evaluated)
    groups = f" in {counts['groups']:,} groups" if "groups" in counts else ""
    _, items = evaluated.nouns
    others = "groups" if "groups" in counts else items
    return Markup(
        "Right on <b>{}</b> of {:,} {}{}; with other {} of the same kind between {} and {} is to be expected "
        "(95% interval). Always answering “{}” would be right on {}."
    ).format(
        share(evaluated.overall["accuracy"]),
        counts["evaluated"],
        items,
        groups,
        others,
        share(span.low),
        share(span.high),
        breakable(name),
        share(constant),
    )


def tiles(evaluated: Evaluated) -> list[Tile]:
    """Return the headline figures, those with intervals first."""
    ks = [name[3:] for name in evaluated.overall if name.startswith("top")]
    shown = {
        "accuracy": ("Accuracy", "share of right answers"),
        "balanced_accuracy": ("Balanced accuracy", "mean recall of the classes, equally weighted"),
        "macro_f1": ("Macro F1", "mean F1 of the classes, equally weighted"),
        **{f"top{k}": (f"Top-{k} accuracy", f"right one among the {k} best answers") for k in ks},
    }
    if GROUP_ACCURACY in evaluated.overall:
        text = f"share of groups whose {evaluated.nouns[1]} together give the right answer"
        shown[GROUP_ACCURACY] = ("Group accuracy", text)
    area = evaluated.overall["macro_auroc"]
    ece = share(evaluated.figures.calibration.ece, 2)
    return [
        *summary.tiles(evaluated, shown),
        Tile(
            name="AUROC",
            value="–" if area is None else f"{area:.3f}",
            explains="mean over classes, one against the rest",
        ),
        Tile(name="Calibration error", value=ece, explains="confidence minus accuracy, mean size"),
    ]


def baseline(evaluated: Evaluated) -> tuple[str, float]:
    """Return the most frequent class and the accuracy of always answering it."""
    most = max(evaluated.figures.per_class, key=lambda one: one.support)
    return most.name, most.support / evaluated.counts["evaluated"]


def findings(evaluated: Evaluated) -> list[Finding]:
    """Return the findings, each by a stated rule."""
    return [
        *_failures(evaluated),
        *summary.absent(evaluated.figures.absent, NOUNS),
        *summary.uncertain(evaluated, METRIC),
        *_weakest(evaluated),
        *_confusion(evaluated),
        _believed(evaluated),
    ]


def _failures(evaluated: Evaluated) -> list[Finding]:
    """Find classes that are never recognised, and a model no better than a constant answer."""
    found = []
    never = [one for one in evaluated.figures.per_class if one.support and not one.recall]
    if never:
        never.sort(key=lambda one: -one.support)
        shown = first_few([f"“{one.name}” (0 of {one.support:,})" for one in never], 8)
        found.append(Finding("error", f"Never recognised: {shown}."))
    name, constant = baseline(evaluated)
    if evaluated.intervals["accuracy"].low <= constant:
        text = f"Not shown to be better than always answering “{name}” ({constant:.1%} right)."
        found.append(Finding("error", text))
    return found


def _weakest(evaluated: Evaluated) -> list[Finding]:
    weakest = min((one for one in evaluated.figures.per_class if one.recall is not None), key=lambda one: one.recall)
    mean = evaluated.overall["balanced_accuracy"] or 0.0
    if not weakest.recall or weakest.recall > mean - _WEAK:  # recall 0 is already reported as an error
        return []
    found = f"“{weakest.name}”, {weakest.recall:.1%} of {weakest.support:,} recognised (mean {mean:.1%})"
    return [Finding("warning", f"Weakest class: {found}.")]


def _confusion(evaluated: Evaluated) -> list[Finding]:
    for target, answer, count in evaluated.figures.confusions(1):
        support = _support(evaluated.figures)[target]
        if count >= 2 and count / support >= _FREQUENT:
            text = f"Most frequent confusion: “{target}” taken for “{answer}”, {count:,} of {support:,}."
            return [Finding("note", text)]
    return []


def _believed(evaluated: Evaluated) -> Finding:
    figures = evaluated.figures.calibration
    if figures.ece < _UNCALIBRATED:
        text = f"Probabilities can be taken at their word: off by {figures.ece * 100:.1f} points on average."
        return Finding("note", text)
    off = f"probabilities are off by {figures.ece * 100:.1f} points on average"
    # The best temperature maximises the likelihood, which need not lower the mean gap.
    if figures.best_ece >= figures.ece:
        text = f"The {off}, too high for some and too low for others: temperature scaling cannot fix it."
        return Finding("warning", text)
    sure = "too sure of itself" if figures.best_temperature > 1 else "less sure than it could be"
    way_out = f"temperature {figures.best_temperature:.2f} would leave {figures.best_ece * 100:.1f}"
    return Finding("warning", f"The model is {sure}: its {off}; {way_out}.")


def sections(evaluated: Evaluated, *, kept: bool) -> list[Section]:
    """Return the parts of the report; `kept` tells whether the figures are in the bundle's report folder."""
    return [_confused(evaluated, kept=kept), _each_class(evaluated), _reliable(evaluated)]


def _confused(evaluated: Evaluated, *, kept: bool) -> Section:
    figures: Figures = evaluated.figures
    count = len(evaluated.names)
    few = count <= MAX_MATRIX
    one, several = evaluated.nouns
    place = "evaluation.json" if kept else "the output of evaluate --json"
    note = (
        Markup(
            'Rows are the classes of the {}, columns the answers. <span style="color:var(--right)">■</span> '
            'right, <span style="color:var(--wrong)">■</span> wrong; the stronger, the larger the share of the row '
            "(mistakes on a square-root scale)."
        ).format(several)
        if few
        else f"{count} classes are too many for a readable matrix; the most frequent confusions are below, and the "
        f"whole matrix is in {place}."
    )
    confusions = figures.confusions(_CONFUSIONS if few else 3 * _CONFUSIONS)
    support = _support(figures)
    rows = [
        [Cell(target, "name"), Cell(answer, "name"), Cell(f"{count:,}"), meter(count / support[target])]
        for target, answer, count in confusions
    ]
    header = [
        Cell(f"{one.capitalize()} shows", ""),
        Cell("Model answered", ""),
        Cell(several.capitalize()),
        Cell("Of the class"),
    ]
    chart = [Chart(svg=confusion_chart(figures.confusion_KK, evaluated.names), scrolls=True)] if few else []
    table = (
        Table(title="Most frequent confusions", header=header, rows=rows)
        if rows
        else Note(f"No {one} was answered wrongly.", quiet=False)
    )
    return Section(title="Which classes are confused", note=note, beside=True, blocks=[*chart, table])


def _each_class(evaluated: Evaluated) -> Section:
    one_item, items = evaluated.nouns
    note = (
        f"Precision: how many of the answers “this class” are right. Recall: how many of the class's {items} are "
        f"found. F1: their harmonic mean. AUROC: how often a {one_item} of the class gets a higher score for it than "
        "one of another class."
    )
    header = [Cell("Class", ""), *(Cell(name) for name in (items.capitalize(), "Precision", "Recall", "F1", "AUROC"))]
    rows = [
        [
            Cell(one.name, "name"),
            Cell(f"{one.support:,}", value=one.support),
            *map(meter, (one.precision, one.recall, one.f1, one.auroc)),
        ]
        for one in evaluated.figures.per_class
    ]
    return Section(title="Each class", note=note, blocks=[Table(header=header, rows=rows, sortable=True)])


def _reliable(evaluated: Evaluated) -> Section:
    figures, rows = evaluated.figures.calibration, evaluated.rows
    curve, items = selective.coverage(rows.scores_NT[:, 0], rows.right_N), evaluated.nouns[1]
    promise = Note(
        "Of all answers given with a confidence of 80%, 80% should be right: bars should end on the dashed line."
    )
    errors = Note(
        f"Expected calibration error (15 bins of equal width): {share(figures.ece, 2)}; negative log-likelihood "
        f"{figures.nll:.4f}; Brier score {figures.brier:.4f}."
    )
    bars = Column(title="Reliability", blocks=[promise, Chart(svg=reliability_chart(figures.bins)), errors])
    blocks: list[Chart | Table | Note] = [
        Note(f"Leaving the least confident {items} to a person makes the other answers right more often."),
        Chart(svg=_coverage(curve, items)),
    ]
    goals = [
        [Cell(f"{goal.accuracy * 100:g}%", ""), Cell(f"{goal.threshold:.3f}"), Cell(share(goal.coverage))]
        for goal in selective.goals(curve)
    ]
    if goals:
        header = [Cell("To be right on", ""), Cell("answer from a score of"), Cell("which answers")]
        caution = Note(f"Thresholds were found on these {items}; check one on others before relying on it.")
        blocks += [Table(header=header, rows=goals), caution]
    sure = Column(title="Answering only when sure", blocks=blocks)
    return Section(title="Can the probabilities be believed?", columns=[bars, sure])


def _coverage(curve: selective.Coverage, items: str) -> Markup:
    step = max(1, len(curve.coverage_P) // 60)
    last = len(curve.coverage_P) - 1
    # accuracy over very few answers jumps between 0 and 1
    kept = [at for at in range(0, last + 1, step) if curve.coverage_P[at] >= 0.02 or at == last]
    kept = [*kept, last] if kept[-1:] != [last] else kept
    coverage, accuracy, thresholds = (
        [float(part[at]) for at in kept] for part in (curve.coverage_P, curve.accuracy_P, curve.threshold_P)
    )
    return coverage_chart(coverage, accuracy, thresholds, items)


def picks(evaluated: Evaluated, each: int) -> list[Pick]:
    """Return the pictures to show: mistakes, most confident first, and right answers, least and most confident first.

    The most confident ones are taken of each class in turn, so that one easy class does not fill the row.
    """
    rows: Rows = evaluated.rows
    surest_first = np.argsort(-rows.scores_NT[:, 0], kind="stable")
    right = surest_first[rows.right_N[surest_first]]
    look = "Look here first: wrong labels, classes that look alike, or a model that looks at the wrong place."
    heats = "The heat maps show the evidence for the answer given and for the right one."
    told = (
        ("Most confidently wrong", look, surest_first[~rows.right_N[surest_first]]),
        ("Right, but least sure", "One step from a mistake.", right[::-1]),
    )
    explains = "The surest of each class in turn: the model's idea of the class."
    surest = Pick("Right and surest", explains, in_turn(right, rows.targets_N)[:each])
    wrong, unsure = summary.picks(evaluated, each, told)
    return [replace(wrong, heats=heats), unsure, surest]


def said(evaluated: Evaluated, sample: int) -> list[Piece]:
    """Return the caption of a sample: the answer, and the truth if it differs."""
    rows: Rows = evaluated.rows
    answer, score = evaluated.names[rows.predicted_N[sample]], share(float(rows.scores_NT[sample, 0]))
    if rows.right_N[sample]:
        return [Piece(answer, "yes"), Piece(f" {score}")]
    target, own = evaluated.names[rows.targets_N[sample]], share(float(rows.target_scores_N[sample]))
    return [Piece(answer, "no"), Piece(f" {score}, is "), Piece(target, "bold"), Piece(f" {own}")]


def heats(
    answer: Labels, evaluated: Evaluated, sample: int, input_settings: Any, size: tuple[int, int]
) -> list[tuple[str, NDArray[np.float32]]]:
    """Return the heat maps of a sample, (name, (H, W) in 0…1): the evidence for answer and truth."""
    if answer.class_map_Khw is None:
        return []
    rows: Rows = evaluated.rows
    shown = dict.fromkeys((int(rows.predicted_N[sample]), int(rows.targets_N[sample])))
    return [(evaluated.names[index], answer.heat(index, input_settings, size)) for index in shown]


def side_by_side(evaluated: Evaluated) -> dict[str, str]:
    """Return a row a figure for a comparison."""
    figures = evaluated.figures.calibration
    further = {"ECE": f"{figures.ece:.4f}", "NLL": f"{figures.nll:.4f}"}
    names = [name for name in (*_SIDE_BY_SIDE, GROUP_ACCURACY) if name in evaluated.overall]
    return summary.rows(evaluated, {name: name.replace("_", " ") for name in names}) | further


def _support(figures: Figures) -> dict[str, int]:
    return {one.name: one.support for one in figures.per_class}
