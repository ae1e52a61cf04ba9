"""The report of an evaluation: one self-contained HTML file, legible in light, dark and print."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from sightsmith.bundle.manifest import Manifest
from sightsmith.core import pages
from sightsmith.core.counts import many
from sightsmith.core.progress import duration
from sightsmith.core.records import Span
from sightsmith.evaluation import baselines
from sightsmith.evaluation.gallery import Gallery
from sightsmith.evaluation.record import Evaluation
from sightsmith.inputs import INPUTS
from sightsmith.kinds import KINDS, part_of
from sightsmith.kinds.parts import charts
from sightsmith.kinds.parts.sections import LEVELS, Finding, Tile

_PAGES = Path(__file__).with_name("pages")
_LOSS = "train_loss"  # of all optimisers together; with a name behind it, of one of several
_NOT_CURVES = {"epoch", "step", "seconds", "images_per_second"}
_CURVE_POINTS = 200  # Points drawn of a curve; more would overlap


def report_html(
    evaluation: Evaluation,
    manifest: Manifest,
    galleries: Sequence[Gallery],
    training_csv: str,
    spans: Sequence[Span | None] = (),
    *,
    kept: bool,
) -> str:
    """Return the report.

    Args:
        manifest: the model's papers.
        galleries: pictures to show (`gallery.build`).
        training_csv: the text of training's metrics.csv, for its curves; empty if there is none.
        spans: the part of a video that each sample is, None for one that is no part; empty if none is.
        kept: whether the figures and the answers are in the bundle's report folder.
    """
    kind = part_of(evaluation.kind, "report")
    explains = f"{evaluation.nouns[1]}, decoding included; {duration(evaluation.seconds)} in all"
    return page(
        "report.html.j2",
        name=evaluation.model["name"],
        evaluation=evaluation,
        kept=kept,
        noun=KINDS.module(evaluation.kind).NOUNS[1],
        when=f"{datetime.fromisoformat(evaluation.created):%Y-%m-%d %H:%M} UTC",
        lead=kind.lead(evaluation),
        tiles=[*kind.tiles(evaluation), Tile(name="Speed", value=f"{evaluation.rate:,.0f}/s", explains=explains)],
        findings=findings(evaluation),
        galleries=galleries,
        first=[
            *(
                [baselines.section(evaluation.baselines, evaluation.kind, evaluation.nouns[1])]
                if evaluation.baselines
                else []
            ),
            *(kind.along(evaluation, spans) if spans and hasattr(kind, "along") else []),
        ],
        sections=kind.sections(evaluation, kept=kept),
        curves=training_curves(
            training_csv, KINDS.module(evaluation.kind).METRIC.name, manifest.metrics.get("best_epoch")
        ),
        facts=_facts(evaluation, manifest),
    )


def page(template: str, **values: Any) -> str:
    """Return a page of `pages/` with its style and script inlined; every value is escaped."""
    css, js = (Markup((_PAGES / name).read_text(encoding="utf-8")) for name in ("style.css", "sort.js"))  # noqa: S704  # our own files
    return pages.template(_PAGES / template).render(css=css, js=js, **values).strip() + "\n"


def findings(evaluation: Evaluation) -> list[Finding]:
    """Return the findings, most severe first: model failures, misleading figures, then the rest."""
    found = []
    if evaluation.data.get("warning"):
        found.append(Finding(level="warning", text=evaluation.data["warning"]))
    if evaluation.skipped:
        one, several = evaluation.nouns
        were = many(len(evaluation.skipped), f"{one} cannot be used and is", f"{several} cannot be used and are")
        found.append(Finding(level="warning", text=f"{were} not in the figures."))
    found += part_of(evaluation.kind, "report").findings(evaluation)
    return sorted(found, key=lambda one: LEVELS.index(one.level))


def _facts(evaluation: Evaluation, manifest: Manifest) -> list[tuple[str, str]]:
    """Return the rows of the model's card; unknown facts are left out."""
    definition, data, net, measured = manifest.definition, manifest.data, manifest.net, evaluation.data
    parameters = "" if net.parameters is None else f"{net.parameters:,} parameters"
    started = "random weights" if net.weights.origin == "none" else _joined(net.weights.origin, net.weights.licence)
    rows = [
        ("Name", manifest.name),
        ("Net", _joined(net.name, parameters)),
        ("Paper", net.paper),
        ("Licence of the code", net.licence),
        ("Training started from", started),
        ("Input", INPUTS.module(definition.input).describe(definition.input_settings)),
        ("Training data", _joined(data.get("location"), _counts(data.get("counts")), data.get("licence"))),
        ("Trained", _joined(manifest.created, _spent(manifest.training.get("seconds")))),
        *((_title(name), f"{value:g}") for name, value in definition.fitted().items() if value != 1),
        ("Evaluated with", _joined(evaluation.model.get("backend"), evaluation.model.get("precision"))),
        ("Evaluated on", _joined(measured["location"], measured["split"], f"digest {measured['digest'][:12]}")),
        ("Machine", evaluation.model.get("machine")),
        ("Definition", manifest.definition_digest),
        ("Versions", ", ".join(f"{name} {version}" for name, version in manifest.versions.items())),
    ]
    return [(key, str(value)) for key, value in rows if value]


