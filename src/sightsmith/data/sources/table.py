"""A CSV or TSV table: `path`, the columns of a truth, and optionally `split` and `group`; a picture or a clip a row.

The clips of a table are video files, folders of frames, or parts of them from `start` to `end` in seconds; those of one
video are one group unless the table or a pattern groups them.

Paths are relative to the table. Commas, semicolons and tabs are understood. Each kind of answer says in its
`columns.py` which columns it reads; any other column can be the group (`--group-by patient`), and stays with the
samples as an attribute.
"""

import os
from collections import defaultdict
from collections.abc import Sequence
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
from sightsmith.data.sources.parts.clip_rows import PART, groups_of_videos, open_rows, part_text, shows_clips
from sightsmith.data.sources.parts.names import read_rows, split_named
from sightsmith.kinds import KINDS, optional_part
from sightsmith.kinds.parts.columns import Row

HAS_COLUMNS = True
HAS_FRAMES = True  # Pictures may be the frames of clips
_OWN = {"path", "split", "group"}
_SUFFIXES = {".csv", ".tsv"}
_OFTEN_PATH = ("file", "filename", "file_name", "image", "image_path", "img", "picture", "filepath", "name")
_OFTEN_LABEL = ("class", "class_name", "category", "target", "diagnosis", "species")

_LEFT_OUT = {
    "no-path": "no path. Fill it in or delete the rows.",
    "missing-file": "a file that is not there. Paths are relative to the table; correct them or delete the rows.",
    "extra-cells": "more cells than the header has columns. Quote texts that contain the delimiter.",
    "bad-split": "a split other than train, val or test (empty: any).",
    "bad-part": "a start or end that is no time in seconds, or an end that is not after the start. Correct them.",
    "no-frame": "a folder without a picture, which should be the frames of a clip. Fill it or delete the rows.",
}
"""Why a row cannot be used whatever its truth, by the code of the problem."""


def detect(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and path.is_file()


def open_source(location: str, options: SourceOptions) -> Source:
    """Read the table.

    Raises:
        DataError: no table, a column is missing, no row can be used, or none has a value in the column of `group_by`.
        SettingsError: `target` names a column that is not there, or the frame rate is not above 0.
    """
    path = Path(location)
    if not path.is_file():
        raise DataError(f"{printable(location)}: the format 'table' needs a CSV or TSV file, this is a folder.")
    lines = read_rows(path)
    header = [name.strip() for name in next(lines, (1, []))[1]]
    group_column = _check_header(path, header, options)
    target = _target(path, header, options.target)
    left_out: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))  # keys and notes, by the code

    def leave_out(number: int, key: str, code: str, value: str) -> None:
        keys, notes = left_out[code]
        keys.append(key or f"row {number}")
        notes.append(f"row {number}: {value[:80]!r}" if value else f"row {number}")

    rows: list[Row] = []
    numbers: list[int] = []  # of each row in the table
    folder = str(path.parent)
    for number, (_, cells) in enumerate(lines, 2):
        if not any(cells):
            continue
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
        if fault := _fault(row, cells, len(header), folder):
            leave_out(number, row.get("path", ""), *fault)
        else:
            rows.append(row)
            numbers.append(number)
    clips = _are_clips(path, [row["path"] for row in rows])
    own = {*_OWN, *PART} if clips else _OWN
    free = [name for name in header if name not in {*own, group_column}]
    kind, reader = _reader(path, header, free, rows, target)
    try:
        truths = reader.read(free, rows, target, {} if options.unit is None else {"unit": options.unit})
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    items, faults = open_rows(rows, folder, rate=options.rate() if clips else None)
    left = {**faults, **truths.left_out}
    for at, fault in sorted(left.items()):
        leave_out(numbers[at], rows[at]["path"], *fault)
    problems: list[Problem] = []
    for code, text in {**_LEFT_OUT, **reader.REASONS}.items():
        message = f"{many(len(left_out[code][0]), 'row is', 'rows are')} left out: {text}"
        problems += problem_of_each(code, "error", message, *left_out[code], lost=True)
    usual = groups_of_videos(rows) if clips and group_column is None else []
    no_attribute = {*own, *truths.columns}
    samples = [
        Sample(
            key=printable(row["path"]) + part_text(row if clips else {}),
            item=items[at],
            target=truth,
            group=row.get(group_column or "") or (usual[at] if usual else None),
            split=split_named(row.get("split", "")),
            attributes={name: cell for name, cell in row.items() if name not in no_attribute and cell},
        )
        for at, (row, truth) in enumerate(zip(rows, truths.values, strict=True))
        if at not in left
    ]
    by_column = options.group_by in header
    source = build_source(
        format="table",
        location=location,
        kind=kind,
        input="clip" if clips else "picture",
        names=truths.names,
        details=truths.details,
        samples=samples,
        options=replace(options, group_by=None) if by_column else options,
        problems=problems,
    )
    if group_column is None:
        return source
    return replace(source, problems=(*source.problems, *_ungrouped(source, group_column, asked=by_column)))


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
    """Return the kind of answer that reads these columns, and its `columns.py`. Raises DataError: none does."""
    often = [name for name in free if name.lower() in _OFTEN_LABEL or nearest("label", [name], 1)]
    readers = {kind: part for kind in KINDS.names() if (part := optional_part(kind, "columns"))}
    for seen in ((), rows) if not often else ((),):  # by the header alone first, then by the cells
        for kind, reader in readers.items():
            if reader.claims(free, seen, target):
                return kind, reader
    hint = "Add it: label is one of path,label,split,group. Or name the column of a number with --target."
    if often:
        hint = f"Rename {often[0]!r} to 'label'."
    raise DataError(f"{path}: no column 'label'; it has {', '.join(header) or 'none'}. {hint}")


