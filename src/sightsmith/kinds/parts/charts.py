"""Drawing charts as inline SVG. Colours come from the page's CSS, so they follow light, dark and print.

Every mark carries a `<title>`, which browsers show on hover and screen readers read.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from sightsmith.core.counts import many

LETTER = 6.2  # Width of a letter of 11-pixel text, in pixels, to reserve space; longer labels are shortened
_LABEL_LETTERS = 22
_PAPER = '<rect width="100%" height="100%" fill="white"/>'
_STYLE = (
    "text { font: 11px sans-serif } .line { fill: none; stroke-width: 2 } .line.a { stroke: #2f6fed } "
    ".line.b { stroke: #d9480f } .dot.a, .key.a { fill: #2f6fed } .dot.b, .key.b { fill: #d9480f } "
    ".grid { stroke: #e6eaf0 } .axis { stroke: #98a2b3 }"
)
"""The light-mode colours of the report's style sheet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a chart: its name, its points in order of x, and its CSS class (`a` or `b`)."""

    name: str
    points: Sequence[tuple[float, float]]
    css: str = "a"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The place of a chart's plot in its drawing, and the ranges of its axes."""

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


def line_chart(
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    shares: bool = False,
    best: float | None = None,
    marked: str = "best",
) -> Markup:
    """Draw lines over a common x axis, with a ring around the last one's point at `best`, if it has one there.

    Args:
        shares: whether both axes are shares: then each is drawn from 0 to 1, so that charts can be compared, and y is
            told in percent.
        marked: the word for that point.
    """
    xs = [x for one in series for x, _ in one.points]
    ys = [y for one in series for _, y in one.points]
    x, y = ((0.0, 1.0), (0.0, 1.0)) if shares else (padded(xs, 0), padded(ys, 0.06))
    frame = Frame(left=52, top=30, width=392, height=206, x=x, y=y)
    parts = [grid(frame, x_label, percent_y=shares, whole_x=not shares and all(x == round(x) for x in xs))]
    parts += [_line(frame, one, shares) for one in series]
    names = [(one.name, one.css) for one in series]
    if best is not None and (value := dict(series[-1].points).get(best)) is not None:
        across, down = frame.at(best, value)
        parts.append(tag("circle", cx=across, cy=down, r=6, class_=f"line {series[-1].css}"))
        names[-1] = (
            f"{names[-1][0]}, {marked} at {x_label} {best:.4g}: {_number(value, shares, exact=True)}",
            names[-1][1],
        )
    return svg(460, 280, f"{y_label} over {x_label}", [*parts, legend(names, 52)])


def scatter(
    x: Sequence[float], y: Sequence[float], names: tuple[str, str], unit: str, reach: float | None = None
) -> Markup:
    """Draw y over x on equal axes, with the line of equality and, dashed, lines `reach` above and below it."""
    low, high = padded([*x, *y], 0.04)
    frame = Frame(left=52, top=12, width=392, height=300, x=(low, high), y=(low, high))
    parts = [grid(frame, f"{names[0]}{unit}")]
    for shift in (0.0,) if reach is None else (0.0, reach, -reach):
        first, last = max(low, low - shift), min(high, high - shift)
        (x1, y1), (x2, y2) = frame.at(first, first + shift), frame.at(last, last + shift)
        dashes = {"class_": "axis", "stroke_dasharray": "4 4"} if shift else {"class_": "ideal"}
        parts.append(tag("line", x1=x1, y1=y1, x2=x2, y2=y2, **dashes))
    for one, other in zip(x, y, strict=True):
        parts.append(dot(frame, one, other, "a", f"{names[0]} {one:.4g}, {names[1]} {other:.4g}"))
    return svg(460, 356, f"{names[1].capitalize()} over {names[0]}", parts)


def histogram(values: Sequence[float], title: str, x_label: str) -> Markup:
    """Draw how many pictures have values in each of some ranges."""
    counts, edges = np.histogram(values, bins=min(30, max(5, int(len(values) ** 0.5))))
    x = (float(edges[0]), float(edges[-1]))
    frame = Frame(left=52, top=12, width=392, height=300, x=x, y=(0.0, float(counts.max()) * 1.05))
    parts = [grid(frame, x_label)]
    for count, left, right in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        (x1, top), (x2, foot) = frame.at(left, count), frame.at(right, 0)
        told = tag("title", f"{many(count, 'picture')} from {left:.3g} to {right:.3g}")
        bar = tag("rect", told, x=x1 + 0.5, y=top, width=max(1.0, x2 - x1 - 1), height=foot - top, class_="bar")
        parts.append(bar)
    return svg(460, 356, title, parts)


