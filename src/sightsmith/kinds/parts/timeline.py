"""Answers over time, for a page: what a kind says of them, and its drawing as inline SVG.

Colours of the paper come from the page's CSS, so they follow light, dark and print.

Shapes: R ranges of time, K tracks of a kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sightsmith.core.drawing import colour_of
from sightsmith.kinds.parts.charts import tag
from sightsmith.kinds.parts.time_axis import clock, round_moments

_WIDE, _HIGH = 1000, 44  # Units of a drawing, which is stretched to the width of the page
_THIN = 2.0  # Least width of a bar, so that a short answer is seen
_MOST_MARKS = 6  # On the axis: more would overlap on a phone


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """Answers in ranges of time, in order; a time in none of them has no answer."""

    starts_R: NDArray[np.float64]  # seconds
    ends_R: NDArray[np.float64]  # seconds, not after the next start
    means_RK: NDArray[np.float64]  # mean level of the answers in a range, by track, 0…1
    most_RK: NDArray[np.float64]  # the highest
    shares_RK: NDArray[np.float64]  # of the time of a range in which a track is the answer, 0…1
    seconds: float  # of the whole, > 0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Track:
    """A drawing beside the axis of time."""

    name: str
    index: int  # chooses its colour
    on_R: NDArray[np.bool_]  # whether it is the answer, drawn in full colour
    position: int  # of its levels in K


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A time with one answer."""

    start: float  # seconds
    end: float
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """For how long something is the answer."""

    name: str
    share: float  # of the answered time, 0…1
    seconds: float


def draw_track(track: Track, ranges: Ranges) -> Markup:
    """Draw the levels of a track: bars as high as the mean of a range, and pale ones up to the highest."""
    parts: list[Markup] = []
    whole = ranges.seconds
    levels = zip(
        ranges.starts_R.tolist(),
        ranges.ends_R.tolist(),
        ranges.means_RK[:, track.position].tolist(),
        ranges.most_RK[:, track.position].tolist(),
        track.on_R.tolist(),
        strict=True,
    )
    for start, end, mean, most, on in levels:
        told = f"{track.name} {mean:.0%}, {clock(start, whole)} to {clock(end, whole)}"
        words = told if most - mean < 0.005 else f"{told}, at most {most:.0%}"
        bars = [_bar(start, end, 1.0, whole, "field"), _bar(start, end, most, whole, "most")]
        bars.append(_bar(start, end, mean, whole, "mean on" if on else "mean"))
        parts.append(tag("g", tag("title", words), *bars))
    return tag(
        "svg",
        *parts,
        *(_mark_line(mark, whole) for mark in marks(whole)[1:]),
        viewBox=f"0 0 {_WIDE} {_HIGH}",
        preserveAspectRatio="none",
        role="img",
        aria_label=track.name,
        style=f"fill:{colour_of(track.index)}",
    )


def _bar(start: float, end: float, level: float, seconds: float, css: str) -> Markup:
    left, high = start / seconds * _WIDE, level * _HIGH
    wide = max(_THIN, (end - start) / seconds * _WIDE)
    return tag("rect", x=min(left, _WIDE - wide), y=_HIGH - high, width=wide, height=high, class_=css)


def _mark_line(time: float, seconds: float) -> Markup:
    across = time / seconds * _WIDE
    return tag("line", x1=across, y1=0, x2=across, y2=_HIGH, class_="grid")


def marks(seconds: float) -> list[float]:
    """Return round times from 0 on, before the end, for the axis."""
    return [moment for moment in round_moments(0, seconds, _MOST_MARKS) if moment < seconds * 0.95]


def stretches(ranges: Ranges, names_R: Sequence[str], levels_R: NDArray[np.float64]) -> list[Stretch]:
    """Return the times with one answer, in order, each with its mean level in percent.

    Args:
        names_R: the answer of each range.
        levels_R: its level, 0…1.
    """
    found: list[Stretch] = []
    first = 0
    for at in range(1, len(names_R) + 1):
        goes_on = at < len(names_R) and names_R[at] == names_R[first] and ranges.starts_R[at] <= ranges.ends_R[at - 1]
        if not goes_on:
            start, end = float(ranges.starts_R[first]), float(ranges.ends_R[at - 1])
            weights_R = (ranges.ends_R - ranges.starts_R)[first:at]
            level = np.average(levels_R[first:at], weights=weights_R if weights_R.sum() > 0 else None)
            found.append(Stretch(start=start, end=end, name=names_R[first], text=f"{level:.0%}"))
            first = at
    return found


def totals(ranges: Ranges, names_K: Sequence[str]) -> list[Total]:
    """Return for how long each name is the answer, longest first, without those that never are."""
    seconds_K = (ranges.ends_R - ranges.starts_R) @ ranges.shares_RK
    whole = float(seconds_K.sum()) or 1.0
    found = zip(names_K, seconds_K.tolist(), strict=True)
    made = [Total(name=name, share=seconds / whole, seconds=seconds) for name, seconds in found if seconds > 0]
    return sorted(made, key=lambda one: -one.seconds)
