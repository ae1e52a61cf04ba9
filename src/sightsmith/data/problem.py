"""A problem of data: what the gate and the sources report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sightsmith.core.images import printable

Severity = Literal["error", "warning", "info"]

Spot = tuple[float, float, float, float]
"""A place in a picture: left, top, right, bottom, in pixels of the upright picture; may reach outside it."""

_LISTED = 5  # Pictures named in a problem's text; its JSON names all


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something wrong, or worth knowing, about the data."""

    code: str  # short name of the rule, such as "unreadable"; the same in every version
    severity: Severity  # error: the data is wrong; warning: it may be; info: worth knowing
    message: str  # the subject, the rule, the value and the remedy
    groups: tuple[tuple[str, ...], ...] = ()  # keys of the samples concerned; copies of one picture are in one group
    notes: tuple[str, ...] = ()  # a remark on each group, or empty
    spots: tuple[tuple[Spot, ...], ...] = ()  # the places in the first picture of each group, or empty
    repair: str = ""  # what reading did about it, such as "left out", if a repaired copy is without the fault
    lost: int = 0  # how many pictures never became samples because of this (a file or row that is left out)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(key for group in self.groups for key in group)

    def to_text(self) -> str:
        """Return the message and the first few groups, a line each."""
        lines = [f"{self.severity}: {self.message} [{self.code}]"]
        notes = self.notes or ("",) * len(self.groups)
        for group, note in list(zip(self.groups, notes, strict=True))[:_LISTED]:
            shown = " = ".join(group[:3]) + (f" = … ({len(group)} in all)" if len(group) > 3 else "")
            lines.append(f"    {shown}{': ' if note else ''}{note}")
        if len(self.groups) > _LISTED:
            lines.append(f"    and {len(self.groups) - _LISTED:,} more")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "keys": list(self.keys),
            "groups": [list(group) for group in self.groups],
            "notes": list(self.notes),
            "spots": [[list(spot) for spot in spots] for spots in self.spots],
            "lost": self.lost,
        }


def problem_of_each(
    code: str,
    severity: Severity,
    message: str,
    keys: Sequence[str],
    notes: Sequence[str] = (),
    *,
    spots: Sequence[tuple[Spot, ...]] = (),
    repair: str = "",
    lost: bool = False,
) -> tuple[Problem, ...]:
    """Return one problem that names each key, with its note if there are any, or none if there are no keys."""
    if not keys:
        return ()
    groups = tuple((printable(key),) for key in keys)
    notes = tuple(notes) or ("",) * len(keys)
    count = len(keys) if lost else 0
    told = Problem(
        code=code,
        severity=severity,
        message=message,
        groups=groups,
        notes=notes,
        spots=tuple(spots),
        repair=repair,
        lost=count,
    )
    return (told,)
