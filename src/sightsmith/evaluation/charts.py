"""The report's drawings as inline SVG. Colours come from the page's CSS, so they follow light, dark and print.

Every mark carries a `<title>`, which browsers show on hover and screen readers read.

Shapes: K classes, M bins.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from sightsmith.core.counts import many
from sightsmith.evaluation.record import Bin

MAX_MATRIX = 50
"""Classes above which a confusion matrix is no longer readable."""
_NUMBERS_FROM = 20
"""Pixels of a matrix cell from which its number fits in."""
_TEXT = 6.2
"""Width of a letter of 11-pixel text, in pixels, for leaving room; labels are cut, never trusted to fit."""
_LABEL_LETTERS = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a chart: its name, its points in order of x, and its CSS class (`a` or `b`)."""

    name: str
    points: Sequence[tuple[float, float]]
    css: str = "a"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where a chart's plot lies in its drawing, and the ranges of its axes."""

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a point in the drawing."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return self.left + self.width * across, self.top + self.height * (1 - up)


def line_chart(series: Sequence[Series], x_label: str, y_label: str, *, percent: bool = False) -> Markup:
    """Draw lines over a common x axis."""
    xs = [x for one in series for x, _ in one.points]
    ys = [y for one in series for _, y in one.points]
    frame = Frame(left=52, top=30, width=392, height=206, x=_padded(xs, 0), y=_padded(ys, 0.06))
    parts = [_grid(frame, x_label, percent_y=percent, whole_x=all(x == round(x) for x in xs))]
    parts += [_line(frame, one, percent) for one in series]
    return _svg(460, 280, f"{y_label} over {x_label}", [*parts, _legend([(one.name, one.css) for one in series], 52)])


def coverage_chart(coverage: Sequence[float], right: Sequence[float], thresholds: Sequence[float]) -> Markup:
    """Draw how often answers are right when only the surest share of them is given."""
    points = list(zip(coverage, right, strict=True))
    frame = Frame(left=52, top=30, width=392, height=206, x=(0, 1), y=_padded([*right, 1.0], 0.06, high=1.0))
    marks = [
        _dot(frame, x, y, "a", f"threshold {threshold:.3f}: answers {x:.1%}, right {y:.2%}")
        for (x, y), threshold in zip(points, thresholds, strict=True)
    ]
    path = _path(frame, points, "a")
    return _svg(
        460,
        280,
        "Accuracy over the share of pictures answered",
        [_grid(frame, "share of pictures answered", percent_y=True, percent_x=True), path, *marks],
    )


def reliability_chart(bins: Sequence[Bin]) -> Markup:
    """Draw accuracy against confidence, and how many answers have which confidence below it."""
    frame = Frame(left=52, top=30, width=300, height=220, x=(0, 1), y=(0, 1))
    below = Frame(left=52, top=280, width=300, height=52, x=(0, 1), y=(0, max(1, *(one.count for one in bins))))
    corner, far = frame.at(0, 0), frame.at(1, 1)
    parts = [_grid(frame, "", percent_y=True, percent_x=True)]
    for place, one in enumerate(bins):
        parts += _bin(frame, below, place / len(bins), 1 / len(bins), one)
    parts.append(_tag("line", x1=corner[0], y1=corner[1], x2=far[0], y2=far[1], class_="ideal"))
    parts.append(_tag("line", x1=52, y1=332, x2=352, y2=332, class_="axis"))
    parts.append(_text(202, 352, "confidence of the answer", "middle"))
    parts.append(_text(46, 300, "answers", "end"))
    parts.append(_legend([("right", "a"), ("gap to confidence", "b")], 52))
    return _svg(368, 360, "Reliability: accuracy over confidence", parts)


