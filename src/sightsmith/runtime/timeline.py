"""The answers along a stream, kept for a page in bounded memory: ranges of time that grow wider as the stream goes on.

Shapes: R ranges, K tracks of the kind.
"""

from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.errors import SettingsError
from sightsmith.kinds import optional_part
from sightsmith.kinds.parts.timeline import Ranges
from sightsmith.runtime.streams import Arrival, Step

_SHARE = 1 / 240  # Of the whole time, that two neighbouring ranges take together at the least once they are thinned
_MOST = 1200  # Ranges before they are thinned, to twice 1 / _SHARE


@dataclass(slots=True, eq=False)
class _Range:
    start: float
    end: float
    count: int
    sums_K: NDArray[np.float64]
    most_K: NDArray[np.float64]
    shares_K: NDArray[np.float64]

    @property
    def seconds(self) -> float:
        return self.end - self.start


class Timeline:
    """Collects answers; each holds until the next one, or until the source is lost.

    Raises SettingsError: answers of this kind have no timeline.
    """

    def __init__(self, kind: str) -> None:
        self._part = timeline_of(kind)
        self._ranges: list[_Range] = []
        self._begun: float | None = None
        self._end = 0.0

    def add(self, arrival: Arrival, step: Step | None) -> None:
        """Take the next arrival of a stream, and the answer that was due by it."""
        self._end = max(self._end, arrival.time)
        if self._begun == arrival.begun:
            self._ranges[-1].end = self._end
        if step is None:
            return
        levels_K = np.array(self._part.levels(step.answer), dtype=np.float64)
        chosen_K = np.array(self._part.chosen(step.answer), dtype=np.float64)
        self._ranges.append(_Range(step.time, self._end, 1, levels_K, levels_K, chosen_K))
        self._begun = arrival.begun
        if len(self._ranges) > _MOST:
            self._ranges = _thinned(self._ranges, self._end * _SHARE)

    def ranges(self, seconds: float | None) -> Ranges | None:
        """Return the answers so far; None if there is none.

        Args:
            seconds: duration of a source that was read to its end: the last answer holds until then, and a single one
                is about all of it.
        """
        if not self._ranges:
            return None
        if seconds is not None:
            self._end = self._ranges[-1].end = max(self._end, seconds)
        if len(self._ranges) == 1:
            self._ranges[0].start = 0.0
        kept = _thinned(self._ranges, self._end * _SHARE)
        return Ranges(
            np.array([one.start for one in kept]),
            np.array([one.end for one in kept]),
            np.stack([one.sums_K / one.count for one in kept]),
            np.stack([one.most_K for one in kept]),
            np.stack([one.shares_K for one in kept]),
            seconds=self._end or 1.0,
        )


def timeline_of(kind: str) -> ModuleType:
    """Return the kind's part for timelines. Raises SettingsError: it has none."""
    part = optional_part(kind, "timeline")
    if part is None:
        raise SettingsError(f"html: answers of the kind {kind!r} have no timeline. Leave --html out.")
    return part


def _thinned(ranges: list[_Range], width: float) -> list[_Range]:
    """Merge neighbours that together are no wider than `width`, in seconds; gaps within that close."""
    kept = [ranges[0]]
    for one in ranges[1:]:
        last = kept[-1]
        if one.end - last.start > width:
            kept.append(one)
            continue
        kept[-1] = _Range(
            last.start,
            one.end,
            last.count + one.count,
            last.sums_K + one.sums_K,
            np.maximum(last.most_K, one.most_K),
            _mean(last, one),
        )
    return kept


def _mean(one: _Range, other: _Range) -> NDArray[np.float64]:
    """Return the shares of both together, by their time; by their answers if they take none."""
    first, second = (one.seconds, other.seconds) if one.seconds + other.seconds > 0 else (one.count, other.count)
    return (one.shares_K * first + other.shares_K * second) / (first + second)
