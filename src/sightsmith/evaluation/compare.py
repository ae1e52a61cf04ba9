"""Models side by side: their metrics, and whether the differences could be luck.

Models that answered the same samples are compared sample by sample, or group by group where the samples have groups:
intervals of the difference, and an exact test of the accuracies. Where they were evaluated on different data
the figures stand side by side with a warning, and no difference is computed.

Shapes: N samples.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from sightsmith.bundle.location import name_of
from sightsmith.bundle.manifest import Manifest
from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import DataError, SettingsError
from sightsmith.evaluation import uncertainty
from sightsmith.evaluation.evaluate import FOLDER
from sightsmith.evaluation.record import JSON_NAME, Evaluation
from sightsmith.evaluation.report import page
from sightsmith.evaluation.uncertainty import Interval

SHOWN = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auroc")
_SIGNIFICANT = 0.05
_WIDTH = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One model of a comparison.

    Attributes:
        name: what it is called in the comparison, unique.
        net: name of its net.
        parameters: how many numbers it learned, None where not recorded.
        weights_bytes: size of its weights' file.
        input: such as 224×224 rgb.
        training_seconds: None where not recorded.
        evaluation: its stored evaluation.
    """

    name: str
    net: str
    parameters: int | None
    weights_bytes: int
    input: str
    training_seconds: float | None
    evaluation: Evaluation

    @property
    def rate(self) -> float:
        """Pictures a second during its evaluation, decoding included; on the machine named there."""
        return self.evaluation.counts["asked"] / max(self.evaluation.seconds, 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A model against the first, on the same samples.

    Attributes:
        name: the model.
        metrics: the model's value minus the first's, with 95 % intervals.
        p_value: exact two-sided p-value of equal accuracies.
        test: by which test: "McNemar", or "sign flips of groups" where the samples have groups.
    """

    name: str
    metrics: Mapping[str, Interval]
    p_value: float
    test: str

    @property
    def verdict(self) -> str:
        if self.p_value >= _SIGNIFICANT:
            return "no difference shown"
        return "better" if self.metrics["accuracy"].value > 0 else "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Models side by side; the first is what the others are measured against."""

    entries: tuple[Entry, ...]
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "models": [_entry_json(entry) for entry in self.entries],
            "differences": [
                {
                    "model": one.name,
                    "against": self.entries[0].name,
                    "metrics": {name: asdict(interval) for name, interval in one.metrics.items()},
                    "p_value": one.p_value,
                    "test": one.test,
                    "verdict": one.verdict,
                }
                for one in self.differences
            ],
            "warnings": list(self.warnings),
        }

    def to_text(self) -> str:
        console = Console(file=io.StringIO(), width=_WIDTH, force_terminal=False, color_system=None)
        console.print(_table(["", *(entry.name for entry in self.entries)], self.rows()))
        if self.differences:
            header = [f"against {self.entries[0].name}", *(one.name for one in self.differences)]
            console.print(_table(header, self.difference_rows()))
        text = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO given above
        return "\n".join(
            [*(line.rstrip() for line in text.splitlines()), *(f"warning: {one}" for one in self.warnings)]
        )

    def to_html(self) -> str:
        return page("compare.html.j2", comparison=self, rows=self.rows(), differences=self.difference_rows())

    def rows(self) -> list[list[str]]:
        """Return a row a figure: its name, then its value for each model."""
        figures = [entry.evaluation for entry in self.entries]
        rows = [[name.replace("_", " "), *(_with_interval(one, name) for one in figures)] for name in SHOWN]
        rows += [
            ["ECE", *(f"{one.calibration.ece:.4f}" for one in figures)],
            ["NLL", *(f"{one.calibration.nll:.4f}" for one in figures)],
            ["pictures", *(f"{one.counts['evaluated']:,}" for one in figures)],
            ["net", *(entry.net for entry in self.entries)],
            ["input", *(entry.input for entry in self.entries)],
            ["parameters", *(_number(entry.parameters) for entry in self.entries)],
            ["weights", *(f"{entry.weights_bytes / 1e6:,.2f} MB" for entry in self.entries)],
            ["backend", *(f"{one.model['backend']} {one.model['precision']}" for one in figures)],
            ["pictures/s", *(f"{entry.rate:,.0f}" for entry in self.entries)],
            ["training", *(_seconds(entry.training_seconds) for entry in self.entries)],
        ]
        return rows

    def difference_rows(self) -> list[list[str]]:
        """Return a row a metric: its name, then each further model's difference to the first."""
        if not self.differences:
            return []
        names = list(self.differences[0].metrics)
        rows = [[name.replace("_", " "), *(_signed(one.metrics[name]) for one in self.differences)] for name in names]
        rows.append(["p of equal accuracy", *(f"{one.p_value:.2g}" for one in self.differences)])
        rows.append(["by", *(one.test for one in self.differences)])
        rows.append(["accuracy is", *(one.verdict for one in self.differences)])
        return rows


def compare(bundles: Sequence[Path | str]) -> Comparison:
    """Put evaluated models side by side.

    Args:
        bundles: two bundles or more, each evaluated (`sightsmith evaluate`); the first is the reference.

    Raises:
        SettingsError: fewer than two bundles.
        DataError: one was not evaluated.
        BundleError: one cannot be used.
    """
    if len(bundles) < 2:
        raise SettingsError(f"compare needs two models or more, got {len(bundles)}.")
    names = _distinct([Path(path) for path in bundles])
    return put_together([_entry(Path(path), name) for path, name in zip(bundles, names, strict=True)])


