"""Names of splits, and the order of names as people count: 2 before 10."""

import re

from sightsmith.core.records import Split

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    "t10k": "test",
}
"""What people call the splits, in lower case."""

_DIGITS = re.compile(r"(\d+)")


def split_named(name: str) -> Split | None:
    """Return the split that a folder's or cell's name stands for, or None."""
    return SPLIT_NAMES.get(name.strip().lower())


def natural(name: str) -> tuple[tuple[str | tuple[int, str], ...], str]:
    """Return a key that sorts numbers inside names by value; equal ones by the name itself."""
    parts = _DIGITS.split(name.casefold())
    return tuple(_number(part) if place % 2 else part for place, part in enumerate(parts)), name


def _number(digits: str) -> tuple[int, str]:
    bare = digits.lstrip("0")
    return len(bare), bare
