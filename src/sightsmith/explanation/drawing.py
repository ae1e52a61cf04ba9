"""Drawing a reason as SVG: the path through a tree or a list of rules, or the nearest training pictures.

The ground is white and every colour is set, so that the drawing is the same in a dark viewer.
"""

import unicodedata
from collections.abc import Iterable, Sequence

from markupsafe import Markup
from PIL import Image

from sightsmith.core.pages import data_uri, is_small
from sightsmith.kinds.parts.charts import shorten, standalone, svg, tag, text
from sightsmith.nets.parts.reason import Neighbour, Reason, Step

_STYLE = (
    "text { font: 13px sans-serif; fill: #212529 } .strong { font-weight: bold } .small { font-size: 11px } "
    ".pale { fill: #667085 } .light { fill: #ffffff } .box { fill: #f4f6fa; stroke: #98a2b3 } "
    ".answer { fill: #1d4ed8 } .unasked { fill: #ffffff; stroke: #98a2b3; stroke-dasharray: 4 4 } "
    ".taken { stroke: #1d4ed8; stroke-width: 3; fill: none } .left-out { stroke: #98a2b3; stroke-dasharray: 4 4 } "
    ".asked { fill: none; stroke: #1d4ed8; stroke-width: 3 } .word { fill: #1d4ed8; font-weight: bold }"
)
_EDGE, _LINE, _PAD = 16, 18, 10  # of the drawing, of a line of text, inside a box; in pixels
_BOX, _GAP, _BRANCH, _SIDE = 420, 34, 70, 230  # widths of a box, a gap below it, a branch and the text at its end
_LETTERS, _SMALL_LETTERS = 58, 122  # that fit into a box, and into the whole width in small print
_SIDE_LETTERS = 30
_PICTURE = 72  # side of the picture above a path
_TILE, _TILE_GAP, _IN_ROW = 132, 14, 6  # of the strip
_STORED = 264  # longest side of a stored picture


class Drawing(str):
    """A whole SVG file as text; a notebook shows it."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)


def draw_path(reason: Reason, picture: Image.Image) -> Drawing:
    """Draw the questions that a picture went through, one below the other, down to its answer."""
    parts, top = [_picture(picture, _EDGE, _EDGE, _PICTURE)], float(_EDGE + _PICTURE)
    parts.append(text(_EDGE + _PICTURE + _PAD, _EDGE + _PICTURE / 2, "the picture", "start", "pale"))
    branch = ""
    for step in reason.steps:
        parts.append(_arrow(top, branch))
        drawn, top = _step(step, top + _GAP)
        parts.append(drawn)
        branch = _branch(step.holds)
    parts.append(_arrow(top, branch))
    drawn, top = _box(_wrapped(reason.answer, _LETTERS), top + _GAP, "answer", "light strong")
    parts.append(drawn)
    if reason.rest:
        parts.append(text(_EDGE, top + _LINE + _PAD, "Rules that were not reached:", "start", "pale"))
        top += _LINE + _PAD
    for sentence in reason.rest:
        drawn, top = _box(_wrapped(sentence, _LETTERS), top + _PAD, "unasked", "pale")
        parts.append(drawn)
    for line in (line for note in reason.notes for line in _wrapped(note, _SMALL_LETTERS)):
        top += _LINE
        parts.append(text(_EDGE, top + _PAD, line, "start", "small pale"))
    return _finished(2 * _EDGE + _BOX + _BRANCH + _SIDE, top + _EDGE + _PAD, f"Why {reason.answer}", parts)


def draw_neighbours(
    neighbours: Sequence[Neighbour], pictures: Sequence[Image.Image], asked: Image.Image, answer: str
) -> Drawing:
    """Draw the asked picture and, beside it, its nearest training pictures with class, distance and key."""
    tiles = [_tile(asked, (answer, "the picture"), 0, "asked")]
    for place, (one, picture) in enumerate(zip(neighbours, pictures, strict=True), 1):
        tiles.append(_tile(picture, (one.label, f"distance {one.distance:.3g}", one.key), place))
    rows, columns = -(-len(tiles) // _IN_ROW), min(len(tiles), _IN_ROW)
    width = 2 * _EDGE + columns * _TILE + (columns - 1) * _TILE_GAP
    title = f"{answer}: the picture and the training pictures nearest to it"
    return _finished(width, _EDGE + rows * _row_height(), title, tiles)


def _finished(width: float, height: float, title: str, parts: Iterable[Markup]) -> Drawing:
    return Drawing(standalone(svg(width, height, _clean(title), list(parts)), _STYLE))


def _step(step: Step, top: float) -> tuple[Markup, float]:
    """Return a question's box with the branch that was not taken, and where the box ends."""
    lines = [*_wrapped(f"{step.question}?", _LETTERS), *_wrapped(f"in this picture: {step.values}", _LETTERS)]
    box, foot = _box(lines, top, "box")
    right, middle = _EDGE + _BOX, (top + foot) / 2
    side = _wrapped(step.otherwise, _SIDE_LETTERS)
    first = middle - (len(side) - 1) * _LINE / 2 + 4
    return Markup("").join(
        [
            box,
            tag("line", x1=right, y1=middle, x2=right + _BRANCH, y2=middle, class_="left-out"),
            text(right + _BRANCH / 2, middle - 5, _branch(not step.holds), "middle", "pale"),
            *(text(right + _BRANCH + 8, first + at * _LINE, line, "start", "pale") for at, line in enumerate(side)),
        ]
    ), foot


