"""A CSV or TSV table: `path,label[,split,group]`, a picture a row, paths relative to the table.

Commas, semicolons and tabs are understood. Any other column can be the group (`--group-by patient`).
"""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.images import printable
from sightsmith.core.names import did_you_mean, nearest
from sightsmith.core.records import Sample, Split
from sightsmith.data.source import Problem, Source, SourceOptions, build_source, problem_of_each
from sightsmith.data.sources.parts.names import natural, split_named

_SUFFIXES = {".csv", ".tsv"}
_OFTEN = {
    "path": ("file", "filename", "file_name", "image", "image_path", "img", "picture", "filepath", "name"),
    "label": ("class", "class_name", "category", "target", "labels", "diagnosis", "species"),
}


def detect(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and path.is_file()


@dataclass(slots=True)
class _Rows:
    """What the rows gave: usable ones, and those left out, by reason."""

    usable: list[tuple[str, str, Split | None, str | None]] = field(default_factory=list)
    no_path: list[tuple[str, str]] = field(default_factory=list)
    no_file: list[tuple[str, str]] = field(default_factory=list)
    no_label: list[tuple[str, str]] = field(default_factory=list)
    bad_split: list[tuple[str, str]] = field(default_factory=list)
    too_long: list[tuple[str, str]] = field(default_factory=list)

    def problems(self) -> tuple[Problem, ...]:
        return (
            *_left_out("no-path", self.no_path, "no path. Fill it in or delete the rows."),
            *_left_out(
                "missing-file",
                self.no_file,
                "a file that is not there. Paths are relative to the table; correct them or delete the rows.",
            ),
            *_left_out("no-label", self.no_label, "no label. Fill it in or delete the rows."),
            *_left_out(
                "extra-cells",
                self.too_long,
                "more cells than the header has columns. Put a text with the delimiter in it in quotes.",
            ),
            *_left_out("bad-split", self.bad_split, "a split other than train, val or test (empty: any)."),
        )


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
    column = _columns(path, header, options)
    rows = _sort_out(lines, len(header), column, path)
    names = sorted({label for _, label, _, _ in rows.usable}, key=natural)
    index_of = {name: index for index, name in enumerate(names)}
    folder = str(path.parent)
    samples = [
        Sample(printable(name), os.path.join(folder, name), index_of[label], group, split)  # noqa: PTH118 - memory
        for name, label, split, group in rows.usable
    ]
    by_column = options.group_by in header
    source = build_source(
        format="table",
        location=location,
        names=names,
        samples=samples,
        options=replace(options, group_by=None) if by_column else options,
        problems=rows.problems(),
    )
    if "group" not in column:
        return source
    ungrouped = _ungrouped(source, header[column["group"]], asked=by_column)
    return replace(source, problems=(*source.problems, *ungrouped))


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


def _columns(path: Path, header: list[str], options: SourceOptions) -> dict[str, int]:
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    if doubled:
        raise DataError(f"{path}: more than one column is called {', '.join(doubled)}. Rename or delete one.")
    column = {name: place for place, name in enumerate(header)}
    for wanted, often in _OFTEN.items():
        if wanted not in column:
            near = nearest(wanted, header, 1) or [name for name in header if name.lower() in often]
            hint = (
                f"Rename {near[0]!r} to {wanted!r}." if near else f"Add it: {wanted} is one of path,label,split,group."
            )
            raise DataError(f"{path}: no column {wanted!r}; it has {', '.join(header) or 'none'}. {hint}")
    group_by = options.group_by
    if group_by is not None:
        column.pop("group", None)
        if group_by in header:
            column["group"] = header.index(group_by)
        elif "(" not in group_by:
            raise DataError(
                f"{path}: group_by: no column {group_by!r}. {did_you_mean(group_by, header)} "
                r"Or give a pattern with one group in (…), such as ^(\d+)_."
            )
    return column


def _sort_out(lines: Iterator[list[str]], columns: int, column: dict[str, int], path: Path) -> _Rows:
    rows = _Rows()
    folder = str(path.parent)
    for number, cells in enumerate(lines, 2):
        if not any(cells):
            continue

        def cell(name: str, cells: list[str] = cells) -> str:
            place = column.get(name)
            return cells[place].strip() if place is not None and place < len(cells) else ""

        name, label, split = cell("path"), cell("label"), cell("split")
        called = printable(name) or f"row {number}"
        if any(extra.strip() for extra in cells[columns:]):
            rows.too_long.append((called, f"row {number}: {','.join(cells)[:80]!r}"))
        elif not name:
            rows.no_path.append((called, ""))
        elif not label:
            rows.no_label.append((called, f"row {number}"))
        elif split and split_named(split) is None:
            rows.bad_split.append((called, f"row {number}: {split!r}"))
        elif "\0" in name or not os.path.isfile(os.path.join(folder, name)):  # noqa: PTH113, PTH118 - for every row
            rows.no_file.append((called, f"row {number}"))
        else:
            rows.usable.append((name, label, split_named(split) if split else None, cell("group") or None))
    return rows


def _ungrouped(source: Source, column: str, *, asked: bool) -> tuple[Problem, ...]:
    """Name the samples without a value in the column of the groups.

    Args:
        source: the samples.
        column: its name.
        asked: somebody named it; else it may stay empty as a whole.
    """
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


def _left_out(code: str, found: list[tuple[str, str]], what: str) -> tuple[Problem, ...]:
    return problem_of_each(
        code, "error", f"{many(len(found), 'row is', 'rows are')} left out: {what}", found, lost=True
    )
