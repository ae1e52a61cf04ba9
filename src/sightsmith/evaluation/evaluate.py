"""The verb `evaluate`: measure a model on labelled samples, write the page, and keep the figures in the bundle.

The answers come from the same predictor that serves the model.
"""

import hashlib
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sightsmith.bundle.location import baselines_folder
from sightsmith.bundle.store import add_files
from sightsmith.core.errors import BackendError, DataError, SettingsError, SightsmithError
from sightsmith.core.files import refuse_existing, told, write_text
from sightsmith.core.images import printable
from sightsmith.core.machine import require_training, this_machine
from sightsmith.core.progress import track
from sightsmith.core.records import Sample, Span
from sightsmith.evaluation import gallery
from sightsmith.evaluation.baselines import answered
from sightsmith.evaluation.compare import entry_of, side_by_side
from sightsmith.evaluation.record import FOLDER, JSON_NAME, TABLE_NAME, Evaluation, Skipped
from sightsmith.evaluation.report import report_html
from sightsmith.evaluation.settings import EvaluateSettings
from sightsmith.evaluation.test_data import EvaluationData, open_evaluation_data, own_split, turned
from sightsmith.inputs import INPUTS
from sightsmith.kinds import part_of
from sightsmith.kinds.parts.instruments import Instruments, Recogniser, require_names
from sightsmith.kinds.parts.intervals import group_indices
from sightsmith.runtime.predictor import Predictor

_CURVES = f"{FOLDER}/metrics.csv"
_PAGE = f"{FOLDER}/index.html"
_DEFAULTS = EvaluateSettings()
_FIRST = 32  # Samples answered before the time is taken: the first answers of a process can take a second


def evaluate(predictor: Predictor, settings: EvaluateSettings = _DEFAULTS, *, quiet: bool = False) -> Evaluation:
    """Measure a model and write the report.

    On the model's own test split the figures, the answers and the page go into the bundle (`report/`), and the
    figures into its manifest. The predictor keeps the old bundle, so open it again.

    Returns:
        The evaluation, with the path of the page if one was written, and `not_kept` if the bundle could not
        be written, for example on a read-only disk.

    Raises:
        DataError: the data cannot be used (see `test_data.py`), or none of its samples.
        OutputExistsError: there is a file in the page's place.
    """
    report = settings.report
    if report:
        refuse_existing(report, overwrite=settings.overwrite)
    given = _given(predictor, settings, quiet)
    chosen = open_evaluation_data(predictor.bundle, settings)
    done = _measure(predictor, chosen, given, quiet)
    keep = chosen.own and chosen.split == "test"
    if keep and (left_out := predictor.manifest.training.get("baselines")):
        done = replace(done, baselines=_baselines(predictor, done, settings, left_out, quiet))
    if not keep and report is None:
        return done
    page = _page(predictor, chosen, done, keep)
    if report is not None:
        with told(report):
            write_text(report, page)
    if not keep:
        return replace(done, report=report)
    try:
        _keep(predictor, done, page)
    except (SightsmithError, OSError) as error:  # the figures are expensive, so they are returned even if saving fails
        return replace(done, report=report, not_kept=f"{error}")
    return replace(done, report=report or predictor.bundle.path / _PAGE)


def _given(predictor: Predictor, settings: EvaluateSettings, quiet: bool) -> Instruments:
    """Return the nets that are asked for to measure with.

    Raises SettingsError: the model makes no pictures, or knows no names to recognise.
    """
    asked = [name for name in ("features", "classifier") if getattr(settings, name) is not None]
    if asked and not hasattr(predictor.kind, "truth_of"):
        raise SettingsError(
            f"{asked[0]}: it measures pictures that a model makes, and {predictor.manifest.name} makes none. "
            "Leave it out."
        )
    features, recogniser = None, None
    if settings.features is not None:
        require_training("evaluate --features")
        from sightsmith.runtime.feature_nets import open_features

        features = open_features(settings.features, quiet=quiet)
    if settings.classifier is not None:
        recogniser = _recogniser(predictor.definition.names, settings.classifier, quiet)
    return Instruments(features=features, recogniser=recogniser)


