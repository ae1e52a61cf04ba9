"""Drawings of an answer beside its picture: one renderer here, and one in the service's page, for every kind."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from markupsafe import Markup
from PIL import Image

from sightsmith.core.drawing import Outline, Row, colour_of, outlined, rows_below, rows_over
from sightsmith.core.images import Picture, decode

_SMALLEST = 320  # Longest side of a picture with boxes, in pixels, at the least


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One thing to draw."""

    shape: Literal["bar", "text", "box"]  # a name, a bar and a number; a name and words; a box over the picture
    name: str
    text: str  # the number or the words
    share: float | None = None  # length of the bar in 0…1; None for text
    mark: float | None = None  # place of a tick on the bar in 0…1, such as a threshold
    on: bool | None = None  # whether it belongs to the answer; None if it always does
    box: tuple[float, ...] | None = None  # (left, top, right, bottom) of a box, in pixels of the upright picture
    index: int = 0  # number of the name, which chooses the colour of a box

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def draw(picture: Picture, shapes: Sequence[Shape], *, most: int | None = None) -> Image.Image:
    """Return the picture, upright, with boxes over it, the first on top, and other shapes in rows below it.

    A box that does not belong to the answer has a thin line and no name. A picture with boxes is enlarged to at least
    320 pixels, so that their names can be read.

    Args:
        most: the longest side of what is drawn, in pixels; None for that of the picture.
    """
    rows = _rows(shapes)
    image = decode(picture).convert("RGB")
    placed = [(shape, shape.box) for shape in shapes if shape.box is not None]
    if placed or most is not None:
        longest = max(image.size)
        scale = max(longest, _SMALLEST) / longest if most is None else most / longest
        size = tuple(max(1, round(side * scale)) for side in image.size)
        image = image.resize((size[0], size[1]), Image.Resampling.LANCZOS) if size != image.size else image
        image = outlined(image, [_outline(shape, box, scale) for shape, box in placed])
    return rows_below(image, rows) if rows else image


def draw_over(image: Image.Image, shapes: Sequence[Shape], scale: int = 1) -> Image.Image:
    """Return an RGB picture, such as a frame of a video, enlarged `scale` times, with all shapes over it."""
    if scale > 1:
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    outlines = [_outline(shape, shape.box, scale) for shape in shapes if shape.box is not None]
    rows = _rows(shapes)
    image = outlined(image, outlines) if outlines else image
    return rows_over(image, rows) if rows else image


def _rows(shapes: Sequence[Shape]) -> list[Row]:
    return [
        (shape.name, shape.text, shape.share, shape.mark, shape.on is not False)
        for shape in shapes
        if shape.box is None
    ]


def _outline(shape: Shape, box: tuple[float, ...], scale: float) -> Outline:
    bold = shape.on is not False
    return Outline(
        box=tuple(edge * scale for edge in box),
        text=f"{shape.name} {shape.text}".strip() if bold else "",
        colour=colour_of(shape.index),
        bold=bold,
    )


_BAR = Markup('<div style="background:#e9ecef;width:160px"><div style="background:{};width:{:.0%}">&nbsp;</div></div>')


def to_html(shapes: Sequence[Shape]) -> str:
    """Return the shapes as a table for a notebook; pale bars do not belong to the answer."""
    rows = [
        Markup("<tr><th>{}</th><td>{}</td><td>{}</td></tr>").format(
            shape.name,
            "" if shape.share is None else _BAR.format("#98a2b3" if shape.on is False else "#2f6fed", shape.share),
            shape.text,
        )
        for shape in shapes
    ]
    return str(Markup("<table>{}</table>").format(Markup("").join(rows)))
