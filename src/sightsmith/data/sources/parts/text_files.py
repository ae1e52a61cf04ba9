"""Text files beside the data: names of classes, labels of files."""

from pathlib import Path

from sightsmith.core.errors import DataError


def read_text(file: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark. Raises DataError: it is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file}: not UTF-8 text ({error.reason} at byte {error.start:,}). Save it as UTF-8."
        ) from error


def read_names(file: Path) -> list[str] | None:
    """Read the names of class 0, 1, …, a line each; None if there is no such file.

    An empty line stays an empty name, since without it all names after it would move to another class.

    Raises DataError: it is not UTF-8.
    """
    if not file.exists():
        return None
    return [line.strip() for line in read_text(file).rstrip().splitlines()]