def _recogniser(names: Sequence[str], path: Path, quiet: bool) -> Recogniser:
    opened = Predictor.open(path)

    def answers(pictures: Sequence[Any]) -> list[Any]:
        outcomes = track(opened.predict(pictures), "Recognising", len(pictures), quiet=quiet)
        return [outcome.prediction for outcome in outcomes]

    recogniser = Recogniser(
        name=opened.manifest.name,
        definition=opened.manifest.definition_digest,
        kind=opened.definition.kind,
        names=opened.definition.names,
        answers=answers,
    )
    require_names(recogniser, names)
    return recogniser


def _measure(predictor: Predictor, chosen: EvaluationData, given: Instruments, quiet: bool) -> Evaluation:
    # Pictures that cannot be read are left out of the metrics, counted and named.
    deque(predictor.predict(turned(predictor.definition, chosen.samples[:_FIRST]).items), maxlen=0)
    start = time.perf_counter()
    samples, truths, answers, unread = _answer(predictor, chosen.samples, quiet)
    seconds = time.perf_counter() - start
    skipped = (*chosen.skipped, *unread)
    if not samples:
        first = skipped[0].why if skipped else "it has no sample"
        raise DataError(f"{chosen.location}: no {chosen.nouns[0]} could be evaluated ({first}).")
    definition, manifest = predictor.definition, predictor.manifest
    names, groups = definition.names, _groups(samples)
    groups_N = None if groups is None else group_indices(groups)
    measured = part_of(definition.kind, "figures").measure(
        answers, truths, names, groups_N, **_instruments(predictor, chosen, samples, given)
    )
    keys = tuple(printable(sample.key) for sample in samples)
    counts = {"asked": len(keys) + len(skipped), "evaluated": len(keys), "skipped": len(skipped)}
    texts = [predictor.kind.truth_text(truth, names) for truth in truths]
    return Evaluation(
        kind=definition.kind,
        input=chosen.input,
        model={
            "name": manifest.name,
            "net": manifest.net.name,
            "definition": manifest.definition_digest,
            "backend": predictor.backend,
            "precision": predictor.precision,
            "machine": str(this_machine()),
        },
        data=chosen.to_json() | {"digest": _digest(keys, texts, [*map(chosen.content_hash, samples)])},
        names=names,
        counts=counts if groups_N is None else counts | {"groups": int(groups_N.max()) + 1},
        skipped=skipped,
        overall=measured.overall,
        intervals=measured.intervals,
        figures=measured.figures,
        seconds=seconds,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        keys=keys,
        groups=groups,
        rows=measured.rows,
    )


def _instruments(
    predictor: Predictor, chosen: EvaluationData, samples: Sequence[Sample], given: Instruments
) -> dict[str, Instruments]:
    """Return what the kind measures with, if it asks for that."""
    if not hasattr(predictor.kind, "truth_of"):
        return {}
    seen = own_split(predictor.bundle, "train").samples if chosen.own else ()
    trained = turned(predictor.definition, seen).truths
    coder, no_coder = _coder(predictor)
    given = replace(given, make=lambda items: [one.prediction for one in predictor.predict(items)])
    given = replace(given, trained=trained, asked=[sample.target for sample in samples])
    return {"instruments": replace(given, coder=coder, no_coder=no_coder)}


def _coder(predictor: Predictor) -> tuple[Any, str]:
    """Return the model's encoder and decoder, None if it has none; and why they are not at hand if it has them."""
    try:
        require_training("reconstructions")
    except BackendError as error:
        several = len(predictor.manifest.nets) > 1  # the task, which would tell, imports torch
        return None, f"{error}" if several else ""
    from sightsmith.runtime.latents import Encoder, has_encoder  # imports torch

    return (Encoder(predictor.bundle) if has_encoder(predictor.manifest) else None), ""


