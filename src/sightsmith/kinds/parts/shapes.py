"""What is drawn of an answer beside its picture: one renderer here, and one in the service's page, for every kind."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from PIL import Image

from sightsmith.core.drawing import rows_below
from sightsmith.core.images import Picture, decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One thing to draw."""

    shape: Literal["bar", "text"]  # `bar`: a name, a bar and a number; `text`: a name and words
    name: str  # what it is of
    text: str  # the number or the words
    share: float | None = None  # length of the bar in 0…1; None for text
    mark: float | None = None  # place of a tick on the bar in 0…1, such as a threshold
    on: bool | None = None  # whether it belongs to the answer; None if it always does

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def draw(picture: Picture, shapes: Sequence[Shape]) -> Image.Image:
    """Return the picture, upright, with the shapes in rows below it."""
    rows = [(shape.name, shape.text, shape.share, shape.mark, shape.on is not False) for shape in shapes]
    return rows_below(decode(picture).convert("RGB"), rows)