def put_together(entries: Sequence[Entry]) -> Comparison:
    """Compare models whose evaluations are at hand."""
    first, *others = entries
    warnings, differences = [], []
    for other in others:
        why = _not_alike(first.evaluation, other.evaluation)
        if why:
            warnings.append(
                f"{first.name} and {other.name} cannot be compared sample by sample: {why}. Their figures stand side "
                "by side, but a difference may come from the data. Train both on the same data with the same --seed."
            )
        else:
            differences.append(_difference(first.evaluation, other))
    warnings += _other_machines(entries)
    return Comparison(entries=tuple(entries), differences=tuple(differences), warnings=tuple(warnings))


def _entry(path: Path, name: str) -> Entry:
    with Bundle.open(path) as bundle:
        if f"{FOLDER}/{JSON_NAME}" not in bundle.manifest.files:
            raise DataError(f"{path}: was not evaluated yet. Run `sightsmith evaluate {path}` first.")
        manifest = bundle.manifest
        return Entry(
            name=name,
            net=manifest.net.name,
            parameters=manifest.net.parameters,
            weights_bytes=bundle.weights_bytes(),
            input=_input(manifest),
            training_seconds=manifest.training.get("seconds"),
            evaluation=Evaluation.load(bundle.folder / FOLDER),
        )


def _difference(first: Evaluation, other: Entry) -> Difference:
    """Compare two evaluations of the same samples, matched by key and class by name."""
    place = {key: at for at, key in enumerate(other.evaluation.answers.keys)}
    order_N = np.array([place[key] for key in first.answers.keys])
    index = {name: at for at, name in enumerate(first.classes)}
    renumber_K = np.array([index[name] for name in other.evaluation.classes])
    second_N = renumber_K[other.evaluation.answers.predicted_N[order_N]]
    first_N, targets_N = first.answers.predicted_N, first.answers.targets_N
    groups_N = _groups(first, other.evaluation, order_N)
    return Difference(
        name=other.name,
        metrics=uncertainty.differences(first_N, second_N, targets_N, groups_N),
        p_value=uncertainty.paired_p_value(first_N, second_N, targets_N, groups_N),
        test="McNemar" if groups_N is None else "sign flips of groups",
    )


def _groups(first: Evaluation, other: Evaluation, order_N: NDArray[np.integer]) -> NDArray[np.integer] | None:
    """Return the group of each of the first's samples, in whose order the other's are `order_N`; None for none.

    Raises:
        DataError: both have groups, and others.
    """
    found = []
    if first.answers.groups is not None:
        found.append(uncertainty.group_indices(first.answers.groups))
    if other.answers.groups is not None:
        found.append(uncertainty.group_indices([other.answers.groups[at] for at in order_N]))
    if len(found) == 2 and not np.array_equal(found[0], found[1]):
        raise DataError(
            f"{first.model['name']} and {other.model['name']} were evaluated with other groups of the same pictures, "
            "and their comparison would depend on which. Evaluate both with the same --group-by."
        )
    return found[0] if found else None


def _not_alike(first: Evaluation, second: Evaluation) -> str:
    """Say why two evaluations are not of the same samples; empty where they are."""
    if set(first.classes) != set(second.classes):
        differing = sorted(set(first.classes) ^ set(second.classes))
        return f"they know different classes ({', '.join(differing[:5])}{' …' if len(differing) > 5 else ''})"
    if first.data["digest"] != second.data["digest"]:
        return f"they were evaluated on different pictures ({_data(first)}, and {_data(second)})"
    return ""


def _data(evaluation: Evaluation) -> str:
    data = evaluation.data
    return f"{evaluation.counts['evaluated']:,} of {data['location']} {data['split']}"


def _other_machines(entries: Sequence[Entry]) -> list[str]:
    machines = {str(entry.evaluation.model.get("machine")) for entry in entries}
    return ["They were evaluated on different machines: pictures/s do not compare."] if len(machines) > 1 else []


def _distinct(paths: Sequence[Path]) -> list[str]:
    """Name bundles by their last path part, or by the whole path where those are alike."""
    short = [name_of(path) for path in paths]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def _entry_json(entry: Entry) -> dict[str, Any]:
    evaluation = entry.evaluation
    return {
        "name": entry.name,
        "net": entry.net,
        "parameters": entry.parameters,
        "weights_bytes": entry.weights_bytes,
        "input": entry.input,
        "training_seconds": entry.training_seconds,
        "pictures_per_second": round(entry.rate, 2),
        "model": dict(evaluation.model),
        "data": dict(evaluation.data),
        "counts": dict(evaluation.counts),
        "metrics": dict(evaluation.overall),
        "intervals": {name: asdict(one) for name, one in evaluation.intervals.items()},
        "ece": evaluation.calibration.ece,
        "nll": evaluation.calibration.nll,
    }


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, name in enumerate(header):
        table.add_column(name, justify="left" if place == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _with_interval(evaluation: Evaluation, name: str) -> str:
    value, span = evaluation.overall.get(name), evaluation.intervals.get(name)
    if value is None:
        return "–"
    return f"{value:.4f}" + (f" ({span.low:.4f}…{span.high:.4f})" if span else "")


def _signed(interval: Interval) -> str:
    return f"{interval.value:+.4f} ({interval.low:+.4f}…{interval.high:+.4f})"


def _input(manifest: Manifest) -> str:
    shown = manifest.definition.input_settings
    return f"{shown.width}×{shown.height} {shown.colour}"


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _seconds(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:,.0f} s"
