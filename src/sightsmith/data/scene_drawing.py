"""A picture with the places that its truth names, drawn as SVG: sharp at any size, with the names as tooltips."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from PIL import Image

from sightsmith.core.pages import data_uri
from sightsmith.data.problem import Spot
from sightsmith.kinds.parts.shapes import Shape

_LEAST = 0.02  # Side of the smallest frame that is drawn, as a share of the picture's longer side
_BEYOND = 0.5  # How far beyond the picture a drawing may reach, as a share of its sides
_FAULT, _PLAIN, _IGNORED = "fault", "plain", "ignored"


@dataclass(frozen=True, slots=True)
class Frame:
    """One place, in pixels of the upright picture."""

    css: str
    name: str
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Scene:
    """A drawing.

    Attributes:
        uri: of the picture.
        size: (width, height) of the upright picture in pixels.
        view: (left, top, width, height) of the drawing, in the same pixels; larger than the picture if a place reaches
            beyond it.
    """

    uri: str
    size: tuple[int, int]
    view: tuple[float, float, float, float]
    frames: tuple[Frame, ...]

    def emphasised(self, name: str) -> Self:
        """Return the drawing with the places of one name bright, and last, so that no other covers them."""
        frames = [replace(frame, css="named") if frame.name == name else frame for frame in self.frames]
        return replace(self, frames=tuple(sorted(frames, key=lambda frame: frame.css == "named")))


def draw_scene(
    image: Image.Image, size: tuple[int, int], shapes: Sequence[Shape], faults: Sequence[Spot] = ()
) -> Scene:
    """Draw the places of a truth on a picture, faulty ones above them.

    Args:
        image: the picture, of any size.
        size: (width, height) of the upright picture in pixels, in which the places are.
        faults: places that are wrong; they may reach beyond the picture.
    """
    frames = [
        _frame(_IGNORED if shape.on is False else _PLAIN, shape.name, shape.box, size) for shape in shapes if shape.box
    ]
    frames += [_frame(_FAULT, "", spot, size) for spot in faults]
    return Scene(data_uri(image), size, _view(size, faults), tuple(frames))


def _frame(css: str, name: str, edges: Sequence[float], size: tuple[int, int]) -> Frame:
    (left, right), (top, bottom) = sorted(edges[::2]), sorted(edges[1::2])  # the edges of a fault may be swapped
    least = _LEAST * max(size)
    width, height = max(right - left, least), max(bottom - top, least)
    return Frame(css, name, (left + right - width) / 2, (top + bottom - height) / 2, width, height)


def _view(size: tuple[int, int], faults: Sequence[Spot]) -> tuple[float, float, float, float]:
    """Return the part of the plane that shows the picture and the places, within bounds."""
    width, height = size
    left = max(min([0.0, *(spot[0] for spot in faults)]), -_BEYOND * width)
    top = max(min([0.0, *(spot[1] for spot in faults)]), -_BEYOND * height)
    right = min(max([float(width), *(spot[2] for spot in faults)]), (1 + _BEYOND) * width)
    bottom = min(max([float(height), *(spot[3] for spot in faults)]), (1 + _BEYOND) * height)
    return left, top, right - left, bottom - top
