"""Names of splits."""

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
"""Usual names of the splits, in lower case."""


def split_named(name: str) -> Split | None:
    """Return the split for the name of a folder or in a cell, None if unknown."""
    return SPLIT_NAMES.get(name.strip().lower())
