"""Options of an answer of a number."""

from dataclasses import dataclass, field

from sightsmith.core.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Options:
    digits: int = field(default=5, metadata={"ge": 1, "le": 9})
    """Significant digits of numbers, 1…9."""

    def __post_init__(self) -> None:
        if not 1 <= self.digits <= 9:
            raise SettingsError(f"digits must be 1…9, got {self.digits}.")
