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
    """Return the split that a folder's or cell's name means, or None."""
    return SPLIT_NAMES.get(name.strip().lower())
