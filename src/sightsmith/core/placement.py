"""How an item became a net's input, and the bounds within which it may be read."""

import math
from dataclasses import dataclass

from sightsmith.core.limits import MAX_PIXELS

Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels of the upright original; may reach outside it (letterbox)."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Which part of an upright original a net's input shows.

    Attributes:
        size: (width, height) of the original in pixels.
        box: that part, in the original's pixels.
    """

    size: tuple[int, int]
    box: Box


@dataclass(frozen=True, slots=True)
class Bounds:
    """What reading one item may cost.

    Attributes:
        max_pixels: bound on width × height of a picture, checked before its pixels are decoded.
        seconds: bound on the time that decoding may take.
    """

    max_pixels: int = MAX_PIXELS
    seconds: float = math.inf


UNBOUNDED = Bounds()
"""The bounds of a picture that its owner reads: no time limit."""