def _baselines(
    predictor: Predictor, done: Evaluation, settings: EvaluateSettings, left_out: Mapping[str, str], quiet: bool
) -> Mapping[str, Any]:
    """Return the model beside its baselines, which are evaluated alike; if they were moved, as it was before.

    Args:
        left_out: by the name of each baseline, why it was left out, else an empty text.
    """
    folder, manifest = baselines_folder(predictor.bundle.place), predictor.manifest
    missing = {name: why or f"{folder.name}/{name} was moved or deleted" for name, why in left_out.items()}
    entries, deep = [entry_of(predictor.bundle, done, manifest.name)], not manifest.net.fitted
    for name in left_out:
        if left_out[name] or not (folder / name).exists():
            continue
        try:
            with _alike(predictor, folder / name) as one:
                measured = evaluate(one, replace(settings, report=None), quiet=quiet)
                entries.append(entry_of(one.bundle, measured, name))
                deep = deep and one.manifest.net.fitted
        except SightsmithError as error:  # the figures of the model itself are there and must not be lost
            missing[name] = f"{error}"
        else:
            del missing[name]
    if len(entries) == 1 and f"{FOLDER}/{JSON_NAME}" in manifest.files:
        return Evaluation.load(predictor.bundle.folder / FOLDER).baselines
    return answered(side_by_side(entries).to_json(), done.kind, done.nouns[1], missing, deep=deep)


def _alike(predictor: Predictor, path: Path) -> Predictor:
    """Open a baseline in the backend of its model, or in the fastest that can run it."""
    with suppress(BackendError):
        return Predictor.open(path, predictor.backend, threads=predictor.threads)
    return Predictor.open(path, threads=predictor.threads)


def _answer(
    predictor: Predictor, samples: Sequence[Sample], quiet: bool
) -> tuple[list[Sample], list[Any], list[Any], list[Skipped]]:
    """Return the samples that were read, their truths, the answers to them, and those that were not."""
    read, known, answers = [], [], []
    used, items, truths, skipped = turned(predictor.definition, samples)
    outcomes = track(predictor.predict(items), "Evaluating", len(items), quiet=quiet)
    for sample, truth, outcome in zip(used, truths, outcomes, strict=True):
        if outcome.error is not None:
            skipped.append(Skipped(key=printable(sample.key), why=f"{outcome.error}"))
        else:
            read.append(sample)
            known.append(truth)
            answers.append(outcome.prediction)
    return read, known, answers, skipped


def _groups(samples: Sequence[Sample]) -> tuple[str, ...] | None:
    """Return the name of each sample's group, None if no sample has one."""
    if all(sample.group is None for sample in samples):
        return None
    return tuple(printable(sample.group or "") for sample in samples)


def _digest(keys: Sequence[str], truths: Sequence[str], contents: Sequence[bytes]) -> str:
    """Return a SHA-256 over names, truths and contents of samples, in any order: equal for equal test sets."""
    lines = sorted(f"{key}\0{truth}\0{one.hex()}" for key, truth, one in zip(keys, truths, contents, strict=True))
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def _page(predictor: Predictor, chosen: EvaluationData, done: Evaluation, keep: bool) -> str:
    bundle = predictor.bundle
    curves = bundle.file(_CURVES).read_text(encoding="utf-8") if _CURVES in bundle.manifest.files else ""
    items = {printable(sample.key): sample.item for sample in chosen.samples}
    galleries = gallery.build(done, predictor, items)
    spans = _spans(chosen.input, [items[key] for key in done.keys])
    return report_html(done, bundle.manifest, galleries, curves, spans, kept=keep)


def _spans(source: str, items: Sequence[Any]) -> list[Span | None]:
    """Return the part of a video that each item is; empty if none is."""
    span_of = getattr(INPUTS.module(source), "span", None)
    spans = [] if span_of is None else [span_of(item) for item in items]
    return spans if any(spans) else []


def _keep(predictor: Predictor, done: Evaluation, page: str) -> None:
    figures = {
        **{name: value for name, value in done.overall.items() if value is not None},
        **part_of(done.kind, "figures").brief(done),
        "count": done.counts["evaluated"],
        "skipped": done.counts["skipped"],
        "intervals": {name: asdict(interval) for name, interval in done.intervals.items()},
        "digest": done.data["digest"],
    }
    texts = zip((JSON_NAME, TABLE_NAME), done.files(), strict=True)
    files = {_PAGE: page} | {f"{FOLDER}/{name}": text for name, text in texts}
    add_files(predictor.bundle, files, metrics={**predictor.manifest.metrics, "test": figures})