def _branch(holds: bool) -> str:
    return "yes" if holds else "no"


def _box(lines: Sequence[str], top: float, css: str, words: str = "") -> tuple[Markup, float]:
    height = len(lines) * _LINE + 2 * _PAD - 4
    outline = tag("rect", x=_EDGE, y=top, width=_BOX, height=height, rx=6, class_=css)
    written = [
        text(_EDGE + _PAD, top + _PAD + (at + 0.62) * _LINE, line, "start", words) for at, line in enumerate(lines)
    ]
    return Markup("").join([outline, *written]), top + height


def _arrow(top: float, word: str) -> Markup:
    x, foot = _EDGE + _PICTURE / 2, top + _GAP
    line = tag("line", x1=x, y1=top, x2=x, y2=foot - 2, class_="taken")
    head = tag("path", d=f"M {x - 6:g} {foot - 9:g} L {x:g} {foot - 2:g} L {x + 6:g} {foot - 9:g}", class_="taken")
    return Markup("").join([line, head, text(x + 12, top + _GAP / 2 + 4, word, "start", "word")])


def _tile(picture: Image.Image, lines: Sequence[str], place: int, css: str = "") -> Markup:
    left = _EDGE + place % _IN_ROW * (_TILE + _TILE_GAP)
    top = _EDGE + place // _IN_ROW * _row_height()
    parts = [_picture(picture, left, top, _TILE)]
    if css:
        parts.append(tag("rect", x=left - 3, y=top - 3, width=_TILE + 6, height=_TILE + 6, rx=4, class_=css))
    for at, line in enumerate(lines):
        shown = shorten(_clean(line), 16 if at == 0 else 22)
        whole = tag("title", _clean(line))
        y, style = top + _TILE + (at + 1) * _LINE, "strong" if at == 0 else "small pale"
        parts.append(tag("text", whole, shown, x=left, y=y, class_=style))
    return Markup("").join(parts)


def _row_height() -> int:
    return _TILE + 3 * _LINE + _EDGE


def _picture(picture: Image.Image, left: float, top: float, side: float) -> Markup:
    """Embed a picture, whole, in a square; small ones are enlarged without smoothing."""
    stored = picture.convert("RGB")
    stored.thumbnail((_STORED, _STORED))
    style = "image-rendering: pixelated" if is_small(stored) else ""
    return tag("image", href=data_uri(stored), x=left, y=top, width=side, height=side, style=style)


def _wrapped(words: str, letters: int) -> list[str]:
    """Break a text into lines of so many letters, at spaces if there are any; wide letters count twice."""
    lines, line, used = [], "", 0
    for word in _clean(words).split(" "):
        size = _letters(word)
        if line and used + 1 + size > letters:
            lines.append(line)
            line, used = "", 0
        line, used = (f"{line} {word}", used + 1 + size) if line else (word, size)
        while used > letters:
            cut = next(at for at in range(1, len(line)) if _letters(line[: at + 1]) > letters)
            lines.append(line[:cut])
            line = line[cut:]
            used = _letters(line)
    return [*lines, line]


def _letters(word: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in word)


def _clean(words: str) -> str:
    """Return a text without control characters, which an SVG file must not hold."""
    return "".join(letter if unicodedata.category(letter) not in {"Cc", "Cs"} else "�" for letter in words)
