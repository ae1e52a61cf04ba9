"""A change that repairs data, for the list of all changes."""

from dataclasses import dataclass

COLUMNS = ("code", "picture", "before", "after", "why")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a repaired copy."""

    code: str  # of the problem that it removes
    key: str  # of the sample, empty for the data as a whole
    before: str  # where it was written, and what
    after: str = "left out"
    why: str

    def to_row(self) -> list[str]:
        """Return the cells under `COLUMNS`."""
        return [self.code, self.key, self.before, self.after, self.why]
