"""The result of an evaluation: one record for every kind of answer, its JSON, and its table of answers.

Shapes: N samples.
"""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from sightsmith.core import notebooks
from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.files import write_text
from sightsmith.core.images import printable
from sightsmith.inputs import nouns_of
from sightsmith.kinds import FIRST, KINDS, part_of
from sightsmith.kinds.parts.intervals import Interval

_SCHEMA = 1
FOLDER = "report"  # of a bundle, where its evaluation is
JSON_NAME = "evaluation.json"
TABLE_NAME = "predictions.csv"
_KEY, _GROUP = "key", "group"
_PICTURE = "picture"  # The input of an evaluation that names none, as those of before there were others


class Skipped(NamedTuple):
    """A sample that could not be evaluated, and why."""

    key: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        kind: kind of answer.
        input: that has the samples as its items.
        model: name, net, definition digest, backend, precision and such, as plain JSON.
        data: location, format, split and digest of the samples, as plain JSON.
        names: of the classes or tags, in the order of the indices.
        counts: `asked`, `evaluated`, `skipped`, and `groups` if the samples have any.
        skipped: the samples left out.
        overall: metrics by name; None if undefined.
        intervals: 95 % intervals of some of them.
        figures: further figures of the kind, such as its `per_class` and `calibration`.
        seconds: wall time, decoding included.
        created: when, ISO 8601, UTC.
        keys: name of each sample.
        groups: name of each sample's group, empty if it has none; None if no sample has one.
        rows: the kind's record of each answer beside its truth.
        baselines: the model beside its baselines (`baselines.py`), as plain JSON; empty if it has none.
        report: the page that was written, None if none was.
        not_kept: why the figures could not be written into the bundle; empty if they were.
    """

    kind: str
    model: Mapping[str, Any]
    data: Mapping[str, Any]
    names: tuple[str, ...]
    counts: Mapping[str, int]
    skipped: tuple[Skipped, ...]
    overall: Mapping[str, float | None]
    intervals: Mapping[str, Interval]
    figures: Any
    seconds: float
    created: str
    keys: tuple[str, ...]
    groups: tuple[str, ...] | None
    rows: Any
    input: str = _PICTURE
    baselines: Mapping[str, Any] = field(default_factory=dict)
    report: Path | None = None
    not_kept: str = ""

    @property
    def nouns(self) -> tuple[str, str]:
        """A sample, singular and plural."""
        return nouns_of(self.input)

    @property
    def rate(self) -> float:
        """Samples a second, decoding included; on the machine named in `model`."""
        return self.counts["asked"] / max(self.seconds, 1e-9)

    def __repr__(self) -> str:
        metric = KINDS.module(self.kind).METRIC
        value = self.overall.get(metric.name)
        told = f"{metric.title} {'–' if value is None else f'{value:.4g}'}"
        return f"<Evaluation {self.model['name']}: {told} on {many(self.counts['evaluated'], *self.nouns)}>"

    def _repr_html_(self) -> str:
        """Return the figures as a table, with their intervals."""
        rows = part_of(self.kind, "report").side_by_side(self)
        return notebooks.table([*rows.items(), (self.nouns[1], f"{self.counts['evaluated']:,}")])

    def to_json(self) -> dict[str, Any]:
        """Return everything but the table of answers as plain JSON; undefined values are null."""
        return {
            "schema": _SCHEMA,
            **({} if self.kind == FIRST else {"kind": self.kind}),
            **({} if self.input == _PICTURE else {"input": self.input}),
            "created": self.created,
            "model": dict(self.model),
            "data": dict(self.data),
            "counts": dict(self.counts),
            "skipped": [one._asdict() for one in self.skipped],
            "metrics": dict(self.overall),
            "intervals": {name: asdict(one) for name, one in self.intervals.items()},
            **part_of(self.kind, "figures").save(self),
            **({"baselines": dict(self.baselines)} if self.baselines else {}),
            "seconds": round(self.seconds, 3),
        }

    def to_text(self) -> str:
        """Return a summary of some lines for a terminal."""
        figures = part_of(self.kind, "figures")
        groups = f" in {many(self.counts['groups'], 'group')}" if "groups" in self.counts else ""
        measured = f"{self.model['name']} on {many(self.counts['evaluated'], *self.nouns)}{groups}"
        lines = [f"{measured} of {self.data['location']} ({self.data['split']})", *figures.text(self)]
        if self.data.get("warning"):
            lines.append(f"  warning: {self.data['warning']}")
        lines += figures.further_text(self)
        if self.baselines:
            lines += [f"  {self.baselines['question']} {self.baselines['answer']}"]
            lines += [f"  left out: {name} ({why})" for name, why in self.baselines["left_out"].items()]
        if skipped := self.counts["skipped"]:
            lines.append(f"  left out of {self.counts['asked']:,} asked for, because they cannot be used: {skipped:,}")
        return "\n".join(lines)

    def files(self) -> tuple[str, str]:
        """Return the texts of `evaluation.json` and `predictions.csv`."""
        return json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n", self._table()

    def _table(self) -> str:
        """Return one row a sample: key, the kind's leading columns, its group, the kind's further columns.

        The column `group` is there only if samples have one.
        """
        header, lead, cells = part_of(self.kind, "figures").to_table(self.rows, self.names)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        groups = [[]] * len(self.keys) if self.groups is None else [[group] for group in self.groups]
        writer.writerow([_KEY, *header[:lead], *([] if self.groups is None else [_GROUP]), *header[lead:]])
        for key, group, row in zip(self.keys, groups, cells, strict=True):
            writer.writerow([printable(key), *row[:lead], *group, *row[lead:]])
        return text.getvalue()

    def save(self, folder: Path) -> None:
        """Write `evaluation.json` and `predictions.csv` into an existing folder."""
        for name, text in zip((JSON_NAME, TABLE_NAME), self.files(), strict=True):
            write_text(Path(folder) / name, text)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read an evaluation of `save`. Raises DataError: it is missing, damaged or of another schema."""
        path = Path(folder) / JSON_NAME
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            if raw["schema"] != _SCHEMA:
                raise DataError(f"{path}: schema {raw['schema']}, this version reads {_SCHEMA}. Evaluate again.")
            kind = raw.get("kind", FIRST)
            figures = part_of(kind, "figures")
            names, found = figures.load(raw)
            keys, groups, header, cells = _read_table(Path(folder) / TABLE_NAME, grouped="groups" in raw["counts"])
            return cls(
                **{key: raw[key] for key in ("model", "data", "counts", "seconds", "created")},
                kind=kind,
                input=raw.get("input", _PICTURE),
                names=names,
                skipped=tuple(Skipped(**one) for one in raw["skipped"]),
                overall=raw["metrics"],
                intervals={name: Interval(**one) for name, one in raw["intervals"].items()},
                figures=found,
                keys=keys,
                groups=groups,
                rows=figures.from_table(header, cells, names),
                baselines=raw.get("baselines", {}),
            )
        except FileNotFoundError as error:
            raise DataError(f"{error.filename}: no such file. `sightsmith evaluate` writes it.") from None
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(f"{folder}: a damaged evaluation ({error!r}). Evaluate again.") from error


def _read_table(
    path: Path, *, grouped: bool
) -> tuple[tuple[str, ...], tuple[str, ...] | None, list[str], list[list[str]]]:
    """Return the keys, the groups, and the kind's own header and cells."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    group = header.index(_GROUP) if grouped else None  # a tag may be called group, too: its column comes later
    own = [at for at in range(1, len(header)) if at != group]
    groups = None if group is None else tuple(row[group] for row in rows)
    return tuple(row[0] for row in rows), groups, [header[at] for at in own], [[row[at] for at in own] for row in rows]
