"""Models side by side: their metrics, and whether the differences are significant.

Models that answered the same samples are compared sample by sample, or group by group if the samples have groups, as
their kind of answer defines it. If they were evaluated on different data the figures stand side by side with a warning,
and no difference is computed.
"""

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from sightsmith.bundle.location import name_of
from sightsmith.bundle.store import Bundle
from sightsmith.core import notebooks
from sightsmith.core.errors import DataError, SettingsError
from sightsmith.evaluation.record import FOLDER, JSON_NAME, Evaluation
from sightsmith.evaluation.report import page
from sightsmith.inputs import INPUTS
from sightsmith.kinds import KINDS, part_of
from sightsmith.kinds.parts.intervals import Interval, group_indices
from sightsmith.kinds.parts.sections import Paired, seconds

_WIDTH = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One model of a comparison."""

    name: str  # unique in the comparison
    net: str  # name of its net
    parameters: int | None  # number of learned parameters, None if not recorded
    weights_bytes: int  # size of its weights' file
    input: str  # such as 224×224 rgb
    training_seconds: float | None  # None if not recorded
    evaluation: Evaluation  # its stored evaluation


class Difference(NamedTuple):
    """A model against the first, on the same samples."""

    name: str  # the model
    paired: Paired  # by the kind of answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Models side by side; the first is the reference."""

    entries: tuple[Entry, ...]
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(entry.name for entry in self.entries)}>"

    def _repr_html_(self) -> str:
        return "".join(notebooks.table(rows, header) for header, rows in self._tables())

    def to_json(self) -> dict[str, Any]:
        return {
            "models": [_entry_json(entry) for entry in self.entries],
            "differences": [
                {
                    "model": name,
                    "against": self.entries[0].name,
                    "metrics": {metric: asdict(interval) for metric, interval in paired.metrics.items()},
                    "p_value": paired.p_value,
                    "test": paired.test,
                    "verdict": paired.verdict,
                }
                for name, paired in self.differences
            ],
            "warnings": list(self.warnings),
        }

    def to_text(self) -> str:
        console = Console(file=io.StringIO(), width=_WIDTH, force_terminal=False, color_system=None)
        for header, rows in self._tables():
            table = Table(box=None, pad_edge=False)
            for column, name in enumerate(header):
                table.add_column(name, justify="right" if column else "left", overflow="fold")
            for row in rows:
                table.add_row(*row)
            console.print(table)
        lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # it is the StringIO given above
        return "\n".join([*map(str.rstrip, lines), *(f"warning: {warning}" for warning in self.warnings)])

    def to_html(self) -> str:
        return page("compare.html.j2", comparison=self, rows=self._rows(), differences=self._difference_rows())

    def _tables(self) -> list[tuple[list[str], list[list[str]]]]:
        """Return the header and the rows of the figures, and those of the differences if there are any."""
        tables = [(["", *(entry.name for entry in self.entries)], self._rows())]
        if self.differences:
            header = [f"against {self.entries[0].name}", *(name for name, _ in self.differences)]
            tables.append((header, self._difference_rows()))
        return tables

    def _rows(self) -> list[list[str]]:
        """Return a row a figure: its name, then its value for each model."""
        evaluations = [entry.evaluation for entry in self.entries]
        figures = [part_of(one.kind, "report").side_by_side(one) for one in evaluations]
        names = dict.fromkeys(name for one in figures for name in one)
        return [
            *([name, *(one.get(name, "–") for one in figures)] for name in names),
            [evaluations[0].nouns[1], *(f"{one.counts['evaluated']:,}" for one in evaluations)],
            ["net", *(entry.net for entry in self.entries)],
            ["input", *(entry.input for entry in self.entries)],
            ["parameters", *("–" if one.parameters is None else f"{one.parameters:,}" for one in self.entries)],
            ["weights", *(f"{entry.weights_bytes / 1e6:,.2f} MB" for entry in self.entries)],
            ["backend", *(f"{one.model['backend']} {one.model['precision']}" for one in evaluations)],
            [f"{evaluations[0].nouns[1]}/s", *(f"{one.rate:,.0f}" for one in evaluations)],
            ["training", *(seconds(entry.training_seconds) for entry in self.entries)],
        ]

    def _difference_rows(self) -> list[list[str]]:
        """Return a row a metric: its name, then each further model's difference to the first."""
        if not self.differences:
            return []
        paired = [one.paired for one in self.differences]
        kind = self.entries[0].evaluation.kind
        metric, titles = KINDS.module(kind).METRIC.title, getattr(part_of(kind, "figures"), "TITLES", {})
        names = dict.fromkeys(name for one in paired for name in one.metrics)
        return [
            *(
                [titles.get(name, name.replace("_", " ")), *(_signed(one.metrics.get(name)) for one in paired)]
                for name in names
            ),
            [f"p of equal {metric}", *(f"{one.p_value:.2g}" for one in paired)],
            ["by", *(one.test for one in paired)],
            [f"{metric} is", *(one.verdict for one in paired)],
        ]


def compare(bundles: Sequence[Path | str]) -> Comparison:
    """Compare evaluated models.

    Args:
        bundles: two bundles or more, each evaluated (`sightsmith evaluate`); the first is the reference.

    Raises:
        SettingsError: fewer than two bundles.
        DataError: one was not evaluated.
        BundleError: one cannot be used.
    """
    if len(bundles) < 2:
        raise SettingsError(f"compare needs two models or more, got {len(bundles)}.")
    names = [name_of(Path(path)) for path in bundles]
    if len(set(names)) < len(names):
        names = [str(path) for path in bundles]
    return side_by_side([_evaluated(Path(path), name) for path, name in zip(bundles, names, strict=True)])


