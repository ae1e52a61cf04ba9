"""A CSV or TSV table: `path,label[,split,group]`, a picture a row, paths relative to the table.

Commas, semicolons and tabs are understood. Any other column can be the group (`--group-by patient`), and
stays with the samples as an attribute.
"""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.images import printable
from sightsmith.core.names import did_you_mean, nearest
from sightsmith.core.records import Sample
from sightsmith.data.source import Problem, Source, SourceOptions, build_source, problem_of_each
from sightsmith.data.sources.parts.names import natural, split_named

_OWN = {"path", "label", "split", "group"}
_SUFFIXES = {".csv", ".tsv"}
_OFTEN = {
    "path": ("file", "filename", "file_name", "image", "image_path", "img", "picture", "filepath", "name"),
    "label": ("class", "class_name", "category", "target", "labels", "diagnosis", "species"),
}


def detect(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and path.is_file()


_LEFT_OUT = {
    "no-path": "no path. Fill it in or delete the rows.",
    "missing-file": "a file that is not there. Paths are relative to the table; correct them or delete the rows.",
    "no-label": "no label. Fill it in or delete the rows.",
    "extra-cells": "more cells than the header has columns. Put a text with the delimiter in it in quotes.",
    "bad-split": "a split other than train, val or test (empty: any).",
}
"""Why a row cannot be used, by the code of the problem."""


def open_source(location: str, options: SourceOptions) -> Source:
    """Read the table.

    Raises:
        DataError: no table, a column is missing, no row can be used, or none has a value in the column of `group_by`.
    """
    path = Path(location)
    if not path.is_file():
        raise DataError(f"{printable(location)}: the format 'table' needs a CSV or TSV file, this is a folder.")
    lines = _read(path)
    header = [name.strip() for name in next(lines, [])]
    group_column = _check_header(path, header, options)
    rows: list[dict[str, str]] = []
    left_out: dict[str, list[tuple[str, str]]] = {code: [] for code in _LEFT_OUT}
    folder = str(path.parent)
    for number, cells in enumerate(lines, 2):
        if any(cells):
            row = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
            if (reason := _reason(row, cells[len(header) :], folder)) is None:
                rows.append(row)
            else:
                note = {"extra-cells": f": {','.join(cells)[:80]!r}", "bad-split": f": {row.get('split')!r}"}
                called = printable(row.get("path", "")) or f"row {number}"
                left_out[reason].append((called, f"row {number}{note.get(reason, '')}"))
    names = sorted({row["label"] for row in rows}, key=natural)
    index_of = {name: index for index, name in enumerate(names)}
    samples = [
        Sample(
            key=printable(row["path"]),
            picture=os.path.join(folder, row["path"]),  # noqa: PTH118 - takes a tenth of a Path's memory
            target=index_of[row["label"]],
            group=row.get(group_column or "") or None,
            split=split_named(row.get("split", "")),
            attributes={name: cell for name, cell in row.items() if name not in _OWN and cell},
        )
        for row in rows
    ]
    by_column = options.group_by in header
    source = build_source(
        format="table",
        location=location,
        names=names,
        samples=samples,
        options=replace(options, group_by=None) if by_column else options,
        problems=[
            problem
            for code, found in left_out.items()
            for problem in problem_of_each(
                code, "error", f"{many(len(found), 'row is', 'rows are')} left out: {_LEFT_OUT[code]}", found, lost=True
            )
        ],
    )
    if group_column is None:
        return source
    return replace(source, problems=(*source.problems, *_ungrouped(source, group_column, asked=by_column)))


def _reason(row: Mapping[str, str], extra: Sequence[str], folder: str) -> str | None:
    """Return the code of what is wrong with a row, None if it can be used."""
    name, split = row.get("path", ""), row.get("split", "")
    if any(cell.strip() for cell in extra):
        return "extra-cells"
    if not name:
        return "no-path"
    if not row.get("label"):
        return "no-label"
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
    for wanted, often in _OFTEN.items():
        if wanted not in header:
            near = nearest(wanted, header, 1) or [name for name in header if name.lower() in often]
            hint = (
                f"Rename {near[0]!r} to {wanted!r}." if near else f"Add it: {wanted} is one of path,label,split,group."
            )
            raise DataError(f"{path}: no column {wanted!r}; it has {', '.join(header) or 'none'}. {hint}")
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
    """Name the samples without a value in the column of groups; all may be without one that nobody asked for."""
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
        "its own. Fill it in where they belong together."
    )
    return problem_of_each("no-group", "warning", message, found)
