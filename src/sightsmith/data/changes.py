"""The changes that repair data, and the repaired copy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightsmith.core.counts import first_few, many

COLUMNS = ("code", "picture", "before", "after", "why")
CHANGES = "changes.csv"  # The list of the changes in the folder of a repaired copy
_LISTED = 10  # Codes that a message names


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a repaired copy."""

    code: str  # of the problem that it removes
    key: str  # of the sample, empty for the data as a whole
    before: str  # where it is written in the original, and what
    after: str = "left out"
    why: str

    def to_row(self) -> list[str]:
        """Return the cells under `COLUMNS`."""
        return [self.code, self.key, self.before, self.after, self.why]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """A repaired copy that was written.

    Attributes:
        out: its folder.
        pictures: how many it has.
        changes: every difference from the original, as the list beside the copy says.
        left: codes of the errors and warnings that only a person can decide.
        lost: what is no fault and is not in the copy, because it is not read or the format cannot hold it.
    """

    out: Path
    pictures: int
    changes: tuple[Change, ...]
    left: tuple[str, ...]
    lost: tuple[str, ...] = ()

    def to_text(self) -> str:
        lines = [f"lost: {one}." for one in self.lost]
        lines += [f"Left for you to decide: {first_few(self.left, _LISTED)}."] if self.left else []
        pictures, changes = many(self.pictures, "picture"), many(len(self.changes), "change")
        return "\n".join([f"Repaired copy: {self.out}, {pictures}; {changes}, listed in {CHANGES}.", *lines])

    def to_json(self) -> dict[str, Any]:
        rows = [dict(zip(COLUMNS, change.to_row(), strict=True)) for change in self.changes]
        return {
            "out": str(self.out),
            "pictures": self.pictures,
            "changes": rows,
            "left": list(self.left),
            "lost": list(self.lost),
        }
