"""Options of an answer of tags."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Options:
    absent: bool = False
    """Also give the tags whose score is below their threshold."""
