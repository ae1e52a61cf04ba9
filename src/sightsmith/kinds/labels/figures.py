"""Figures of a classifier's answers: averages, each class, confusion, and calibration of the scores.

Shapes: N samples, K classes, T answers kept a sample (the most probable first).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.kinds.labels import calibration, metrics, uncertainty
from sightsmith.kinds.labels.temperature import softmax
from sightsmith.kinds.labels.value import METRIC, Labels
from sightsmith.kinds.parts import summary
from sightsmith.kinds.parts.intervals import Interval, known
from sightsmith.kinds.parts.sections import Evaluated, Measured, Paired

TOP_KS = (3, 5)  # Top-k accuracies reported if there are more than k classes
KEPT = 5  # Answers kept a sample
GROUP_ACCURACY = "group_accuracy"  # Measured only if samples have groups, all of a group with one target
_TEST = (
    "The p-value is of McNemar's test on the {0} that only one of the two models gets right; if "
    "{0} have groups, it is of sign flips of the difference in each group."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The answer to each sample."""

    targets_N: NDArray[np.int32]  # index of the right class
    top_NT: NDArray[np.int32]  # indices of the most probable classes, best first
    scores_NT: NDArray[np.float32]  # their probabilities, 0…1
    target_scores_N: NDArray[np.float32]  # probability given to the right class

    @property
    def predicted_N(self) -> NDArray[np.int32]:
        return self.top_NT[:, 0]

    @property
    def right_N(self) -> NDArray[np.bool_]:
        return self.predicted_N == self.targets_N


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """The figures of one class; None if it has no sample."""

    name: str
    support: int
    precision: float | None
    recall: float | None
    f1: float | None
    auroc: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Answers of similar confidence; None if there are none."""

    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Whether the probabilities can be believed; the definitions are in `calibration.py`."""

    ece: float  # expected calibration error, 15 bins of equal width, 0…1
    nll: float  # mean negative log-likelihood, nats
    brier: float  # Brier's score over all classes, 0…2
    bins: tuple[Bin, ...]  # the reliability curve
    # temperature that fits these samples best; above 1 the model is overconfident. A
    # diagnosis: scale by a temperature fitted on other samples.
    best_temperature: float
    best_ece: float  # the error after it


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures per class, confusion and calibration."""

    per_class: tuple[ClassFigures, ...]  # figures of each class, in the order of the names
    confusion_KK: NDArray[np.int64]  # rows are targets, columns answers
    calibration: Calibration  # whether the probabilities can be believed

    @property
    def absent(self) -> tuple[str, ...]:
        """Classes of the model without a sample; averages exclude them."""
        return tuple(one.name for one in self.per_class if one.support == 0)

    def confusions(self, limit: int) -> list[tuple[str, str, int]]:
        """Return the most frequent mistakes as (target, answer, how often), most frequent first."""
        wrong_KK = self.confusion_KK.copy()
        np.fill_diagonal(wrong_KK, 0)
        order = np.argsort(-wrong_KK, axis=None, kind="stable")[:limit]
        pairs = zip(*np.unravel_index(order, wrong_KK.shape), strict=True)
        return [
            (self.per_class[row].name, self.per_class[column].name, int(wrong_KK[row, column]))
            for row, column in pairs
            if wrong_KK[row, column]
        ]


def measure(
    answers: Sequence[Labels], truths: Sequence[int], names: Sequence[str], groups_N: NDArray[np.integer] | None
) -> Measured:
    """Compute every metric of N answers.

    Args:
        truths: index of the right class of each.
        groups_N: number of each sample's group, the unit of the intervals; None without groups.
    """
    return measure_scores(
        np.stack([answer.scores_K for answer in answers]), np.array(truths, dtype=np.int32), names, groups_N
    )


def measure_scores(
    probabilities_NK: NDArray[np.float32],
    targets_N: NDArray[np.int32],
    names: Sequence[str],
    groups_N: NDArray[np.integer] | None = None,
) -> Measured:
    """Compute every metric of N rows of probabilities, 0…1, rows summing to 1; as `measure`."""
    predicted_N = probabilities_NK.argmax(axis=1)
    confusion_KK = metrics.confusion_matrix(predicted_N, targets_N, len(names))
    each = metrics.per_class(confusion_KK)
    areas_K = metrics.auroc(probabilities_NK, targets_N)
    together = _group_accuracy(probabilities_NK, targets_N, groups_N)
    return Measured(
        overall=_overall(probabilities_NK, targets_N, each, areas_K)
        | {name: interval.value for name, interval in together.items()},
        intervals=uncertainty.intervals(predicted_N, targets_N, groups_N) | together,
        figures=Figures(
            per_class=_class_figures(names, each, areas_K),
            confusion_KK=confusion_KK,
            calibration=_calibration(probabilities_NK, targets_N),
        ),
        rows=_rows(probabilities_NK, targets_N),
    )


def save(evaluated: Evaluated) -> dict[str, Any]:
    """Return the kind's part of evaluation.json; undefined values are null."""
    figures: Figures = evaluated.figures
    return {
        "absent_classes": list(figures.absent),
        "per_class": [asdict(one) for one in figures.per_class],
        "confusion": figures.confusion_KK.tolist(),
        "calibration": {**asdict(figures.calibration), "bins": [asdict(one) for one in figures.calibration.bins]},
    }


