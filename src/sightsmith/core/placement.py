"""The part of an item that a net's input shows, and the limits of reading the item."""

import math
from dataclasses import dataclass

MAX_PIXELS = 50_000_000  # Bound on width × height of a picture, checked before its pixels are decoded
MAX_SIDE = 65_535  # Bound on the width and on the height of a picture, the limit of JPEG
Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels of the upright original; may reach outside it (letterbox)."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Which part of an upright original a net's input shows."""

    size: tuple[int, int]  # (width, height) of the original in pixels
    box: Box  # that part, in the original's pixels


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of reading one item."""

    max_pixels: int = MAX_PIXELS  # bound on width × height of a picture, checked before its pixels are decoded
    seconds: float = math.inf  # bound on the time that decoding may take
    memory: float = math.inf  # bound on the bytes that this process may take for a clip meanwhile; on Linux


UNBOUNDED = Bounds()  # The bounds of a picture that its owner reads: no time limit
