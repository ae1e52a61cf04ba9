"""Options of an answer of labels."""

from dataclasses import dataclass, field

from sightsmith.core.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Options:
    top: int = field(default=5, metadata={"ge": 1})
    """How many labels, best first, ≥ 1."""

    def __post_init__(self) -> None:
        if self.top < 1:
            raise SettingsError(f"top must be at least 1, got {self.top}.")
