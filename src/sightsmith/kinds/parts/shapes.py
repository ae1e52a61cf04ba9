"""Drawings of an answer beside its picture: one renderer here, and one in the service's page, for every kind."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from markupsafe import Markup
from PIL import Image

from sightsmith.core.drawing import rows_below
from sightsmith.core.images import Picture, decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One thing to draw."""

    shape: Literal[
        "bar", "text", "box"
    ]  # `bar`: a name, a bar and a number; `text`: a name and words; `box`: see there
    name: str
    text: str  # the number or the words
    share: float | None = None  # length of the bar in 0…1; None for text
    mark: float | None = None  # place of a tick on the bar in 0…1, such as a threshold
    on: bool | None = None  # whether it belongs to the answer; None if it always does
    box: tuple[float, ...] | None = None  # (left, top, right, bottom) of a box, in pixels of the upright picture
    index: int = 0  # number of the name, which chooses the colour of a box

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def draw(picture: Picture, shapes: Sequence[Shape]) -> Image.Image:
    """Return the picture, upright, with the shapes in rows below it."""
    rows = [(shape.name, shape.text, shape.share, shape.mark, shape.on is not False) for shape in shapes]
    return rows_below(decode(picture).convert("RGB"), rows)


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
