"""The conclusions of the gate, which its rules fill in.

Shapes: N samples, C classes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sightsmith.data.problem import Problem, Severity
from sightsmith.data.scan import Scan
from sightsmith.data.settings import GateSettings
from sightsmith.data.source import Source


@dataclass(frozen=True, slots=True)
class Checked:
    """The input of the rules: the source and the scan of its pictures, by position."""

    source: Source  # the samples
    scan: Scan  # of each picture
    settings: GateSettings  # limits of the rules
    strata_N: NDArray[np.int64]  # number of each sample's stratum (of labels the class), -1 if its truth is unknown
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]]  # which samples have which names, as the kind's `pairs`
    splits: tuple[str | None, ...]  # that the source puts each sample in

    def keys(self, places: Iterable[int]) -> tuple[str, ...]:
        return tuple(self.source.samples[place].key for place in places)

    def label(self, place: int) -> str:
        """Return the truth of a sample in words."""
        return self.source.truth_text(self.source.samples[place]) or "no label"


COLUMNS = {"train": 0, "val": 1, "test": 2, None: 3}
"""Column of the counts by the split that the source puts a sample in."""


@dataclass(frozen=True, slots=True)
class ByClass:
    """A property of the usable pictures, class by class."""

    name: str  # of the property
    told: bool  # whether it predicts the class
    texts: tuple[str, ...]  # its median and 10th and 90th percentile in each class, or its most frequent values


@dataclass(slots=True)
class Verdict:
    """The output of the rules for N samples."""

    left_out: NDArray[np.bool_]  # (N,) training may not use it
    bad: NDArray[np.bool_]  # (N,) it is damaged or contradicts itself
    counts: NDArray[np.int64]  # (C, 4) usable samples of each name in train, val, test and no split
    problems: list[Problem] = field(default_factory=list)  # found, in the order of the rules
    reasons: dict[int, str] = field(default_factory=dict)  # why each sample is left out, by position
    near_groups: tuple[tuple[int, ...], ...] = ()  # positions that look nearly the same
    by_class: tuple[ByClass, ...] = ()  # properties of the files, class by class; those that vary

    def leave_out(self, places: Iterable[int], reason: str) -> None:
        """Exclude samples from training; the first reason is kept."""
        for place in places:
            self.left_out[place] = True
            self.reasons.setdefault(place, reason)

    def add(
        self,
        data: Checked,
        code: str,
        severity: Severity,
        message: str,
        groups: Iterable[Sequence[int]],
        notes: Sequence[str] = (),
    ) -> None:
        """Add a problem of samples, those that belong together in one group."""
        keys = tuple(data.keys(group) for group in groups)
        self.problems.append(Problem(code=code, severity=severity, message=message, groups=keys, notes=tuple(notes)))

    def say(self, code: str, severity: Severity, message: str) -> None:
        """Add a problem of the data as a whole."""
        self.problems.append(Problem(code=code, severity=severity, message=message))
