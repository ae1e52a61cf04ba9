"""The verb `evaluate`: choose the samples, measure, write the page, and keep the figures in the bundle."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sightsmith.bundle.store import Content, add_files
from sightsmith.core.errors import SightsmithError
from sightsmith.core.files import told, write_text
from sightsmith.core.images import Picture, printable
from sightsmith.core.records import Split
from sightsmith.data.settings import SourceOptions
from sightsmith.evaluation import gallery, measure
from sightsmith.evaluation.record import JSON_NAME, TABLE_NAME, Evaluation
from sightsmith.evaluation.report import report_html
from sightsmith.evaluation.test_data import EvaluationData, open_evaluation_data
from sightsmith.kinds import part_of
from sightsmith.runtime.predictor import Predictor

FOLDER = "report"
PAGE = f"{FOLDER}/index.html"
_CURVES = f"{FOLDER}/metrics.csv"
_AS_TRAINED = SourceOptions()


def evaluate(
    predictor: Predictor,
    *,
    data: str | Path | None = None,
    options: SourceOptions = _AS_TRAINED,
    split: Split = "test",
    missing_ok: bool = False,
    report: Path | None = None,
    batch: int | None = None,
    quiet: bool = False,
) -> Evaluation:
    """Measure a model and write the report.

    On the model's own test split the figures, the answers and the page go into the bundle (`report/`), and the
    figures into its manifest. The predictor keeps the old bundle, so open it again.

    Args:
        data: a split of the model's own data by name, other data with the same classes, or the path that its own has
            moved to; None takes the model's own.
        options: how to open that data; for the model's own data only `group_by`, the unit of the intervals.
        split: which split; of other data only if it has splits.
        missing_ok: accept data without a sample of some of the model's classes.
        report: file for the page, besides the bundle for the own test split. An existing file is replaced.
        batch: pictures a step; None lets the predictor choose.

    Returns:
        The evaluation, with the path of the page if one was written, and `not_kept` if the bundle could not
        be written, for example on a read-only disk.

    Raises DataError: the data cannot be used; see `test_data.py`.
    """
    chosen = open_evaluation_data(predictor.bundle, data, split, options=options, missing_ok=missing_ok)
    done = measure.measure_model(predictor, chosen, batch=batch, quiet=quiet)
    keep = chosen.own and split == "test"
    if not keep and report is None:
        return done
    page = report_html(done, predictor.manifest, _galleries(predictor, chosen, done), _curves(predictor), kept=keep)
    if report is not None:
        with told(report):
            write_text(report, page)
    if not keep:
        return replace(done, report=report)
    try:
        _keep(predictor, done, page)
    except (SightsmithError, OSError) as error:  # the figures are expensive, so they are returned even if saving fails
        return replace(done, report=report, not_kept=f"{error}")
    return replace(done, report=report or predictor.bundle.path / PAGE)


def figures(done: Evaluation) -> dict[str, Any]:
    return {
        **{name: value for name, value in done.overall.items() if value is not None},
        **part_of(done.kind, "figures").brief(done),
        "count": done.counts["evaluated"],
        "skipped": done.counts["skipped"],
        "intervals": {name: asdict(one) for name, one in done.intervals.items()},
        "digest": done.data["digest"],
    }


def _keep(predictor: Predictor, done: Evaluation, page: str) -> None:
    with tempfile.TemporaryDirectory(prefix="sightsmith-") as temporary:
        folder = Path(temporary)
        done.save(folder)
        files: dict[str, Content] = {f"{FOLDER}/{name}": folder / name for name in (JSON_NAME, TABLE_NAME)}
        metrics = {**predictor.manifest.metrics, "test": figures(done)}
        add_files(predictor.bundle, {**files, PAGE: page}, metrics=metrics)


def _galleries(predictor: Predictor, chosen: EvaluationData, done: Evaluation) -> Sequence[gallery.Gallery]:
    pictures = {printable(sample.key): sample.picture for sample in chosen.samples}

    def look_again(chosen_pictures: Sequence[Picture]) -> Iterator[Any]:
        return (outcome.prediction for outcome in predictor.predict(chosen_pictures, outputs=predictor.outputs))

    return gallery.build(done, pictures.__getitem__, look_again, predictor.definition.input_settings)


def _curves(predictor: Predictor) -> str:
    bundle = predictor.bundle
    return bundle.file(_CURVES).read_text(encoding="utf-8") if _CURVES in bundle.manifest.files else ""
