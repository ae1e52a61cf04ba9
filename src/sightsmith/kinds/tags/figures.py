"""Figures of a tagger's answers: average precision, F1 at the thresholds, each tag, and the baselines.

Shapes: N samples, K tags, r draws.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.kinds.parts import bootstrap, summary
from sightsmith.kinds.parts.bootstrap import Floats
from sightsmith.kinds.parts.intervals import known
from sightsmith.kinds.parts.sections import Evaluated, Measured, Paired
from sightsmith.kinds.tags import metrics
from sightsmith.kinds.tags.columns import BETWEEN, UNKNOWN
from sightsmith.kinds.tags.truth import Tagged
from sightsmith.kinds.tags.value import METRIC, Tags, targets, truth_text

_COST = 12  # Operations of one tag and sample in a draw
_EXPLAINS = (
    "The p-value is the share of bootstrap draws of the pictures, or of their groups, in which the difference has the "
    "other sign, times two."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The answer to each sample."""

    targets_NK: NDArray[np.float32]  # 1, 0, or NaN for unknown
    scores_NK: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TagFigures:
    """The figures of one tag; None if no sample has it."""

    name: str
    support: int  # samples that have it
    known: int  # samples of which it is known
    threshold: float
    prior: float | None  # share of samples that have it: the average precision of constant scores
    average_precision: float | None
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures besides the averages."""

    per_tag: tuple[TagFigures, ...]  # in the order of the names
    frequent: tuple[str, ...]  # tags of the constant answer with the best micro F1 (the baseline)
    frequent_micro_f1: float
    frequent_macro_f1: float


def measure(
    answers: Sequence[Tags], truths: Sequence[Tagged], names: Sequence[str], groups_N: NDArray[np.integer] | None
) -> Measured:
    """Compute every metric of N answers; `groups_N` is the number of each sample's group, None for none."""
    scores_NK = np.stack([answer.scores_K for answer in answers])
    thresholds_K = answers[0].thresholds_K.astype(np.float64)
    targets_NK = targets(truths, names)
    values = _values(scores_NK, targets_NK, thresholds_K)
    overall = {name: known(value[0]) for name, value in values(np.ones((1, len(scores_NK)))).items()}
    intervals = bootstrap.intervals(values, len(scores_NK), groups_N, cost=_COST * len(names))
    return Measured(
        overall=overall,
        intervals={name: intervals[name] for name in ("map", "map_gain", "macro_f1", "micro_f1") if name in intervals},
        figures=_figures(scores_NK, targets_NK, thresholds_K, names),
        rows=Rows(targets_NK=targets_NK, scores_NK=scores_NK),
    )


def _values(
    scores_NK: NDArray[np.floating], targets_NK: NDArray[np.floating], thresholds_K: Floats
) -> bootstrap.Values:
    """Return a function from weights to every average: `map_gain` is mAP minus that of constant scores."""
    present_NK = scores_NK >= thresholds_K.astype(scores_NK.dtype)

    def values(weights_rN: Floats) -> dict[str, Floats]:
        ranked_r = metrics.mean_of_known(metrics.average_precisions(scores_NK, targets_NK, weights_rN))
        prior_r = metrics.mean_of_known(metrics.prevalence(targets_NK, weights_rN))
        hits_rK, answered_rK, positives_rK = metrics.counts(present_NK, targets_NK, weights_rN)
        hits_r, answered_r, positives_r = (each.sum(axis=1) for each in (hits_rK, answered_rK, positives_rK))
        return {
            "map": ranked_r,
            "map_gain": ranked_r - prior_r,
            "macro_f1": metrics.mean_of_known(metrics.f1_of(hits_rK, answered_rK, positives_rK)),
            "micro_f1": 2 * hits_r / np.maximum(answered_r + positives_r, 1e-12),
            "micro_precision": hits_r / np.maximum(answered_r, 1e-12),
            "micro_recall": hits_r / np.maximum(positives_r, 1e-12),
        }

    return values


def _figures(
    scores_NK: NDArray[np.floating], targets_NK: NDArray[np.floating], thresholds_K: Floats, names: Sequence[str]
) -> Figures:
    present_NK = scores_NK >= thresholds_K.astype(scores_NK.dtype)
    (hits_K,), (answered_K,), (positives_K,) = metrics.counts(present_NK, targets_NK)
    ranked_K, prior_K = metrics.average_precisions(scores_NK, targets_NK)[0], metrics.prevalence(targets_NK)[0]
    f1_K = metrics.f1_of(hits_K[None], answered_K[None], positives_K[None])[0]
    known_K = (~np.isnan(targets_NK)).sum(axis=0)
    some_K = np.where(positives_K > 0, 1.0, np.nan)
    precision_K, recall_K = some_K * hits_K / np.maximum(answered_K, 1), some_K * hits_K / np.maximum(positives_K, 1)
    per_tag = tuple(
        TagFigures(
            name=name,
            support=int(positives_K[at]),
            known=int(known_K[at]),
            threshold=float(thresholds_K[at]),
            prior=known(prior_K[at]),
            average_precision=known(ranked_K[at]),
            precision=known(precision_K[at]),
            recall=known(recall_K[at]),
            f1=known(f1_K[at]),
        )
        for at, name in enumerate(names)
    )
    return Figures(per_tag=per_tag, **_most_frequent(positives_K, known_K, names))


