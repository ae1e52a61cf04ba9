"""Counts of what truths hold, for the report on data: a line in a terminal, bars on the page, a table in JSON."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One count of the things in the truths of some pictures."""

    title: str  # such as "Objects"; its lower case is the key in JSON
    unit: str  # the thing that is counted, singular, such as "object"
    text: str  # the counts in a sentence
    rows: tuple[tuple[str, int], ...]  # name of each bar, and its count
