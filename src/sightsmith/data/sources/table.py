"""A CSV or TSV table: `path`, the columns of a truth, and optionally `split` and `group`; a picture a row.

Paths are relative to the table. Commas, semicolons and tabs are understood. Each kind of answer says in its
`columns.py` which columns it reads; any other column can be the group (`--group-by patient`), and stays with the
samples as an attribute.
"""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError, SettingsError
from sightsmith.core.images import printable
from sightsmith.core.names import did_you_mean, nearest
from sightsmith.core.records import Sample
from sightsmith.data.problem import Problem, problem_of_each
from sightsmith.data.source import Source, SourceOptions, build_source
from sightsmith.data.sources.parts.names import split_named
from sightsmith.kinds import KINDS, optional_part
from sightsmith.kinds.parts.columns import Row

HAS_COLUMNS = True
_OWN = {"path", "split", "group"}
_SUFFIXES = {".csv", ".tsv"}
_OFTEN_PATH = ("file", "filename", "file_name", "image", "image_path", "img", "picture", "filepath", "name")
_OFTEN_LABEL = ("class", "class_name", "category", "target", "diagnosis", "species")


def detect(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and path.is_file()


_LEFT_OUT = {
    "no-path": "no path. Fill it in or delete the rows.",
    "missing-file": "a file that is not there. Paths are relative to the table; correct them or delete the rows.",
    "extra-cells": "more cells than the header has columns. Quote texts that contain the delimiter.",
    "bad-split": "a split other than train, val or test (empty: any).",
}
"""Why a row cannot be used whatever its truth, by the code of the problem."""


def open_source(location: str, options: SourceOptions) -> Source:
    """Read the table.

    Raises:
        DataError: no table, a column is missing, no row can be used, or none has a value in the column of `group_by`.
        SettingsError: `target` names a column that is not there.
    """
    path = Path(location)
    if not path.is_file():
        raise DataError(f"{printable(location)}: the format 'table' needs a CSV or TSV file, this is a folder.")
    lines = _read(path)
    header = [name.strip() for name in next(lines, [])]
    group_column = _check_header(path, header, options)
    target = _target(path, header, options.target)
    rows: list[dict[str, str]] = []
    numbers: list[int] = []  # line of the table of each row
    left_out: dict[str, list[tuple[str, str]]] = {}
    folder = str(path.parent)
    for number, cells in enumerate(lines, 2):
        if any(cells):
            row = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
            if (reason := _reason(row, cells[len(header) :], folder)) is None:
                rows.append(row)
                numbers.append(number)
            else:
                note = {"extra-cells": f": {','.join(cells)[:80]!r}", "bad-split": f": {row.get('split')!r}"}
                called = printable(row.get("path", "")) or f"row {number}"
                left_out.setdefault(reason, []).append((called, f"row {number}{note.get(reason, '')}"))
    free = [name for name in header if name not in {*_OWN, group_column}]
    kind, reader = _reader(path, header, free, rows, target)
    try:
        truths = reader.read(free, rows, target, {} if options.unit is None else {"unit": options.unit})
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    for at, (reason, value) in sorted(truths.left_out.items()):
        shown = f": {value[:80]!r}" if value else ""
        left_out.setdefault(reason, []).append((printable(rows[at]["path"]), f"row {numbers[at]}{shown}"))
    no_attribute = {*_OWN, *truths.columns}
    samples = [
        Sample(
            key=printable(row["path"]),
            picture=os.path.join(folder, row["path"]),  # noqa: PTH118 - takes a tenth of a Path's memory
            target=truth,
            group=row.get(group_column or "") or None,
            split=split_named(row.get("split", "")),
            attributes={name: cell for name, cell in row.items() if name not in no_attribute and cell},
        )
        for at, (row, truth) in enumerate(zip(rows, truths.values, strict=True))
        if at not in truths.left_out
    ]
    by_column = options.group_by in header
    source = build_source(
        format="table",
        location=location,
        kind=kind,
        names=truths.names,
        details=truths.details,
        samples=samples,
        options=replace(options, group_by=None) if by_column else options,
        problems=[
            problem
            for code, text in {**_LEFT_OUT, **reader.REASONS}.items()
            for problem in _lost(code, text, left_out.get(code, []))
        ],
    )
    if group_column is None:
        return source
    return replace(source, problems=(*source.problems, *_ungrouped(source, group_column, asked=by_column)))


def _lost(code: str, text: str, found: Sequence[tuple[str, str]]) -> tuple[Problem, ...]:
    message = f"{many(len(found), 'row is', 'rows are')} left out: {text}"
    return problem_of_each(code, "error", message, found, lost=True)


def _target(path: Path, header: Sequence[str], asked: str | None) -> tuple[str, ...] | None:
    """Return the columns that hold the truth, None if none were named."""
    if asked is None:
        return None
    columns = tuple(dict.fromkeys(name.strip() for name in asked.split(",") if name.strip()))
    missing = [name for name in columns if name not in header or name in _OWN]
    if missing or not columns:
        first = missing[0] if missing else asked
        free = [name for name in header if name not in _OWN]
        raise SettingsError(f"target: {path} has no column {first!r} of truths. {did_you_mean(first, free)}")
    return columns


def _reader(
    path: Path, header: Sequence[str], free: Sequence[str], rows: Sequence[Row], target: tuple[str, ...] | None
) -> tuple[str, ModuleType]:
    """Return the kind of answer that reads these columns, and its `columns.py`.

    Raises DataError: none does.
    """
    often = [name for name in free if name.lower() in _OFTEN_LABEL or nearest("label", [name], 1)]
    readers = {kind: part for kind in KINDS.names() if (part := optional_part(kind, "columns"))}
    for seen in ((), rows) if not often else ((),):  # by the header alone first, then by the cells
        for kind, reader in readers.items():
            if reader.claims(free, seen, target):
                return kind, reader
    hint = (
        f"Rename {often[0]!r} to 'label'."
        if often
        else "Add it: label is one of path,label,split,group. Or name the column of a number with --target."
    )
    raise DataError(f"{path}: no column 'label'; it has {', '.join(header) or 'none'}. {hint}")


def _reason(row: Row, extra: Sequence[str], folder: str) -> str | None:
    """Return the code of a row's fault, None if it can be used."""
    name, split = row.get("path", ""), row.get("split", "")
    if any(cell.strip() for cell in extra):
        return "extra-cells"
    if not name:
        return "no-path"
    if split and split_named(split) is None:
        return "bad-split"
    there = "\0" not in name and os.path.isfile(os.path.join(folder, name))  # noqa: PTH113, PTH118 - for every row
    return None if there else "missing-file"


def _read(path: Path) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            if not first.strip():
                raise DataError(f"{path}: an empty table. It needs the columns path and label, and a row a picture.")
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            yield from csv.reader(file, delimiter=delimiter, strict=True)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 text ({error.reason} at byte {error.start:,}). Save it as UTF-8."
        ) from error
    except csv.Error as error:
        raise DataError(f"{path}: not a whole table: {error}. Check its quotes.") from error


