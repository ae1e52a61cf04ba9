"""One picture: decoded, upright, fitted to the net's input as uint8.

Shapes: H W C height, width and channels (1 grey, 3 RGB) of the input.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.images import Picture, decode, picture_size
from sightsmith.core.placement import UNBOUNDED, Bounds, Placement
from sightsmith.core.ports import Port
from sightsmith.core.preprocessing import Preprocessing

Item = Picture
Settings = Preprocessing
PIXELS = "pixels"
"""Name of the one array, (H, W, C) uint8."""

_MAX_BYTES = 1_000_000
_MAX_SIDE = 1024
_SUFFIXES = ((b"\xff\xd8", ".jpg"), (b"\x89PNG", ".png"), (b"RIFF", ".webp"), (b"BM", ".bmp"), (b"P", ".ppm"))


def ports(settings: Settings) -> dict[str, Port]:
    return {PIXELS: Port("uint8", settings.shape)}


def feeds(item: Item, settings: Settings, bounds: Bounds = UNBOUNDED) -> dict[str, NDArray[Any]]:
    """Return the pixels of a picture, (H, W, C) uint8.

    Raises:
        PictureError: the picture cannot be decoded within the bounds.
    """
    return {PIXELS: settings.apply(item, max_pixels=bounds.max_pixels, seconds=bounds.seconds)}


def placement(item: Item, settings: Settings) -> Placement:
    """Return which part of the upright original the input shows; reads the header alone."""
    size = picture_size(item)
    return Placement(size, settings.box(*size))


def encode(item: Item) -> bytes:
    """Return a picture as bytes to store: as it is if it is encoded already and under 1 MB, else as a small PNG."""
    if isinstance(item, (str, Path)):
        item = Path(item).read_bytes()
    if isinstance(item, bytes) and len(item) <= _MAX_BYTES:
        return item
    image = decode(item)
    image.thumbnail((_MAX_SIDE, _MAX_SIDE))
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(buffer, "PNG")
    return buffer.getvalue()


def suffix(encoded: bytes) -> str:
    """Return the ending of the file that an encoded picture is stored in."""
    return next((ending for magic, ending in _SUFFIXES if encoded.startswith(magic)), ".tif")


def describe(settings: Settings) -> str:
    return f"{settings.width}×{settings.height} {settings.colour}, resized by {settings.resize}"
