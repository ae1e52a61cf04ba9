"""A value that is chosen for an open setting, with the reason."""

from dataclasses import asdict, dataclass
from typing import Any

from sightsmith.data.augment import Augmentation

SMALL = 64  # Sides up to this many pixels count as small pictures
FEW = 10_000  # Below this many training pictures, small ones are also rotated, zoomed and jittered

_UNVARIED = Augmentation()


@dataclass(frozen=True, slots=True)
class Choice:
    value: Any
    why: str

    def __str__(self) -> str:
        return f"{_shown(self.value)} ({self.why})" if self.why else _shown(self.value)


def is_open(value: Any) -> bool:
    """Tell whether a setting is left to be chosen."""
    return value is None or value == "auto"


def given(value: Any) -> Choice | None:
    """Return a setting as a choice, None if it is open."""
    return None if is_open(value) else Choice(value, "")


def _shown(value: Any) -> str:
    if isinstance(value, Augmentation):
        varied = {name: one for name, one in asdict(value).items() if one != getattr(_UNVARIED, name)}
        return ", ".join(f"{name.replace('_', ' ')} {_shown(one)}" for name, one in varied.items()) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
