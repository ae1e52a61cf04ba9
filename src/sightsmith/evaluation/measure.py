"""Measuring a model on labelled pictures, through the same predictor that serves it.

Shapes: N samples, K classes, T answers kept a sample.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.errors import DataError
from sightsmith.core.images import printable
from sightsmith.core.machine import this_machine
from sightsmith.core.progress import track
from sightsmith.core.records import Sample
from sightsmith.evaluation import calibration, metrics, uncertainty
from sightsmith.evaluation.record import (
    KEPT,
    Answers,
    Bin,
    Calibration,
    ClassFigures,
    Evaluation,
    Skipped,
    known,
)
from sightsmith.evaluation.test_data import EvaluationData
from sightsmith.predictions.parts.temperature import softmax
from sightsmith.runtime.predictor import Predictor

TOP_KS = (3, 5)
"""Top-k accuracies reported where there are more than k classes."""


@dataclass(slots=True)
class _Gathered:
    """What the predictor said so far."""

    samples: list[Sample] = field(default_factory=list)
    scores: list[NDArray[np.float32]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def measure_model(
    predictor: Predictor,
    chosen: EvaluationData,
    *,
    batch: int | None = None,
    quiet: bool = False,
) -> Evaluation:
    """Measure a model on labelled pictures.

    Pictures that cannot be read are left out of the metrics, counted and named.

    Args:
        predictor: the model.
        chosen: the samples, their targets being indices of the model's classes (`evaluation/test_data.py`).
        batch: pictures a step; None lets the predictor choose.
        quiet: show no progress.

    Raises:
        DataError: no picture could be read.
    """
    start = time.perf_counter()
    gathered = _gather(predictor, chosen.samples, batch, quiet)
    seconds = time.perf_counter() - start
    skipped = (*chosen.skipped, *gathered.skipped)
    if not gathered.samples:
        first = skipped[0].why if skipped else "it has no sample"
        raise DataError(f"{chosen.location}: no picture could be evaluated ({first}).")
    return compute_metrics(
        np.stack(gathered.scores),
        np.array([sample.target for sample in gathered.samples], dtype=np.int32),
        [printable(sample.key) for sample in gathered.samples],
        predictor.definition.names,
        model=describe_model(predictor),
        data=chosen.to_json(),
        skipped=skipped,
        groups=_groups(gathered.samples),
        contents=[*map(chosen.content_hash, gathered.samples)],
        seconds=seconds,
    )


def compute_metrics(
    probabilities_NK: NDArray[np.float32],
    targets_N: NDArray[np.int32],
    keys: Sequence[str],
    classes: Sequence[str],
    *,
    model: Mapping[str, Any],
    data: Mapping[str, Any],
    skipped: Sequence[Skipped] = (),
    groups: Sequence[str] | None = None,
    contents: Sequence[bytes] | None = None,
    seconds: float = 0.0,
) -> Evaluation:
    """Compute every metric of N answers.

    Args:
        probabilities_NK: probability of each class, 0…1, rows sum to 1.
        targets_N: index of the right class of each sample.
        keys: name of each sample.
        classes: names of the K classes.
        model: what to write down of the model.
        data: what to write down of the samples; their digest is added.
        skipped: samples left out.
        groups: name of each sample's group, empty where it has none; the intervals are then of other groups.
        contents: SHA-256 of each sample's picture; then only evaluations of the same pixels count as comparable.
        seconds: wall time that the answers took.
    """
    predicted_N = probabilities_NK.argmax(axis=1)
    confusion_KK = metrics.confusion_matrix(predicted_N, targets_N, len(classes))
    each = metrics.per_class(confusion_KK)
    areas_K = metrics.auroc(probabilities_NK, targets_N)
    groups_N = None if groups is None else uncertainty.group_indices(groups)
    counts = {"asked": len(keys) + len(skipped), "evaluated": len(keys), "skipped": len(skipped)}
    return Evaluation(
        model=dict(model),
        data={**data, "digest": digest(keys, [classes[target] for target in targets_N], contents)},
        classes=tuple(classes),
        counts=counts if groups_N is None else counts | {"groups": int(groups_N.max()) + 1},
        skipped=tuple(skipped),
        overall=_overall(probabilities_NK, targets_N, each, areas_K),
        intervals=uncertainty.intervals(predicted_N, targets_N, groups_N),
        per_class=_class_figures(classes, each, areas_K),
        confusion_KK=confusion_KK,
        calibration=_calibration(probabilities_NK, targets_N),
        seconds=seconds,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        answers=replace(_answers(probabilities_NK, targets_N, keys), groups=None if groups is None else tuple(groups)),
    )


def _groups(samples: Sequence[Sample]) -> list[str] | None:
    """Return the name of each sample's group, None where no sample has one."""
    if all(sample.group is None for sample in samples):
        return None
    return [printable(sample.group or "") for sample in samples]


def digest(keys: Sequence[str], targets: Sequence[str], contents: Sequence[bytes] | None = None) -> str:
    """Return a SHA-256 over names, classes and contents of samples, in any order: equal for equal test sets."""
    seen = contents if contents is not None else [b""] * len(keys)
    lines = sorted(f"{key}\0{target}\0{one.hex()}" for key, target, one in zip(keys, targets, seen, strict=True))
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def describe_model(predictor: Predictor) -> dict[str, Any]:
    manifest = predictor.manifest
    return {
        "name": manifest.name,
        "net": manifest.net.name,
        "definition": manifest.definition_digest,
        "backend": predictor.backend,
        "precision": predictor.precision,
        "machine": str(this_machine()),
    }


def _gather(predictor: Predictor, samples: Sequence[Sample], batch: int | None, quiet: bool) -> _Gathered:
    gathered = _Gathered()
    outcomes = predictor.predict((sample.picture for sample in samples), batch=batch)
    for sample, outcome in zip(samples, track(outcomes, "Evaluating", len(samples), quiet=quiet), strict=True):
        if outcome.error is not None:
            gathered.skipped.append(Skipped(key=printable(sample.key), why=str(outcome.error)))
        elif outcome.prediction is not None:
            gathered.samples.append(sample)
            gathered.scores.append(outcome.prediction.scores_K)
    return gathered


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


def _class_figures(classes: Sequence[str], each: metrics.PerClass, areas_K: metrics.Floats) -> tuple[ClassFigures, ...]:
    return tuple(
        ClassFigures(
            name=name,
            support=int(each.support_K[at]),
            precision=known(each.precision_K[at]),
            recall=known(each.recall_K[at]),
            f1=known(each.f1_K[at]),
            auroc=known(areas_K[at]),
        )
        for at, name in enumerate(classes)
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


def _answers(probabilities_NK: NDArray[np.float32], targets_N: NDArray[np.int32], keys: Sequence[str]) -> Answers:
    top_NT = np.argsort(-probabilities_NK, axis=1, kind="stable")[:, :KEPT]
    return Answers(
        keys=tuple(keys),
        targets_N=targets_N.astype(np.int32),
        top_NT=top_NT.astype(np.int32),
        scores_NT=np.take_along_axis(probabilities_NK, top_NT, axis=1).astype(np.float32),
        target_scores_N=probabilities_NK[np.arange(len(keys)), targets_N].astype(np.float32),
    )
