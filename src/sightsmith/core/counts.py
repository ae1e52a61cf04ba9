"""Counts in messages."""


def many(count: int, one: str, more: str = "") -> str:
    """Return such as `1 picture` or `1,200 pictures`; `more` if an s is not enough."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"
