"""Drawing the answers along a video as inline SVG: strips of parts over a common axis of time.

Places across are shares of the width and letters keep their size, so that a drawing can be read on a phone and on a
wide screen. Colours are those of `charts.py`, and of names those of `core/drawing.py`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from sightsmith.core.drawing import colour_of, letters_on
from sightsmith.kinds.parts.charts import LETTER, shorten, tag
from sightsmith.kinds.parts.time_axis import clock, round_moments

_NARROW, _WIDE = 320, 900  # Widths in pixels for which names and times are sized: a phone's, and a desktop's
_MOST = 600  # Parts drawn; more would be narrower than two pixels
_TICKS = 5  # round moments on the axis, about
_STRIP, _BARS, _CAPTION = 18, 34, 17  # Heights in pixels
_NAMED = 12  # Names in a key
_SAME = 1e-3  # Seconds within which two moments are one


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of a video, and the answer to it."""

    start: float  # seconds
    end: float  # seconds, > start
    name: str  # of the answer
    score: float  # certainty of the answer, 0…1
    truth: str = ""  # the right name; empty if it is unknown

    @property
    def wrong(self) -> bool:
        return self.truth not in ("", self.name)

    def told(self, whole: float) -> str:
        """Return the part in words, of a video that ends at `whole` seconds."""
        right = f", is {self.truth}" if self.wrong else ""
        return f"{clock(self.start, whole)} to {clock(self.end, whole)}: {self.name} {self.score:.1%}{right}"


def draw_strips(stretches: Sequence[Stretch], names: Sequence[str], title: str) -> Markup:
    """Draw the answers to parts of one video, their certainty, and the truth if any is known.

    Where parts overlap, the one before ends as the next begins. Of more than 600 parts the worst near each place is
    drawn: wrong answers before right ones, then the least certain.

    Args:
        stretches: at least one, in any order.
        names: all names, in the order that gives them their colours.
        title: for screen readers.
    """
    drawn = _thinned(_apart(stretches))
    start, end = drawn[0].start, max(one.end for one in drawn)
    axis = _Axis(start, end)
    parts: list[Markup] = []
    top = 0
    if any(one.truth for one in drawn):
        parts += [_caption("Truth", top), *_strip(axis, [(one, one.truth) for one in drawn], names, top + _CAPTION)]
        top += _CAPTION + _STRIP + 3
    parts += [_caption("Answer", top), *_strip(axis, [(one, one.name) for one in drawn], names, top + _CAPTION)]
    top += _CAPTION + _STRIP + 3
    marked = tag("tspan", "  ■ wrong", class_="wrong") if any(one.wrong for one in drawn) else Markup()
    parts += [_caption("Certainty", top, marked), *_bars(axis, drawn, top + _CAPTION)]
    top += _CAPTION + _BARS
    parts += _ticks(axis, top)
    style = f"width:100%;height:{top + 20}px;margin-bottom:20px"
    return tag("svg", tag("title", title), *parts, role="img", style=style)


def key(names: Sequence[str], used: Sequence[str]) -> Markup:
    """Return the names that a timeline uses, each with its colour, as HTML; of many the first twelve."""
    shown = [name for name in names if name in set(used)]
    marks = [
        Markup('<span style="white-space:nowrap"><span style="color:{}">■</span> {}</span>').format(
            colour_of(names.index(name)), name
        )
        for name in shown[:_NAMED]
    ]
    return Markup(" &nbsp; ").join([*marks, *(["…"] if len(shown) > _NAMED else [])])


class _Axis:
    """The span of time that a drawing shows."""

    def __init__(self, start: float, end: float) -> None:
        self.start, self.end = start, end

    def across(self, seconds: float) -> float:
        """Return a moment's place, as a share of the width."""
        return (seconds - self.start) / (self.end - self.start)