def side_by_side(entries: Sequence[Entry]) -> Comparison:
    """Compare models, the first of them with each other one.

    Raises DataError: they were evaluated with other groups of the same samples, or measured in different ways.
    """
    first, *others = entries
    warnings, differences = [], []
    for other in others:
        _refuse_unlike(first, other)
        why = _not_alike(first.evaluation, other.evaluation)
        if why:
            warnings.append(
                f"{first.name} and {other.name} cannot be compared sample by sample: {why}. Their figures stand side "
                "by side, but a difference may come from the data. Train both on the same data with the same --seed."
            )
        else:
            differences.append(Difference(other.name, _paired(first.evaluation, other.evaluation)))
    if len({str(entry.evaluation.model.get("machine")) for entry in entries}) > 1:
        warnings.append(f"They were evaluated on different machines: {first.evaluation.nouns[1]}/s do not compare.")
    return Comparison(entries=tuple(entries), differences=tuple(differences), warnings=tuple(warnings))


def _refuse_unlike(first: Entry, other: Entry) -> None:
    one, second = first.evaluation, other.evaluation
    figures = part_of(one.kind, "figures")
    if one.kind == second.kind and hasattr(figures, "incomparable") and (why := figures.incomparable(one, second)):
        raise DataError(f"{first.name} and {other.name} cannot be compared: {why}.")


def entry_of(bundle: Bundle, evaluation: Evaluation, name: str) -> Entry:
    manifest, definition = bundle.manifest, bundle.manifest.definition
    return Entry(
        name=name,
        net=manifest.net.name,
        parameters=manifest.net.parameters,
        weights_bytes=bundle.weights_bytes(),
        input=INPUTS.module(definition.input).describe(definition.input_settings),
        training_seconds=manifest.training.get("seconds"),
        evaluation=evaluation,
    )


def _evaluated(path: Path, name: str) -> Entry:
    with Bundle.open(path) as bundle:
        if f"{FOLDER}/{JSON_NAME}" not in bundle.manifest.files:
            raise DataError(f"{path}: was not evaluated yet. Run `sightsmith evaluate {path}` first.")
        return entry_of(bundle, Evaluation.load(bundle.folder / FOLDER), name)


def _paired(first: Evaluation, second: Evaluation) -> Paired:
    """Compare two evaluations of the same samples, matched by key."""
    position = {key: at for at, key in enumerate(second.keys)}
    order_N = np.array([position[key] for key in first.keys])
    groups_N = _common_groups(first, second, order_N)
    paired: Paired = part_of(first.kind, "figures").compare(first, second, order_N, groups_N)
    return paired


def _common_groups(first: Evaluation, second: Evaluation, order_N: NDArray[np.integer]) -> NDArray[np.integer] | None:
    """Return the group of each sample of `first`; `order_N` maps them to `second`. None without groups.

    Raises DataError: both have groups, but different ones.
    """
    known = [] if first.groups is None else [group_indices(first.groups)]
    if second.groups is not None:
        known.append(group_indices([second.groups[at] for at in order_N]))
    if len(known) == 2 and not np.array_equal(known[0], known[1]):
        raise DataError(
            f"{first.model['name']} and {second.model['name']} were evaluated with other groups of the same "
            f"{first.nouns[1]}, and their comparison would depend on which. Evaluate both with the same --group-by."
        )
    return known[0] if known else None


def _not_alike(first: Evaluation, second: Evaluation) -> str:
    """Return why two evaluations are not of the same samples; empty if they are."""
    if first.kind != second.kind:
        return f"they answer with {first.kind} and with {second.kind}"
    if set(first.names) != set(second.names):
        differing = sorted(set(first.names) ^ set(second.names))
        noun = KINDS.module(first.kind).NOUNS[1]
        return f"they know different {noun} ({', '.join(differing[:5])}{' …' if len(differing) > 5 else ''})"
    if first.data["digest"] != second.data["digest"]:
        return f"they were evaluated on different {first.nouns[1]} ({_data(first)}, and {_data(second)})"
    return ""


def _data(evaluation: Evaluation) -> str:
    data = evaluation.data
    return f"{evaluation.counts['evaluated']:,} of {data['location']} {data['split']}"


def _entry_json(entry: Entry) -> dict[str, Any]:
    evaluation = entry.evaluation
    return {
        "name": entry.name,
        "net": entry.net,
        "parameters": entry.parameters,
        "weights_bytes": entry.weights_bytes,
        "input": entry.input,
        "training_seconds": entry.training_seconds,
        "pictures_per_second": round(evaluation.rate, 2),
        "model": dict(evaluation.model),
        "data": dict(evaluation.data),
        "counts": dict(evaluation.counts),
        "metrics": dict(evaluation.overall),
        "intervals": {name: asdict(one) for name, one in evaluation.intervals.items()},
        **part_of(evaluation.kind, "figures").brief(evaluation),
    }


def _signed(interval: Interval | None) -> str:
    return "–" if interval is None else f"{interval.value:+.4f} ({interval.low:+.4f}…{interval.high:+.4f})"