def _are_clips(path: Path, names: Sequence[str]) -> bool:
    """Tell whether the rows name clips. Raises DataError: some do, and some name pictures."""
    folder = str(path.parent)
    clips = [shows_clips(folder, name) for name in names]
    if any(clips) and not all(clips):
        raise DataError(
            f"{path}: {clips.count(True):,} rows name clips and {clips.count(False):,} name pictures, such as "
            f"{names[clips.index(True)]} and {names[clips.index(False)]}. Write a table for each."
        )
    return any(clips)


def _fault(row: Row, cells: Sequence[str], columns: int, folder: str) -> tuple[str, str] | None:
    """Return the code of a row's fault and the text that shows it, None if it can be used."""
    name, split = row.get("path", ""), row.get("split", "")
    if any(cell.strip() for cell in cells[columns:]):
        return "extra-cells", ",".join(cells)
    if not name:
        return "no-path", ""
    if split and split_named(split) is None:
        return "bad-split", split
    there = "\0" not in name and os.path.exists(os.path.join(folder, name))  # noqa: PTH110, PTH118 - for every row
    return None if there else ("missing-file", "")


def _check_header(path: Path, header: list[str], options: SourceOptions) -> str | None:
    """Raise DataError for a column that is missing or doubled; return the name of the column of groups, if any."""
    if not any(header):
        raise DataError(f"{path}: an empty table. It needs the columns path and label, and a row a picture.")
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
    found = [sample.key for sample in source.samples if sample.group is None]
    count, total = len(found), len(source.samples)
    if count < total:
        of_all = f"of {total:,} pictures"
        message = (
            f"{many(count, f'{of_all} has', f'{of_all} have')} nothing in the column {column!r}; each counts as a "
            "group of its own. Fill it in for samples that belong together."
        )
        return problem_of_each("no-group", "warning", message, found)
    if asked:
        raise DataError(
            f"{source.location}: group_by: the column {column!r} is empty in all {total:,} rows that can be used. Fill "
            "it in, or group by another column."
        )
    return ()