def _apart(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Return the parts in order of time, without overlaps."""
    ordered = sorted(stretches, key=lambda one: (one.start, one.end))
    starts = sorted({one.start for one in ordered})
    following = dict(zip(starts, [*starts[1:], math.inf], strict=True))
    return [replace(one, end=min(one.end, following[one.start])) for one in ordered]


def _thinned(ordered: Sequence[Stretch]) -> list[Stretch]:
    """Return at most `_MOST` parts that stand for all: the worst of each equal part of the time."""
    if len(ordered) <= _MOST:
        return list(ordered)
    start, end = ordered[0].start, max(one.end for one in ordered)
    wide = (end - start) / _MOST
    worst: dict[int, Stretch] = {}
    for one in ordered:
        at = min(_MOST - 1, int(((one.start + one.end) / 2 - start) / wide))
        if at not in worst or (not one.wrong, one.score) < (not worst[at].wrong, worst[at].score):
            worst[at] = one
    fields = ((one, start + at * wide) for at, one in worst.items())
    return _apart([replace(one, start=min(one.start, left), end=max(one.end, left + wide)) for one, left in fields])


def _strip(axis: _Axis, named: Sequence[tuple[Stretch, str]], names: Sequence[str], top: int) -> Iterator[Markup]:
    """Yield a field for each run of parts with one name, and the name in it if it fits."""
    yield _field(axis, axis.start, axis.end, top, _STRIP, class_="field")
    for start, end, name in _runs(named):
        colour = colour_of(names.index(name))
        told = f"{clock(start, axis.end)} to {clock(end, axis.end)}: {name}"
        yield _field(axis, start, end, top, _STRIP, told, fill=colour)
        share, shown = axis.across(end) - axis.across(start), shorten(name)
        wide = len(shown) * LETTER + 8
        if share * _WIDE >= wide:
            middle = _percent(axis.across((start + end) / 2))
            css = "" if share * _NARROW >= wide else "roomy"
            style = f"fill:{letters_on(colour)};pointer-events:none"
            yield tag("text", shown, x=middle, y=top + 13, text_anchor="middle", class_=css, style=style)


def _runs(named: Sequence[tuple[Stretch, str]]) -> list[tuple[float, float, str]]:
    """Return start, end and name of the runs of parts that follow each other and have one name."""
    runs: list[tuple[float, float, str]] = []
    for one, name in named:
        if runs and runs[-1][2] == name and one.start - runs[-1][1] < _SAME:
            runs[-1] = (runs[-1][0], one.end, name)
        else:
            runs.append((one.start, one.end, name))
    return runs


def _bars(axis: _Axis, drawn: Sequence[Stretch], top: int) -> Iterator[Markup]:
    """Yield a bar a part, as high as its answer is certain, in the colour of mistakes if it is wrong."""
    yield _field(axis, axis.start, axis.end, top, _BARS, class_="field")
    for one in drawn:
        high = max(1.0, one.score * _BARS)
        css = "wrong" if one.wrong else "count"
        yield _field(axis, one.start, one.end, top + _BARS - high, high, one.told(axis.end), class_=css)


def _field(axis: _Axis, start: float, end: float, top: float, high: float, told: str = "", **attributes: str) -> Markup:
    across = axis.across(start)
    titles = [tag("title", told)] if told else []
    wide = _percent(axis.across(end) - across)
    return tag("rect", *titles, x=_percent(across), y=top, width=wide, height=high, **attributes)


def _caption(words: str, top: int, *further: Markup) -> Markup:
    return tag("text", words, *further, x="0", y=top + 12, text_anchor="start")


def _ticks(axis: _Axis, top: int) -> Iterator[Markup]:
    for moment in round_moments(axis.start, axis.end, _TICKS):
        across = axis.across(moment)
        anchor = "start" if across < 0.06 else "end" if across > 0.94 else "middle"
        yield tag("line", x1=_percent(across), y1=top, x2=_percent(across), y2=top + 4, class_="axis")
        yield tag("text", clock(moment, axis.end), x=_percent(across), y=top + 16, text_anchor=anchor)


def _percent(share: float) -> str:
    return f"{share * 100:.3f}%"
