"""The report of an evaluation: one self-contained HTML file, legible in light, dark and print."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from sightsmith.bundle.manifest import Manifest, OriginRecord
from sightsmith.core import pages
from sightsmith.core.progress import duration
from sightsmith.evaluation import charts, selective
from sightsmith.evaluation.findings import baseline, findings
from sightsmith.evaluation.gallery import Gallery
from sightsmith.evaluation.record import Evaluation
from sightsmith.evaluation.uncertainty import Interval

_PAGES = Path(__file__).with_name("pages")
_CONFUSIONS = 12
_NOT_CURVES = {"epoch", "step", "seconds", "images_per_second"}
_CURVE_POINTS = 200
"""Points drawn of a curve; more cannot be told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    name: str
    value: str
    explains: str
    interval: Interval | None = None


def report_html(
    evaluation: Evaluation,
    manifest: Manifest,
    galleries: Sequence[Gallery] = (),
    training_csv: str = "",
    *,
    kept: bool = True,
) -> str:
    """Return the report.

    Args:
        evaluation: what was measured.
        manifest: the model's papers.
        galleries: pictures to show (`gallery.build`).
        training_csv: the text of training's metrics.csv, for its curves; empty where there is none.
        kept: whether the figures and the answers are in the bundle's report folder.
    """
    curve = selective.coverage(evaluation.answers.scores_NT[:, 0], evaluation.answers.right_N)
    few = len(evaluation.classes) <= charts.MAX_MATRIX
    return page(
        "report.html.j2",
        name=evaluation.model["name"],
        evaluation=evaluation,
        kept=kept,
        when=f"{datetime.fromisoformat(evaluation.created):%Y-%m-%d %H:%M} UTC",
        baseline=baseline(evaluation),
        tiles=tiles(evaluation),
        findings=findings(evaluation),
        galleries=galleries,
        confusion=charts.confusion_chart(evaluation.confusion_KK, evaluation.classes) if few else None,
        confusions=_confusions(evaluation, _CONFUSIONS if few else 3 * _CONFUSIONS),
        reliability=charts.reliability_chart(evaluation.calibration.bins),
        coverage=_coverage(curve),
        goals=selective.goals(curve),
        curves=training_curves(training_csv),
        facts=facts(evaluation, manifest),
    )


def page(template: str, **values: Any) -> str:
    """Return a page of `pages/` with its style and script inside it; every value is escaped."""
    css, js = (Markup((_PAGES / name).read_text(encoding="utf-8")) for name in ("style.css", "sort.js"))  # noqa: S704  # our own files
    return pages.template(_PAGES / template).render(css=css, js=js, **values).strip() + "\n"


def tiles(evaluation: Evaluation) -> list[Tile]:
    """Return the headline figures, those with intervals first."""
    shown = [
        Tile(name=title, value=_share(interval.value), explains=explains, interval=interval)
        for key, title, explains in (
            ("accuracy", "Accuracy", "share of right answers"),
            ("balanced_accuracy", "Balanced accuracy", "mean recall of the classes, each counting alike"),
            ("macro_f1", "Macro F1", "mean F1 of the classes, each counting alike"),
        )
        if (interval := evaluation.intervals.get(key))
    ]
    shown += [
        Tile(
            name=f"Top-{key[3:]} accuracy", value=_share(value), explains=f"right one among the {key[3:]} best answers"
        )
        for key, value in evaluation.overall.items()
        if key.startswith("top")
    ]
    shown.append(
        Tile(
            name="AUROC",
            value=_plain(evaluation.overall["macro_auroc"]),
            explains="mean over classes, one against the rest",
        )
    )
    shown.append(
        Tile(
            name="Calibration error",
            value=_share(evaluation.calibration.ece, 2),
            explains="confidence minus accuracy, mean size",
        )
    )
    if evaluation.seconds > 0:
        rate = evaluation.counts["asked"] / evaluation.seconds
        shown.append(
            Tile(
                name="Speed",
                value=f"{rate:,.0f}/s",
                explains=f"pictures, decoding included; {duration(evaluation.seconds)} in all",
            )
        )
    return shown


