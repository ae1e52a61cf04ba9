"""Figures of a detector's answers: mAP, recall, each class, kinds of mistakes, and what random boxes would reach.

Shapes: N pictures, D candidates, C classes, r draws.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.counts import many
from sightsmith.kinds.boxes import errors, metrics, table
from sightsmith.kinds.boxes.matching import AREAS, RIGHT, Matches, match
from sightsmith.kinds.boxes.metrics import Scorer, mean_of_known
from sightsmith.kinds.boxes.prior import map_of_prior
from sightsmith.kinds.boxes.rows import Rows, rows_of
from sightsmith.kinds.boxes.truth import Boxed
from sightsmith.kinds.boxes.value import METRIC, NOUNS, Boxes, measured
from sightsmith.kinds.parts import bootstrap, summary
from sightsmith.kinds.parts.bootstrap import Floats
from sightsmith.kinds.parts.intervals import Interval, known
from sightsmith.kinds.parts.sections import Evaluated, Measured, Paired

TITLES = {
    "map": "mAP 50:95",
    "map_50": "mAP 50",
    "map_75": "mAP 75",
    "ar_100": "AR 100",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
}
_COST = 3  # Operations of one candidate, overlap and draw
_BINS = 10  # Ranges of scores
_TINY = 1e-12
_EXPLAINS = (
    "The p-value is the share of bootstrap draws of the pictures, or of their groups, in which the difference has the "
    "other sign, times two."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """The figures of one class; None if it has no object to find."""

    name: str
    support: int  # objects to find
    pictures: int  # pictures with such an object
    threshold: float
    ap: float | None  # average precision over the overlaps 0.50 to 0.95
    ap_low: float | None  # ends of its 95 % interval
    ap_high: float | None
    ap_50: float | None
    ap_75: float | None
    precision: float | None  # at the threshold and an overlap of 0.5, as recall and F1
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFigures:
    """One kind of mistake (`errors.ERRORS`)."""

    name: str
    count: int
    gain: float  # of mAP 50 without it


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The candidates in a range of scores; None if it has none."""

    count: int
    score: float | None  # mean
    right: float | None  # share that found an object at an overlap of 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures besides the averages."""

    per_class: tuple[ClassFigures, ...]  # in the order of the names
    errors: tuple[ErrorFigures, ...]
    confusion: tuple[tuple[int, ...], ...]  # rows are truths, columns answers; the last of each is the background
    bins: tuple[Bin, ...]
    sizes: Mapping[str, int]  # objects to find that are small, medium and large
    objects: int  # to find
    ignored: int
    negatives: int  # pictures without an object to find
    answered: int  # objects that are answered at the thresholds, but for answers to ignored ones
    map_of_prior: float  # mAP of random boxes


def measure(
    answers: Sequence[Boxes], truths: Sequence[Boxed], names: Sequence[str], groups_N: NDArray[np.integer] | None
) -> Measured:
    """Compute every metric of N answers; `groups_N` is the number of each picture's group, None for none."""
    rows = rows_of([measured(answer) for answer in answers], truths)
    thresholds_C = answers[0].thresholds_C.astype(np.float64)
    matches, count = match(rows), len(names)
    scorer, ones_1N = Scorer(matches, count), np.ones((1, len(rows)))
    points_C, areas_C = metrics.voc_precisions(rows, count)
    overall = {
        **{name: known(value[0]) for name, value in scorer.averages(ones_1N).items()},
        "voc_11": known(mean_of_known(points_C[None])[0]),
        "voc_area": known(mean_of_known(areas_C[None])[0]),
        **{name: known(value[0]) for name, value in _answered(matches, thresholds_C)(ones_1N).items()},
    }
    cost = _COST * 10 * len(matches.kept_D) // max(1, len(rows))
    intervals = bootstrap.intervals(_values(scorer, thresholds_C), len(rows), groups_N, cost=max(1, cost))
    return Measured(
        overall=overall,
        intervals={name: intervals[name] for name in TITLES if name in intervals},
        figures=_figures(rows, scorer, names, thresholds_C, intervals),
        rows=rows,
    )