def confusion_chart(confusion_KK: NDArray[np.integer], classes: Sequence[str]) -> Markup:
    """Draw a confusion matrix, rows being targets; a cell is shaded by its share of the row.

    Raises:
        ValueError: more than 50 classes.
    """
    count = len(classes)
    if count > MAX_MATRIX:
        raise ValueError(f"a confusion matrix is drawn for at most {MAX_MATRIX} classes, got {count}")
    cell = max(11.0, min(54.0, 540 / count))
    names = [shorten(name) for name in classes]
    room = max(len(name) for name in names) * _TEXT + 12
    upright = max(len(name) for name in names) * _TEXT <= cell - 8
    left, top = room + 16, 22 + (18 if upright else room)
    parts = [_text(left + cell * count / 2, 12, "answer", "middle", "label")]
    parts.append(_text(10, top + cell * count / 2, "target", "middle", "label", turn=-90))
    parts.append(_tag("rect", x=left, y=top, width=cell * count, height=cell * count, class_="field"))
    for at, name in enumerate(names):
        middle = (at + 0.5) * cell
        parts.append(_text(left - 6, top + middle + 4, name, "end"))
        anchor, x = ("middle", left + middle) if upright else ("start", left + middle + 4)
        parts.append(_text(x, top - 6, name, anchor, turn=0 if upright else -90))
    parts += _cells(confusion_KK, classes, left, top, cell)
    return _svg(left + cell * count + 8, top + cell * count + 8, "Confusion matrix", parts, grow=False)


def shorten(name: str, letters: int = _LABEL_LETTERS) -> str:
    """Cut a long name in the middle, where names of a kind differ least."""
    if len(name) <= letters:
        return name
    tail = (letters - 1) // 2
    return f"{name[: letters - 1 - tail]}…{name[-tail:]}"


