"""Names of splits, and text files beside the data: names of classes, labels of files."""

import csv
from collections.abc import Iterator
from pathlib import Path

from sightsmith.core.errors import DataError
from sightsmith.core.records import Split

_SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "t10k"),
}
"""Usual names of the splits, in lower case."""


def split_named(name: str) -> Split | None:
    """Return the split for the name of a folder or in a cell, None if unknown."""
    spelt = name.strip().lower()
    return next((split for split, names in _SPLIT_NAMES.items() if spelt in names), None)


def read_text(file: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark. Raises DataError: it is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(file, error) from error


def read_rows(table: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line and the cells of each row; the first line shows the delimiter.

    Raises DataError: it is not UTF-8, or its quotes do not end.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            delimiter = max(",;\t", key=file.readline().count)
            file.seek(0)
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            for cells in rows:
                yield rows.line_num, cells
    except UnicodeDecodeError as error:
        raise _not_utf8(table, error) from error
    except csv.Error as error:
        raise DataError(f"{table}: not a whole table: {error}. Check its quotes.") from error


def read_names(file: Path) -> list[str] | None:
    """Read the names of class 0, 1, …, a line each; None if there is no such file.

    Raises DataError: it is not UTF-8.
    """
    if not file.exists():
        return None
    # An empty line stays an empty name: without it all names after it would move to another class.
    return [line.strip() for line in read_text(file).rstrip().splitlines()]


def _not_utf8(file: Path, error: UnicodeDecodeError) -> DataError:
    return DataError(f"{file}: not UTF-8 text ({error.reason} at byte {error.start:,}). Save it as UTF-8.")
