"""The truths of a kind in the rows of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, str]  # The cells of a row by column, stripped
Details = Mapping[str, str]  # Facts about the truths that the user gave, such as their unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Truths:
    """The truths in the rows of a table."""

    names: tuple[str, ...] = ()  # of the classes or tags
    values: Sequence[Any]  # the truth of each row, None if it cannot be used
    columns: tuple[str, ...]  # the columns that hold the truths
    left_out: Mapping[int, tuple[str, str]]  # why a row cannot be used, by its position: code of the reason, its value
    details: Mapping[str, Any] = field(default_factory=dict)  # facts about the truths, such as a unit
