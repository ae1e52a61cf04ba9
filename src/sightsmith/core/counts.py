"""Counts and lists in messages."""

from collections.abc import Sequence


def many(count: int, one: str, more: str = "") -> str:
    """Return text like `1 picture` or `1,200 pictures`; `more` is an irregular plural."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def first_few(names: Sequence[str], most: int) -> str:
    """Return text like `a, b, c and 7 more`."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
