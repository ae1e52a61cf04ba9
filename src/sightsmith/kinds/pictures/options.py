"""Options of an answer that is a picture."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Options:
    """There are none."""