def load(raw: Mapping[str, Any]) -> tuple[tuple[str, ...], Figures]:
    """Return the names and figures that `save` wrote.

    Raises:
        KeyError, TypeError, ValueError: it is damaged.
    """
    bins = tuple(Bin(**one) for one in raw["calibration"]["bins"])
    figures = Figures(
        per_class=tuple(ClassFigures(**one) for one in raw["per_class"]),
        confusion_KK=np.array(raw["confusion"], dtype=np.int64),
        calibration=Calibration(**{**raw["calibration"], "bins": bins}),
    )
    return tuple(one.name for one in figures.per_class), figures


def to_table(rows: Rows, names: Sequence[str]) -> tuple[list[str], int, list[list[str]]]:
    """Return the header, the number of leading columns, and one row of cells per sample."""
    kept = rows.top_NT.shape[1]
    lead = ["target", "answer", "right", "score", "target_score"]
    further = [f"{part}_{place}" for place in range(2, kept + 1) for part in ("answer", "score")]
    cells = []
    for target, right, own, top, scores in zip(
        rows.targets_N, rows.right_N, rows.target_scores_N, rows.top_NT, rows.scores_NT, strict=True
    ):
        pairs = [(names[index], f"{score:.6g}") for index, score in zip(top, scores, strict=True)]
        others = [part for pair in pairs[1:] for part in pair]
        cells.append([names[target], pairs[0][0], str(int(right)), pairs[0][1], f"{own:.6g}", *others])
    return [*lead, *further], len(lead), cells


def from_table(header: Sequence[str], cells: Sequence[Sequence[str]], names: Sequence[str]) -> Rows:
    """Read back a table of `to_table`."""
    index = {name: at for at, name in enumerate(names)}
    first = header.index("target_score") + 1
    return Rows(
        targets_N=np.array([index[row[0]] for row in cells], dtype=np.int32),
        top_NT=np.array([[index[name] for name in (row[1], *row[first::2])] for row in cells], dtype=np.int32),
        scores_NT=np.array([[row[3], *row[first + 1 :: 2]] for row in cells], dtype=np.float32),
        target_scores_N=np.array([row[4] for row in cells], dtype=np.float32),
    )


def compare(
    first: Evaluated, second: Evaluated, order_N: NDArray[np.integer], groups_N: NDArray[np.integer] | None
) -> Paired:
    """Compare two evaluations of the same samples, classes matched by name; arguments as in `sightsmith.kinds`."""
    index = {name: at for at, name in enumerate(first.names)}
    renumber_K = np.array([index[name] for name in second.names])
    second_N = renumber_K[second.rows.predicted_N[order_N]]
    first_N, targets_N = first.rows.predicted_N, first.rows.targets_N
    gaps = uncertainty.differences(first_N, second_N, targets_N, groups_N)
    p_value = uncertainty.paired_p_value(first_N, second_N, targets_N, groups_N)
    return Paired(
        metrics=gaps,
        p_value=p_value,
        test="McNemar" if groups_N is None else "sign flips of groups",
        explains=_TEST.format(first.nouns[1]),
        verdict=summary.verdict(gaps[METRIC.name].value, p_value, METRIC),
    )