def nice_steps(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers inside a range, spaced by 1, 2 or 5 times a power of ten."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(place * step, 12) for place in range(first, math.floor(high / step + 1e-9) + 1)]


def _cells(
    confusion_KK: NDArray[np.integer], classes: Sequence[str], left: float, top: float, cell: float
) -> list[Markup]:
    support_K = np.maximum(confusion_KK.sum(axis=1), 1)
    parts = []
    for row, column in zip(*np.nonzero(confusion_KK), strict=True):
        count, share = int(confusion_KK[row, column]), float(confusion_KK[row, column] / support_K[row])
        # the root, because a mistake in 1 of 100 must be seen
        shade = 0.1 + 0.9 * (share if row == column else math.sqrt(share))
        kind = "right" if row == column else "wrong"
        x, y = left + column * cell, top + row * cell
        title = f"{classes[row]} → {classes[column]}: {count:,} ({share:.1%} of {classes[row]})"
        inner = [
            _tag("rect", x=x + 0.5, y=y + 0.5, width=cell - 1, height=cell - 1, class_=kind, fill_opacity=shade),
            _tag("title", title),
        ]
        if cell >= _NUMBERS_FROM:
            css = "number strong" if shade > 0.7 else "number"
            size = min(12.0, cell / (0.62 * len(str(count)) + 0.5))
            inner.append(_text(x + cell / 2, y + cell / 2 + size * 0.36, str(count), "middle", css, font_size=size))
        parts.append(_tag("g", *inner))
    return parts


def _bin(frame: Frame, below: Frame, low: float, wide: float, one: Bin) -> list[Markup]:
    if one.confidence is None or one.accuracy is None:
        return []
    title = f"{many(one.count, 'answer')}, confidence {one.confidence:.1%}, right {one.accuracy:.1%}"
    (x, top), (end, _) = frame.at(low, one.accuracy), frame.at(low + wide, 0)
    foot, expected = frame.at(0, 0)[1], frame.at(0, one.confidence)[1]
    count_top, count_foot = below.at(0, one.count)[1], below.at(0, 0)[1]
    gap_top, gap_foot = sorted((top, expected))
    return [
        _tag(
            "g",
            _tag("title", title),
            _tag("rect", x=x + 1, y=top, width=end - x - 2, height=foot - top, class_="bar"),
            _tag("rect", x=x + 1, y=gap_top, width=end - x - 2, height=gap_foot - gap_top, class_="gap"),
            _tag("rect", x=x + 1, y=count_top, width=end - x - 2, height=count_foot - count_top, class_="count"),
        )
    ]


def _grid(
    frame: Frame, x_label: str, *, percent_y: bool = False, percent_x: bool = False, whole_x: bool = False
) -> Markup:
    parts = []
    foot = frame.top + frame.height
    for value in nice_steps(*frame.y):
        y = frame.at(frame.x[0], value)[1]
        parts.append(_tag("line", x1=frame.left, y1=y, x2=frame.left + frame.width, y2=y, class_="grid"))
        parts.append(_text(frame.left - 6, y + 4, _number(value, percent_y), "end"))
    for value in nice_steps(*frame.x):
        if whole_x and value != round(value):
            continue
        x = frame.at(value, frame.y[0])[0]
        parts.append(_text(x, foot + 16, _number(value, percent_x), "middle"))
    parts.append(_tag("line", x1=frame.left, y1=foot, x2=frame.left + frame.width, y2=foot, class_="axis"))
    parts.append(_text(frame.left + frame.width / 2, foot + 34, x_label, "middle", "label"))
    return Markup("").join(parts)


def _line(frame: Frame, one: Series, percent: bool) -> Markup:
    dots = [
        _dot(frame, x, y, one.css, f"{one.name} at {_number(x, False)}: {_number(y, percent, exact=True)}")
        for x, y in one.points
    ]
    return Markup("").join([_path(frame, one.points, one.css), *(dots if len(dots) <= 120 else [])])


def _path(frame: Frame, points: Sequence[tuple[float, float]], css: str) -> Markup:
    places = " ".join("{:.1f},{:.1f}".format(*frame.at(x, y)) for x, y in points)
    return _tag("polyline", points=places, class_=f"line {css}")


def _dot(frame: Frame, x: float, y: float, css: str, title: str) -> Markup:
    across, down = frame.at(x, y)
    return _tag("circle", _tag("title", title), cx=across, cy=down, r=2.2, class_=f"dot {css}")


def _legend(entries: Sequence[tuple[str, str]], left: float) -> Markup:
    parts, x = [], left
    for name, css in entries:
        parts.append(_tag("rect", x=x, y=9, width=12, height=4, rx=2, class_=f"key {css}"))
        parts.append(_text(x + 17, 15, name, "start"))
        x += 34 + len(name) * _TEXT
    return Markup("").join(parts)


def _padded(values: Sequence[float], pad: float, high: float | None = None) -> tuple[float, float]:
    low, top = min(values), max(values)
    if top - low < 1e-9:
        low, top = low - 0.5 * (abs(low) or 1), top + 0.5 * (abs(top) or 1)
    room = pad * (top - low)
    return low - room, top + room if high is None else max(high, *values)


def _number(value: float, percent: bool, *, exact: bool = False) -> str:
    if percent:
        return f"{value:.2%}" if exact else f"{value * 100:.4g}%"
    return f"{value:.4g}" if exact else f"{value:g}"


def _text(
    x: float, y: float, words: str, anchor: str, css: str = "", *, turn: float = 0, font_size: float | None = None
) -> Markup:
    extra = {"transform": f"rotate({turn:g} {x:.1f} {y:.1f})"} if turn else {}
    if font_size is not None:
        extra["font_size"] = f"{font_size:.1f}"
    return _tag("text", words, x=x, y=y, text_anchor=anchor, class_=css, **extra)


def _tag(name: str, *children: str | Markup, **attributes: str | float) -> Markup:
    """Return an element; text and attribute values are escaped, `class_` and `text_anchor` become SVG's names."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_short(value))}"'
        for key, value in attributes.items()
        if value != ""
    )
    inside = Markup("").join(children)
    return Markup(f"<{name}{written}>{inside}</{name}>")  # noqa: S704  # every part is escaped above


def _short(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def _svg(width: float, height: float, title: str, parts: Sequence[Markup], *, grow: bool = True) -> Markup:
    # a chart may grow to its column; a matrix may shrink as long as its numbers can be read, then its box scrolls
    style = (
        f"max-width:{width * 1.2:.0f}px"
        if grow
        else f"width:{width:.0f}px;max-width:100%;min-width:{width * 0.85:.0f}px"
    )
    return _tag(
        "svg",
        _tag("title", title),
        *parts,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        style=style,
    )