def training_curves(text: str, metric: str, best: float | None) -> list[tuple[str, Markup]]:
    """Draw the curves of a metrics.csv: `train_X` and `val_X` together, others alone, `metric` early.

    The x axis is the column `epoch`, or `step` if there is none. Empty cells are skipped. The losses of several
    optimisers (`train_loss_NAME`) are drawn instead of their sum. The epoch that was kept, `best`, is marked.
    """
    rows = list(csv.DictReader(io.StringIO(text)))
    axis = next((name for name in ("epoch", "step") if rows and rows[0].get(name) is not None), None)
    if axis is None:
        return []
    charted: dict[str, list[charts.Series]] = {}
    for column in rows[0]:
        points = _points(rows, axis, column)
        summed = column == _LOSS and any(name.startswith(f"{_LOSS}_") for name in rows[0])
        if column in _NOT_CURVES or len(points) < 2 or summed:
            continue
        part, _, rest = column.partition("_")
        title, name = (rest, part) if part in {"train", "val"} and rest else (column, column)
        if column.startswith(f"{_LOSS}_"):
            title, name = "loss", column.removeprefix(f"{_LOSS}_")
        drawn = charted.setdefault(title, [])
        drawn.append(charts.Series(name=name, points=points, css="b" if part == "val" or drawn else "a"))
    ordered = sorted(charted.items(), key=lambda one: len(one[1]) < 2 and one[0] != metric)
    return [
        (title.replace("_", " "), charts.line_chart(lines, axis, title, best=best if title == metric else None))
        for title, lines in ordered
    ]


def _points(rows: Sequence[Mapping[str, str]], axis: str, column: str) -> list[tuple[float, float]]:
    points: dict[float, float] = {}
    for row in rows:
        try:
            value = float(row[column])
            if math.isfinite(value):
                points[float(row[axis])] = value  # the last row of an epoch counts
        except (TypeError, ValueError):
            continue
    step = max(1, len(points) // _CURVE_POINTS)
    return sorted(points.items())[::step]


def _counts(counts: Any) -> str:
    if not isinstance(counts, Mapping):
        return ""
    return ", ".join(f"{value:,} {name}" for name, value in counts.items() if isinstance(value, int))


def _spent(seconds: Any) -> str:
    return f"in {duration(float(seconds))}" if isinstance(seconds, (int, float)) else ""


def _title(name: str) -> str:
    return name[:1].upper() + name[1:].replace("_", " ")


def _joined(*parts: Any) -> str:
    return " · ".join(str(part) for part in parts if part)