def _values(scorer: Scorer, thresholds_C: Floats) -> bootstrap.Values:
    """Return a function from weights to the averages that have intervals, and each class's average precision."""
    answered = _answered(scorer.matches, thresholds_C)

    def values(weights_rN: Floats) -> dict[str, Floats]:
        each_rCT = scorer.precisions(weights_rN)
        return {
            "map": mean_of_known(each_rCT.mean(axis=2)),
            "map_50": mean_of_known(each_rCT[:, :, 0]),
            "map_75": mean_of_known(each_rCT[:, :, 5]),
            "ar_100": mean_of_known(scorer.recalls(weights_rN)),
            **answered(weights_rN),
            **{_class_key(at): one_rT.mean(axis=1) for at, one_rT in enumerate(each_rCT.transpose(1, 0, 2))},
        }

    return values


def _class_key(label: int) -> str:
    return f"class {label}"


def _answered(matches: Matches, thresholds_C: Floats) -> bootstrap.Values:
    """Return a function from weights to precision, recall and F1 of all answers at the thresholds."""
    states_D = np.where(_sure(matches, thresholds_C), matches.states_DAT[:, 0, 0], -1)
    length = matches.pictures
    found_N = np.bincount(matches.pictures_D, states_D == RIGHT, minlength=length)
    answered_N = np.bincount(matches.pictures_D, states_D >= 0, minlength=length)
    objects_N = np.bincount(matches.pictures_G, matches.counted_GA[:, 0], minlength=length)

    def values(weights_rN: Floats) -> dict[str, Floats]:
        found_r, answered_r, objects_r = (weights_rN @ one_N for one_N in (found_N, answered_N, objects_N))
        shares = (found_r / np.maximum(answered_r, _TINY), found_r / np.maximum(objects_r, _TINY))
        f1_r = 2 * found_r / np.maximum(answered_r + objects_r, _TINY)
        some_r = np.where(objects_r > 0, 1.0, np.nan)
        return {"precision": some_r * shares[0], "recall": some_r * shares[1], "f1": some_r * f1_r}

    return values


def _sure(matches: Matches, thresholds_C: Floats) -> NDArray[np.bool_]:
    sure_D: NDArray[np.bool_] = matches.scores_D >= thresholds_C[matches.labels_D]
    return sure_D


def _figures(
    rows: Rows, scorer: Scorer, names: Sequence[str], thresholds_C: Floats, intervals: Mapping[str, Interval]
) -> Figures:
    matches, count = scorer.matches, len(names)
    sure_D, counted_G = _sure(matches, thresholds_C), matches.counted_GA[:, 0]
    found = errors.costs(matches, errors.mistakes(rows, matches), count)
    return Figures(
        per_class=tuple(_class_figures(scorer, names, thresholds_C, intervals)),
        errors=tuple(ErrorFigures(name=name, count=number, gain=gain) for name, (number, gain) in found.items()),
        confusion=tuple(map(tuple, errors.confusion(rows, matches, sure_D, count).tolist())),
        bins=tuple(_bins(matches)),
        sizes={name: int(matches.counted_GA[:, at].sum()) for at, name in enumerate(AREAS) if at},
        objects=int(counted_G.sum()),
        ignored=int((~counted_G).sum()),
        negatives=len(rows) - len(np.unique(rows.pictures_G[counted_G])),
        answered=int((sure_D & (matches.states_DAT[:, 0, 0] >= 0)).sum()),
        map_of_prior=map_of_prior(rows),
    )


def _class_figures(
    scorer: Scorer, names: Sequence[str], thresholds_C: Floats, intervals: Mapping[str, Interval]
) -> Iterator[ClassFigures]:
    matches = scorer.matches
    each_CT = scorer.precisions(np.ones((1, matches.pictures)))[0]
    sure_D, counted_G = _sure(matches, thresholds_C), matches.counted_GA[:, 0]
    for label, name in enumerate(names):
        states_D = matches.states_DAT[sure_D & (matches.labels_D == label), 0, 0]
        found, answered = int((states_D == RIGHT).sum()), int((states_D >= 0).sum())
        objects_G = counted_G & (matches.classes_G == label)
        support, interval = int(objects_G.sum()), intervals.get(_class_key(label))
        some = support > 0
        yield ClassFigures(
            name=name,
            support=support,
            pictures=len(np.unique(matches.pictures_G[objects_G])),
            threshold=float(thresholds_C[label]),
            ap=known(each_CT[label].mean()),
            ap_low=interval.low if interval else None,
            ap_high=interval.high if interval else None,
            ap_50=known(each_CT[label, 0]),
            ap_75=known(each_CT[label, 5]),
            precision=found / answered if some and answered else None,
            recall=found / support if some else None,
            f1=2 * found / (answered + support) if some else None,
        )


