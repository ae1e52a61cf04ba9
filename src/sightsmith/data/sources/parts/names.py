"""Names of splits and classes, and the text files beside data that hold names and labels."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sightsmith.core.counts import first_few
from sightsmith.core.errors import DataError
from sightsmith.core.records import Split

_USUAL: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "t10k"),
}
_SPLITS = {name: split for split, names in _USUAL.items() for name in names}
"""The split by its usual names, in lower case."""
_NUMBERED = re.compile(r"\s*(?P<number>\d{1,18})(?:\s*(?P<between>[,;\t:])\s*|\s+)(?P<name>\S.*)")
_HEADER = re.compile(r"[^\d,;\t][^,;\t]*[,;\t][^,;\t]+")
_NUMBER = re.compile(r"[0-9]{1,18}")
_SHOWN = 3  # Classes that a message names


def split_named(name: str) -> Split | None:
    """Return the split for the name of a folder or in a cell, None if unknown."""
    return _SPLITS.get(name.strip().lower())


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


def read_class_names(file: Path) -> dict[int, str]:
    """Read the names of numbered classes, by number, from a file that the user names.

    A line is the name of a class, the first that of class 0; or every line has its number before the name: `3 cat`,
    `3: cat`, or a table of two columns (`3,cat`; a semicolon and a tab will do), with or without a header.

    Raises DataError: it cannot be read, is empty, names a class twice, or has a row of more than two cells.
    """
    try:
        lines = read_text(file).rstrip().splitlines()
    except OSError as error:
        raise DataError(
            f"names: {file} cannot be read ({error.strerror or error}). Name a text file with one class name a line."
        ) from error
    if not lines:
        raise DataError(f"{file}: empty. Write one class name per line, starting with class 0.")
    rows = [(place, line) for place, line in enumerate(lines, 1) if line.strip()]
    if len(rows) > 1 and _HEADER.fullmatch(rows[0][1]) and _NUMBERED.fullmatch(rows[1][1]):
        rows = rows[1:]
    names: dict[int, str] = {}
    for place, line in rows:
        match = _NUMBERED.fullmatch(line)
        if match is None:
            return dict(enumerate(map(str.strip, lines)))
        number = int(match["number"])
        if number in names:
            raise DataError(f"{file}: names class {number} twice, the second time in line {place}. Delete one.")
        names[number] = _name_in(match, f"{file}, line {place}")
    return names


def _name_in(match: re.Match[str], where: str) -> str:
    if match["between"] in (None, ":"):
        return match["name"].strip()
    cells = next(csv.reader([match.string], delimiter=match["between"], skipinitialspace=True))
    if len(cells) != 2:
        raise DataError(f"{where}: {len(cells)} cells, not a number and a name. Put a name with a delimiter in quotes.")
    return cells[1].strip()


def name_classes(numbers: Sequence[str], names: Mapping[int, str], where: str) -> tuple[str, ...]:
    """Return the names of classes that are called by numbers in the data, such as "3" or "00003".

    Raises DataError, which calls the list `where`: a class is no number, or has no name in the list.
    """
    words = [name for name in numbers if not _NUMBER.fullmatch(name)]
    if words:
        raise DataError(
            f"{where}: the class {words[0]!r} is not a number; only numbered classes take a list. Leave --names out, "
            "or rename the classes."
        )
    nameless = [str(int(name)) for name in numbers if int(name) not in names]
    if nameless:
        raise DataError(
            f"{where}: has no name for class {first_few(nameless, _SHOWN)}; it names {min(names)}…{max(names)}. "
            "Add the missing names; if the first line is not that of class 0, write each line as NUMBER NAME."
        )
    return tuple(names[int(name)] for name in numbers)


def are_numbers(names: Sequence[str]) -> bool:
    """Tell whether every class is called by a number."""
    return all(map(_NUMBER.fullmatch, names))
