"""The conclusions of the gate, which its rules fill in.

Shapes: N samples, C classes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.counts import many
from sightsmith.core.names import shortened
from sightsmith.data.problem import Problem, Severity, Spot
from sightsmith.data.scan import Scan
from sightsmith.data.settings import GateSettings
from sightsmith.data.source import Source
from sightsmith.inputs import INPUTS
from sightsmith.kinds import KINDS

_COLUMNS = ("train", "val", "test", None)  # of the counts: the split that the source puts a sample in
_PLURAL = {"is": "are", "has": "have"}
_MOST_WORDS = 120  # Characters of a truth in a message
_PRECEDENCE = ("test", "val", "train", None)  # Taking a copy out of the test would change the measurement


@dataclass(frozen=True, slots=True)
class Checked:
    """The input of the rules: the source and the scan of its pictures, by position."""

    source: Source
    scan: Scan
    settings: GateSettings

    def truths(self, places: Iterable[int]) -> list[str]:
        """Return the truths of samples in words, each once."""
        texts = (self.source.truth_text(self.source.samples[place]) for place in places)
        return list(dict.fromkeys(text or "no label" for text in texts))

    def brief_truths(self, places: Sequence[int]) -> str:
        """Return the different truths of samples in few words; those that these do not tell apart are counted."""
        by_truth = {self.source.truth_text(self.source.samples[place]): place for place in reversed(places)}
        texts = [self.source.brief_text(self.source.samples[place]) for place in sorted(by_truth.values())]
        counts = Counter(shortened(text or "no label", _MOST_WORDS) for text in texts)
        return " / ".join(text if count == 1 else f"{text} ({count} versions)" for text, count in counts.items())

    @property
    def nouns(self) -> tuple[str, str]:
        """A sample, singular and plural, for messages: picture, or clip."""
        one, several = INPUTS.module(self.source.input).NOUNS
        return one, several

    def are(self, count: int, verb: str) -> str:
        """Return text like `1 picture is` or `2 clips are`; the verb is `is` or `has`."""
        one, several = self.nouns
        return many(count, f"{one} {verb}", f"{several} {_PLURAL[verb]}")

    @property
    def has_places(self) -> bool:
        """Whether truths have places in the picture, so that those of two views of one scene differ."""
        return hasattr(KINDS.module(self.source.kind), "GEOMETRY")

    def splits(self, places: Iterable[int]) -> str:
        """Return the splits that the source puts samples in, in words."""
        return " and ".join(dict.fromkeys(self.source.samples[place].split or "no split" for place in places))

    def straddles(self, places: Iterable[int]) -> bool:
        """Tell whether samples are in more than one split; one without counts as train."""
        return len({self.source.samples[place].split or "train" for place in places}) > 1

    def precedence(self, place: int) -> int:
        """Return the rank of a copy, of which the lowest stays."""
        return _PRECEDENCE.index(self.source.samples[place].split)

    def counts(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (C, 4): samples of each name in train, val, test and no split; no rows for a kind without names."""
        truths = [self.source.samples[place].target for place in places.tolist()]
        at_M, names_M = KINDS.module(self.source.kind).pairs(truths)
        return self.counts_of(places[at_M], names_M)

    def counts_of(self, places_M: NDArray[np.int64], names_M: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the same counts for pairs of a sample and a name, each once."""
        counts = np.zeros((len(self.source.names), len(_COLUMNS)), dtype=np.int64)
        splits = (self.source.samples[place].split for place in places_M.tolist())
        columns_M = np.array([_COLUMNS.index(split) for split in splits], dtype=np.int64)
        np.add.at(counts, (names_M, columns_M), 1)
        return counts


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
    problems: list[Problem] = field(default_factory=list)  # found, in the order of the rules
    reasons: dict[int, str] = field(
        default_factory=dict
    )  # code and reason of each sample that is left out, by position
    near_groups: tuple[tuple[int, ...], ...] = ()  # positions that look nearly the same
    by_class: tuple[ByClass, ...] = ()  # properties of the files, class by class; those that vary

    @property
    def usable(self) -> NDArray[np.int64]:
        """Positions of the samples that training may use, in order."""
        return np.flatnonzero(~self.left_out)

    def leave_out(self, places: Iterable[int], code: str, reason: str) -> None:
        """Exclude samples from training because of a problem; the first reason is kept."""
        for place in places:
            self.left_out[place] = True
            self.reasons.setdefault(place, f"{code}: {reason}")

    def add(
        self,
        data: Checked,
        code: str,
        severity: Severity,
        message: str,
        groups: Iterable[Sequence[int]],
        notes: Sequence[str] = (),
        spots: Sequence[tuple[Spot, ...]] = (),
    ) -> None:
        """Add a problem of samples, those that belong together in one group; none if there are no groups.

        Args:
            notes: a remark on each group.
            spots: the places in the first picture of each group.
        """
        keys = tuple(tuple(data.source.samples[place].key for place in group) for group in groups)
        if keys:
            self.problems.append(
                Problem(
                    code=code,
                    severity=severity,
                    message=message,
                    groups=keys,
                    notes=tuple(notes),
                    spots=tuple(spots),
                )
            )

    def add_each(self, data: Checked, code: str, severity: Severity, message: str, notes: Mapping[int, str]) -> None:
        """Add a problem of single samples, each position with a note on it; none if there are no notes."""
        self.add(data, code, severity, message, [(place,) for place in notes], list(notes.values()))

    def reject_each(self, data: Checked, code: str, message: str, notes: Mapping[int, str]) -> None:
        """Add an error of single pictures, which count as bad and which training leaves out."""
        self.add_each(data, code, "error", message, notes)
        self.bad[list(notes)] = True
        for place, note in notes.items():
            self.leave_out([place], code, note)

    def say(self, code: str, severity: Severity, message: str) -> None:
        """Add a problem of the data as a whole."""
        self.problems.append(Problem(code=code, severity=severity, message=message))