def _bins(matches: Matches) -> Iterator[Bin]:
    counting_D = matches.states_DAT[:, 0, 0] >= 0
    scores_D, right_D = matches.scores_D[counting_D], matches.states_DAT[counting_D, 0, 0] == RIGHT
    places_D = np.minimum((scores_D * _BINS).astype(np.int64), _BINS - 1)
    for place in range(_BINS):
        inside_D = places_D == place
        some = bool(inside_D.any())
        yield Bin(
            count=int(inside_D.sum()),
            score=float(scores_D[inside_D].mean()) if some else None,
            right=float(right_D[inside_D].mean()) if some else None,
        )


def save(evaluated: Evaluated) -> dict[str, Any]:
    """Return the kind's part of evaluation.json; undefined values are null."""
    return asdict(evaluated.figures)


def load(raw: Mapping[str, Any]) -> tuple[tuple[str, ...], Figures]:
    """Return the names and figures that `save` wrote.

    Raises:
        KeyError, TypeError, ValueError: it is damaged.
    """
    read: dict[str, Any] = {
        "per_class": tuple(ClassFigures(**one) for one in raw["per_class"]),
        "errors": tuple(ErrorFigures(**one) for one in raw["errors"]),
        "bins": tuple(Bin(**one) for one in raw["bins"]),
        "confusion": tuple(map(tuple, raw["confusion"])),
    }
    figures = Figures(**read, **{name: raw[name] for name in Figures.__dataclass_fields__ if name not in read})
    return tuple(one.name for one in figures.per_class), figures


to_table, from_table = table.to_table, table.from_table


def compare(
    first: Evaluated, second: Evaluated, order_N: NDArray[np.integer], groups_N: NDArray[np.integer] | None
) -> Paired:
    """Compare two evaluations of the same pictures, classes matched by name; arguments as in `sightsmith.kinds`."""
    count = len(first.names)
    place = {name: at for at, name in enumerate(first.names)}
    other: Rows = second.rows.taken(order_N)
    moved_C = np.array([place[name] for name in second.names], dtype=np.int64)
    other = replace(other, labels_D=moved_C[other.labels_D], classes_G=moved_C[other.classes_G])
    scorers = [Scorer(match(rows), count) for rows in (first.rows, other)]
    second_C = {one.name: one.threshold for one in second.figures.per_class}
    sides = [
        _values(scorers[0], np.array([one.threshold for one in first.figures.per_class])),
        _values(scorers[1], np.array([second_C[name] for name in first.names])),
    ]

    def gaps(weights_rN: Floats) -> dict[str, Floats]:
        one, two = (side(weights_rN) for side in sides)
        return {name: two[name] - one[name] for name in TITLES}

    cost = _COST * 10 * sum(len(one.matches.kept_D) for one in scorers) // max(1, len(first.rows))
    found, p_values = bootstrap.compared(gaps, len(first.rows), groups_N, cost=max(1, cost))
    return summary.paired(found, p_values, groups_N, METRIC, _EXPLAINS)


def brief(evaluated: Evaluated) -> dict[str, float]:
    """Return the further figures that the bundle keeps: that of random boxes."""
    return {"map_of_prior": evaluated.figures.map_of_prior}


def text(evaluated: Evaluated) -> list[str]:
    """Return a line a figure for a terminal."""
    by_size = {f"map_{name}": f"mAP {name}" for name in AREAS if name != "all"}
    return summary.lines(evaluated, TITLES | by_size | {"voc_area": "mAP 50 of VOC"})


def further_text(evaluated: Evaluated) -> list[str]:
    """Return the lines that come last."""
    figures: Figures = evaluated.figures
    worst = max(figures.errors, key=lambda one: one.gain)
    lines = [
        f"  {many(figures.objects, 'object')}, {figures.answered:,} answered at the thresholds",
        f"  random boxes: mAP 50:95 {figures.map_of_prior:.4f}",
        f"  costliest mistake: {worst.name} ({worst.count:,}; mAP 50 would grow by {worst.gain:.4f} without)",
    ]
    absent = [one.name for one in figures.per_class if one.support == 0]
    if absent:
        lines.append(f"  {NOUNS[1]} without an object: {summary.quoted(absent, 12)}")
    return lines