def standalone(drawing: Markup, style: str = _STYLE) -> str:
    """Return a drawing as a standalone SVG file with its own colours, by default those of charts."""
    start, rest = drawing.split(">", 1)
    return f'{start} xmlns="http://www.w3.org/2000/svg"><style>{style}</style>{_PAPER}{rest}'


def shorten(name: str, letters: int = _LABEL_LETTERS) -> str:
    """Shorten a long name in the middle, since similar names differ most at their ends."""
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


def grid(
    frame: Frame, x_label: str, *, percent_y: bool = False, percent_x: bool = False, whole_x: bool = False
) -> Markup:
    parts = []
    foot = frame.top + frame.height
    for value in nice_steps(*frame.y):
        y = frame.at(frame.x[0], value)[1]
        parts.append(tag("line", x1=frame.left, y1=y, x2=frame.left + frame.width, y2=y, class_="grid"))
        parts.append(text(frame.left - 6, y + 4, _number(value, percent_y), "end"))
    for value in nice_steps(*frame.x):
        if whole_x and value != round(value):
            continue
        x = frame.at(value, frame.y[0])[0]
        parts.append(text(x, foot + 16, _number(value, percent_x), "middle"))
    parts.append(tag("line", x1=frame.left, y1=foot, x2=frame.left + frame.width, y2=foot, class_="axis"))
    parts.append(text(frame.left + frame.width / 2, foot + 34, x_label, "middle", "label"))
    return Markup("").join(parts)


def _line(frame: Frame, one: Series, percent: bool) -> Markup:
    dots = [
        dot(frame, x, y, one.css, f"{one.name} at {_number(x, False)}: {_number(y, percent, exact=True)}")
        for x, y in one.points
    ]
    return Markup("").join([path(frame, one.points, one.css), *(dots if len(dots) <= 120 else [])])


def path(frame: Frame, points: Sequence[tuple[float, float]], css: str) -> Markup:
    places = " ".join("{:.1f},{:.1f}".format(*frame.at(x, y)) for x, y in points)
    return tag("polyline", points=places, class_=f"line {css}")


def dot(frame: Frame, x: float, y: float, css: str, title: str) -> Markup:
    across, down = frame.at(x, y)
    return tag("circle", tag("title", title), cx=across, cy=down, r=2.2, class_=f"dot {css}")


def legend(entries: Sequence[tuple[str, str]], left: float) -> Markup:
    parts, x = [], left
    for name, css in entries:
        parts.append(tag("rect", x=x, y=9, width=12, height=4, rx=2, class_=f"key {css}"))
        parts.append(text(x + 17, 15, name, "start"))
        x += 34 + len(name) * LETTER
    return Markup("").join(parts)


def padded(values: Sequence[float], pad: float, high: float | None = None) -> tuple[float, float]:
    low, top = min(values), max(values)
    if top - low < 1e-9:
        low, top = low - 0.5 * (abs(low) or 1), top + 0.5 * (abs(top) or 1)
    room = pad * (top - low)
    return low - room, top + room if high is None else max(high, *values)


def _number(value: float, percent: bool, *, exact: bool = False) -> str:
    if percent:
        return f"{value:.2%}" if exact else f"{value * 100:.4g}%"
    return f"{value:.4g}" if exact else f"{value:g}"


def text(
    x: float, y: float, words: str, anchor: str, css: str = "", *, turn: float = 0, font_size: float | None = None
) -> Markup:
    extra = {"transform": f"rotate({turn:g} {x:.1f} {y:.1f})"} if turn else {}
    if font_size is not None:
        extra["font_size"] = f"{font_size:.1f}"
    return tag("text", words, x=x, y=y, text_anchor=anchor, class_=css, **extra)


def tag(name: str, *children: str | Markup, **attributes: str | float) -> Markup:
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


def svg(width: float, height: float, title: str, parts: Sequence[Markup], *, grow: bool = True) -> Markup:
    # a chart may grow to its column; a matrix may shrink as long as its numbers can be read, then its box scrolls
    style = (
        f"max-width:{width * 1.2:.0f}px"
        if grow
        else f"width:{width:.0f}px;max-width:100%;min-width:{width * 0.85:.0f}px"
    )
    return tag(
        "svg",
        tag("title", title),
        *parts,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        style=style,
    )