def _check_header(path: Path, header: list[str], options: SourceOptions) -> str | None:
    """Raise DataError for a column that is missing or doubled; return the name of the column of groups, if any."""
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    if doubled:
        raise DataError(f"{path}: more than one column is called {', '.join(doubled)}. Rename or delete one.")
    if "path" not in header:
        near = nearest("path", header, 1) or [name for name in header if name.lower() in _OFTEN_PATH]
        hint = f"Rename {near[0]!r} to 'path'." if near else "Add it: path is one of path,label,split,group."
        raise DataError(f"{path}: no column 'path'; it has {', '.join(header) or 'none'}. {hint}")
    group_by = options.group_by
    if group_by is None:
        return "group" if "group" in header else None
    if group_by not in header and "(" not in group_by:
        raise DataError(
            f"{path}: group_by: no column {group_by!r}. {did_you_mean(group_by, header)} "
            r"Or give a pattern with one group in (…), such as ^(\d+)_."
        )
    return group_by if group_by in header else None


def _ungrouped(source: Source, column: str, *, asked: bool) -> tuple[Problem, ...]:
    """Name the samples without a value in the column of groups; all may be without one unless it was asked for."""
    found = [(sample.key, "") for sample in source.samples if sample.group is None]
    count, total = len(found), len(source.samples)
    if count == total and asked:
        raise DataError(
            f"{source.location}: group_by: the column {column!r} is empty in all {total:,} rows that can be used. Fill "
            "it in, or group by another column."
        )
    if count == total:
        return ()
    of_all = f"of {total:,} pictures"
    message = (
        f"{many(count, f'{of_all} has', f'{of_all} have')} nothing in the column {column!r}; each counts as a group of "
        "its own. Fill it in for samples that belong together."
    )
    return problem_of_each("no-group", "warning", message, found)