def _most_frequent(positives_K: Floats, known_K: NDArray[np.integer], names: Sequence[str]) -> dict[str, Any]:
    """Return the baseline that gives every picture the same most frequent tags, with the best micro F1."""
    order = np.argsort(-positives_K / np.maximum(known_K, 1), kind="stable")
    micro_K = 2 * np.cumsum(positives_K[order]) / np.maximum(np.cumsum(known_K[order]) + positives_K.sum(), 1e-12)
    best = int(micro_K.argmax()) + 1
    chosen = np.isin(np.arange(len(names)), order[:best])
    each_K = metrics.f1_of(positives_K[None] * chosen, (known_K * chosen)[None].astype(np.float64), positives_K[None])
    return {
        "frequent": tuple(names[at] for at in order[:best]),
        "frequent_micro_f1": float(micro_K[best - 1]),
        "frequent_macro_f1": float(np.nan_to_num(metrics.mean_of_known(each_K)[0])),
    }


def save(evaluated: Evaluated) -> dict[str, Any]:
    """Return the kind's part of evaluation.json; undefined values are null."""
    figures: Figures = evaluated.figures
    return {**asdict(figures), "per_tag": [asdict(one) for one in figures.per_tag]}


def load(raw: Mapping[str, Any]) -> tuple[tuple[str, ...], Figures]:
    """Return the names and figures that `save` wrote.

    Raises:
        KeyError, TypeError, ValueError: it is damaged.
    """
    figures = Figures(
        per_tag=tuple(TagFigures(**one) for one in raw["per_tag"]),
        frequent=tuple(raw["frequent"]),
        frequent_micro_f1=raw["frequent_micro_f1"],
        frequent_macro_f1=raw["frequent_macro_f1"],
    )
    return tuple(one.name for one in figures.per_tag), figures


def to_table(rows: Rows, names: Sequence[str]) -> tuple[list[str], int, Iterator[list[str]]]:
    """Return the columns, how many of them lead, and a row of cells a sample: its tags, then each tag's score."""
    return ["target", *names], 1, (_cells(*row, names) for row in zip(rows.targets_NK, rows.scores_NK, strict=True))


def _cells(target_K: Floats, scores_K: Floats, names: Sequence[str]) -> list[str]:
    truth = Tagged(
        present=tuple(np.flatnonzero(target_K == 1).tolist()),
        unknown=tuple(np.flatnonzero(np.isnan(target_K)).tolist()),
    )
    told = truth_text(truth, names) if truth.present or truth.unknown else ""
    return [told, *(f"{score:.6g}" for score in scores_K)]


def from_table(header: Sequence[str], cells: Sequence[Sequence[str]], names: Sequence[str]) -> Rows:
    """Read back a table of `to_table`."""
    index_of = {name: at for at, name in enumerate(names)}
    targets_NK = np.zeros((len(cells), len(names)), dtype=np.float32)
    for target_K, row in zip(targets_NK, cells, strict=True):
        for tag in filter(None, row[0].split(BETWEEN)):
            unknown = tag.startswith(UNKNOWN)
            target_K[index_of[tag.removeprefix(UNKNOWN)]] = np.nan if unknown else 1
    return Rows(targets_NK=targets_NK, scores_NK=np.array([row[1:] for row in cells], dtype=np.float32))


def compare(
    first: Evaluated, second: Evaluated, order_N: NDArray[np.integer], groups_N: NDArray[np.integer] | None
) -> Paired:
    """Compare two evaluations of the same samples, tags matched by name; arguments as in `sightsmith.kinds`."""
    place = {name: at for at, name in enumerate(second.names)}
    columns = [place[name] for name in first.names]
    second_NK = second.rows.scores_NK[order_N][:, columns]
    first_NK, targets_NK = first.rows.scores_NK, first.rows.targets_NK
    sides = [
        _values(scores_NK, targets_NK, np.array([evaluated.figures.per_tag[at].threshold for at in places]))
        for scores_NK, evaluated, places in (
            (first_NK, first, range(len(first.names))),
            (second_NK, second, columns),
        )
    ]

    def gaps(weights_rN: Floats) -> dict[str, Floats]:
        one, other = (side(weights_rN) for side in sides)
        return {name: other[name] - one[name] for name in ("map", "macro_f1", "micro_f1")}

    found, p_values = bootstrap.compared(gaps, len(first_NK), groups_N, cost=2 * _COST * len(first.names))
    return summary.paired(found, p_values, groups_N, METRIC, _EXPLAINS)


def brief(evaluated: Evaluated) -> dict[str, float]:
    """Return the further figures that the bundle keeps: the baseline's."""
    return {"frequent_micro_f1": evaluated.figures.frequent_micro_f1}


def text(evaluated: Evaluated) -> list[str]:
    """Return a line a figure for a terminal."""
    titles = {name: name.replace("_", " ") for name in evaluated.overall}
    return summary.lines(evaluated, titles | {"map": "mAP", "map_gain": "mAP above prior"})


def further_text(evaluated: Evaluated) -> list[str]:
    """Return the lines that come last."""
    figures: Figures = evaluated.figures
    shown = ", ".join(figures.frequent[:5]) + (" …" if len(figures.frequent) > 5 else "")
    lines = [f"  always answering {shown}: micro F1 {figures.frequent_micro_f1:.4f}"]
    absent = [one.name for one in figures.per_tag if one.support == 0]
    if absent:
        lines.append(f"  tags without a sample: {', '.join(absent[:12])}{' …' if len(absent) > 12 else ''}")
    return lines