def brief(evaluated: Evaluated) -> dict[str, float]:
    """Return the further figures that the bundle keeps."""
    return {"ece": evaluated.figures.calibration.ece, "nll": evaluated.figures.calibration.nll}


def text(evaluated: Evaluated) -> list[str]:
    """Return one line per figure for a terminal."""
    shown = {name: name.replace("_", " ") for name in evaluated.overall if not name.startswith("weighted_")}
    return summary.lines(evaluated, shown)


def further_text(evaluated: Evaluated) -> list[str]:
    """Return the lines after the data warning."""
    figures: Figures = evaluated.figures
    lines = [f"  {'ECE':<18}{figures.calibration.ece:.4f}", f"  {'NLL':<18}{figures.calibration.nll:.4f}"]
    return [*lines, f"  classes without a sample: {', '.join(figures.absent)}"] if figures.absent else lines


def _overall(
    probabilities_NK: NDArray[np.float32], targets_N: NDArray[np.int32], each: metrics.PerClass, areas_K: metrics.Floats
) -> dict[str, float | None]:
    macro, weighted = metrics.macro(each), metrics.weighted(each)
    further = {
        f"top{k}": metrics.top_k(probabilities_NK, targets_N, k) for k in TOP_KS if k < probabilities_NK.shape[1]
    }
    return {
        "accuracy": metrics.accuracy(probabilities_NK, targets_N),
        **further,
        "balanced_accuracy": macro.recall,
        "macro_precision": macro.precision,
        "macro_recall": macro.recall,
        "macro_f1": macro.f1,
        "weighted_precision": weighted.precision,
        "weighted_recall": weighted.recall,
        "weighted_f1": weighted.f1,
        "macro_auroc": known(metrics.mean_of_present(areas_K)),
    }


def _group_accuracy(
    probabilities_NK: NDArray[np.float32], targets_N: NDArray[np.int32], groups_N: NDArray[np.integer] | None
) -> dict[str, Interval]:
    """Return the share of groups whose samples together give the right answer; empty if that is no figure of its own.

    It is none without groups, if each group has one sample, and if a group has samples of different classes.
    """
    if groups_N is None or groups_N.max() + 1 == len(groups_N):
        return {}
    found = metrics.group_answers(calibration.log_probabilities(probabilities_NK), targets_N, groups_N)
    return {} if found is None else {GROUP_ACCURACY: uncertainty.intervals(*found)["accuracy"]}


def _class_figures(names: Sequence[str], each: metrics.PerClass, areas_K: metrics.Floats) -> tuple[ClassFigures, ...]:
    return tuple(
        ClassFigures(
            name=name,
            support=int(each.support_K[at]),
            precision=known(each.precision_K[at]),
            recall=known(each.recall_K[at]),
            f1=known(each.f1_K[at]),
            auroc=known(areas_K[at]),
        )
        for at, name in enumerate(names)
    )


def _calibration(probabilities_NK: NDArray[np.float32], targets_N: NDArray[np.int32]) -> Calibration:
    curve = calibration.reliability(probabilities_NK, targets_N)
    logits_NK = calibration.log_probabilities(probabilities_NK)
    best = calibration.fit_temperature(logits_NK, targets_N)
    return Calibration(
        ece=curve.ece,
        nll=calibration.nll(probabilities_NK, targets_N),
        brier=calibration.brier(probabilities_NK, targets_N),
        bins=tuple(
            Bin(count=int(count), confidence=known(confidence), accuracy=known(right))
            for count, confidence, right in zip(curve.count_M, curve.confidence_M, curve.accuracy_M, strict=True)
        ),
        best_temperature=best,
        best_ece=calibration.reliability(softmax(logits_NK, best), targets_N).ece,
    )


def _rows(probabilities_NK: NDArray[np.float32], targets_N: NDArray[np.int32]) -> Rows:
    top_NT = np.argsort(-probabilities_NK, axis=1, kind="stable")[:, :KEPT]
    return Rows(
        targets_N=targets_N.astype(np.int32),
        top_NT=top_NT.astype(np.int32),
        scores_NT=np.take_along_axis(probabilities_NK, top_NT, axis=1).astype(np.float32),
        target_scores_N=probabilities_NK[np.arange(len(targets_N)), targets_N].astype(np.float32),
    )
