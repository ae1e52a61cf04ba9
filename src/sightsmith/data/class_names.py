"""Names for numbered classes, from a file.

A line is the name of a class, the first that of class 0; or every line has its number before the name: `3 cat`,
`3: cat`, or a table of two columns (`3,cat`; a semicolon and a tab will do), with or without a header.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from sightsmith.core.counts import first_few
from sightsmith.core.errors import DataError
from sightsmith.data.sources.parts.names import read_text

_NUMBERED = re.compile(r"\s*(?P<number>\d{1,18})(?:\s*(?P<between>[,;\t:])\s*|\s+)(?P<name>\S.*)")
_HEADER = re.compile(r"[^\d,;\t][^,;\t]*[,;\t][^,;\t]+")
_NUMBER = re.compile(r"[0-9]{1,18}")
_SHOWN = 3  # Classes that a message names


def read_class_names(file: Path) -> dict[int, str]:
    """Read the names of classes by number.

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