def facts(evaluation: Evaluation, manifest: Manifest) -> list[tuple[str, str]]:
    """Return the rows of the model's card; what is not known is left out."""
    shown, data, net = manifest.definition.input_settings, manifest.data, manifest.net
    rows = [
        ("Name", manifest.name),
        ("Net", _joined(net.name, _count(net.parameters, "parameters"))),
        ("Paper", net.paper),
        ("Licence of the code", net.licence),
        ("Training started from", _origin(net.weights)),
        ("Input", f"{shown.width}×{shown.height} {shown.colour}, {shown.resize}, {shown.interpolation}"),
        ("Training data", _joined(data.get("location"), _counts(data.get("counts")), data.get("licence"))),
        ("Trained", _joined(manifest.created, _spent(manifest.training.get("seconds")))),
        *((_title(name), f"{value:g}") for name, value in manifest.definition.fitted().items() if value != 1),
        ("Evaluated with", _joined(evaluation.model.get("backend"), evaluation.model.get("precision"))),
        (
            "Evaluated on",
            _joined(evaluation.data["location"], evaluation.data["split"], f"digest {evaluation.data['digest'][:12]}"),
        ),
        ("Machine", evaluation.model.get("machine")),
        ("Definition", manifest.definition_digest),
        ("Versions", ", ".join(f"{name} {version}" for name, version in manifest.versions.items())),
    ]
    return [(key, str(value)) for key, value in rows if value]


def training_curves(text: str) -> list[tuple[str, Markup]]:
    """Draw the curves of a metrics.csv: `train_X` and `val_X` in one chart, every other column in its own.

    The x axis is the column `epoch`, or `step` where there is none. Cells left empty are skipped.
    """
    rows = list(csv.DictReader(io.StringIO(text)))
    axis = next((name for name in ("epoch", "step") if rows and rows[0].get(name) is not None), None)
    if axis is None:
        return []
    charted: dict[str, list[charts.Series]] = {}
    for column in rows[0]:
        points = _points(rows, axis, column)
        if column in _NOT_CURVES or len(points) < 2:
            continue
        part, _, rest = column.partition("_")
        title, name = (rest, part) if part in {"train", "val"} and rest else (column, column)
        charted.setdefault(title, []).append(charts.Series(name=name, points=points, css="b" if part == "val" else "a"))
    ordered = sorted(charted.items(), key=lambda one: one[0] not in {"loss", "accuracy"})
    return [(title.replace("_", " "), charts.line_chart(lines, axis, title)) for title, lines in ordered]


def _points(rows: Sequence[Mapping[str, str]], axis: str, column: str) -> list[tuple[float, float]]:
    points: dict[float, float] = {}
    for row in rows:
        try:
            points[float(row[axis])] = float(row[column])  # the last of an epoch's rows stands for it
        except (TypeError, ValueError):
            continue
    step = max(1, len(points) // _CURVE_POINTS)
    return sorted(points.items())[::step]


def _coverage(curve: selective.Coverage) -> Markup:
    step = max(1, len(curve.coverage_P) // 60)
    last = len(curve.coverage_P) - 1
    # accuracy over the first few answers jumps between 0 and 1 and says nothing
    kept = [at for at in range(0, last + 1, step) if curve.coverage_P[at] >= 0.02 or at == last]
    kept = [*kept, last] if kept[-1:] != [last] else kept
    return charts.coverage_chart(
        *([float(part[at]) for at in kept] for part in (curve.coverage_P, curve.accuracy_P, curve.threshold_P))
    )


def _confusions(evaluation: Evaluation, limit: int) -> list[tuple[str, str, int, float]]:
    support = {one.name: one.support for one in evaluation.per_class}
    return [(target, answer, count, count / support[target]) for target, answer, count in evaluation.confusions(limit)]


def _share(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}%}"


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _count(value: Any, noun: str) -> str:
    return f"{value:,} {noun}" if isinstance(value, int) else ""


def _counts(counts: Any) -> str:
    if not isinstance(counts, Mapping):
        return ""
    return ", ".join(f"{value:,} {name}" for name, value in counts.items() if isinstance(value, int))


def _spent(seconds: Any) -> str:
    return f"in {duration(float(seconds))}" if isinstance(seconds, (int, float)) else ""


def _origin(weights: OriginRecord) -> str:
    return "random weights" if weights.origin == "none" else _joined(weights.origin, weights.licence)


def _title(name: str) -> str:
    return name[:1].upper() + name[1:].replace("_", " ")


def _joined(*parts: Any) -> str:
    return " · ".join(str(part) for part in parts if part)
