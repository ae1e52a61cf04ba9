"""Measuring a model on labelled pictures, through the same predictor that serves it."""

import hashlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sightsmith.core.errors import DataError
from sightsmith.core.images import printable
from sightsmith.core.machine import this_machine
from sightsmith.core.progress import track
from sightsmith.core.records import Sample
from sightsmith.evaluation.record import Evaluation, Skipped
from sightsmith.evaluation.test_data import EvaluationData
from sightsmith.kinds import part_of
from sightsmith.kinds.parts.intervals import group_indices
from sightsmith.runtime.predictor import Predictor


def measure_model(
    predictor: Predictor, chosen: EvaluationData, *, batch: int | None = None, quiet: bool = False
) -> Evaluation:
    """Measure a model on labelled pictures.

    Pictures that cannot be read are left out of the metrics, counted and named.

    Args:
        chosen: the samples, their targets being indices of the model's names (`evaluation/test_data.py`).
        batch: pictures a step; None lets the predictor choose.

    Raises DataError: no picture could be read.
    """
    start = time.perf_counter()
    samples, answers, unread = _gather(predictor, chosen.samples, batch, quiet)
    seconds = time.perf_counter() - start
    skipped = (*chosen.skipped, *unread)
    if not samples:
        first = skipped[0].why if skipped else "it has no sample"
        raise DataError(f"{chosen.location}: no picture could be evaluated ({first}).")
    definition = predictor.definition
    names, groups = definition.names, _groups(samples)
    groups_N = None if groups is None else group_indices(groups)
    truths = [sample.target for sample in samples]
    found = part_of(definition.kind, "figures").measure(answers, truths, names, groups_N)
    keys = tuple(printable(sample.key) for sample in samples)
    counts = {"asked": len(keys) + len(skipped), "evaluated": len(keys), "skipped": len(skipped)}
    contents = [*map(chosen.content_hash, samples)]
    return Evaluation(
        kind=definition.kind,
        model=describe_model(predictor),
        data={
            **chosen.to_json(),
            "digest": digest(keys, [predictor.kind.truth_text(truth, names) for truth in truths], contents),
        },
        names=names,
        counts=counts if groups_N is None else counts | {"groups": int(groups_N.max()) + 1},
        skipped=skipped,
        overall=found.overall,
        intervals=found.intervals,
        figures=found.figures,
        seconds=seconds,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        keys=keys,
        groups=groups,
        rows=found.rows,
    )


def digest(keys: Sequence[str], truths: Sequence[str], contents: Sequence[bytes]) -> str:
    """Return a SHA-256 over names, truths and contents of samples, in any order: equal for equal test sets."""
    lines = sorted(f"{key}\0{truth}\0{one.hex()}" for key, truth, one in zip(keys, truths, contents, strict=True))
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


def _groups(samples: Sequence[Sample]) -> tuple[str, ...] | None:
    """Return the name of each sample's group, None if no sample has one."""
    if all(sample.group is None for sample in samples):
        return None
    return tuple(printable(sample.group or "") for sample in samples)


def _gather(
    predictor: Predictor, samples: Sequence[Sample], batch: int | None, quiet: bool
) -> tuple[list[Sample], list[Any], list[Skipped]]:
    """Return the samples that were read, the answers to them, and those that were not."""
    read, answers, skipped = [], [], []
    outcomes = predictor.predict((sample.picture for sample in samples), batch=batch)
    for sample, outcome in zip(samples, track(outcomes, "Evaluating", len(samples), quiet=quiet), strict=True):
        if outcome.error is not None:
            skipped.append(Skipped(key=printable(sample.key), why=f"{outcome.error}"))
        elif outcome.prediction is not None:
            read.append(sample)
            answers.append(outcome.prediction)
    return read, answers, skipped
