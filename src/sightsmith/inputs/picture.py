"""One picture: decoded, upright, fitted to the net's input as uint8.

Shapes: H W C height, width and channels (1 grey, 3 RGB) of the input.
"""

import hashlib
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.images import Picture, decode, picture_size, read_header, sniff
from sightsmith.core.placement import MAX_PIXELS, UNBOUNDED, Bounds, Box, Placement
from sightsmith.core.ports import Arrays, Port
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.inputs.parts.look import Look, content_of
from sightsmith.inputs.parts.pixels import (
    CROP_SPARE,
    choose_pixels,
    describe_pixels,
    is_grey,
    part_to_show,
    reduce_pixels,
    reduced_size,
)
from sightsmith.inputs.parts.survey import Survey, Wanted, spread

Item = Picture
Settings = Preprocessing
NOUNS = ("picture", "pictures")
RATE = "img/s"  # Unit of the speed of training; else the items' own noun
PIXELS = VARIED = "pixels"  # Name of the one array, (H, W, C) uint8

_MAX_BYTES = 1_000_000
_MAX_SIDE = 1024


def ports(settings: Settings) -> dict[str, Port]:
    return {PIXELS: Port("uint8", settings.shape)}


def feeds(item: Item, settings: Settings, bounds: Bounds = UNBOUNDED) -> Arrays:
    """Return the pixels, (H, W, C) uint8. Raises PictureError: the picture cannot be decoded within the bounds."""
    return {PIXELS: settings.apply(item, max_pixels=bounds.max_pixels, seconds=bounds.seconds)}


def drawn(item: Item, settings: Settings, rng: np.random.Generator, share: float) -> Arrays:
    """Return the pixels of a random part of `share`…1 of the picture's area, for training; with 1 as `feeds`."""
    if share == 1:
        return feeds(item, settings)
    area = rng.uniform(share, 1.0)
    image = settings.open(item, share=area**0.5, spare=CROP_SPARE)
    return {PIXELS: settings.cut(image, part_to_show(image, settings, area, rng))}


def reduced(item: Item, settings: Settings) -> NDArray[np.uint8]:
    """Return the picture decoded at the size that training keeps in memory, (H, W) or (H, W, C)."""
    return reduce_pixels(item, picture_size(item), settings)


def reduced_bytes(item: Item, settings: Settings) -> int:
    """Return the size of `reduced` in memory; only the header is read."""
    return math.prod(reduced_size(picture_size(item), settings)) * settings.channels


def face(item: Item, near: int | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Return the picture, upright; `near` and the errors are those of `decode`."""
    return decode(item, near=near, max_pixels=max_pixels)


def digest(item: Item) -> bytes:
    """Return the SHA-256 (32 bytes) of a picture's content. Raises OSError: the file cannot be read."""
    return hashlib.sha256(content_of(item)).digest()


def look(item: Item, near: int, max_pixels: int) -> Look:
    """Decode a picture once, and return what the check of data wants to know; its face as `face`.

    Raises:
        PictureError: it cannot be decoded, or has more pixels than allowed.
        OSError: the file cannot be read.
    """
    content = content_of(item)
    encoded = content if isinstance(item, (str, bytes, Path)) else item
    return Look(
        header=read_header(encoded),
        digest=hashlib.sha256(content).digest(),
        size=len(encoded) if isinstance(encoded, bytes) else 0,
        face=decode(encoded, near=near, max_pixels=max_pixels),
    )


def placement(item: Item, settings: Settings) -> Placement:
    """Return which part of the upright original the input shows; reads the header alone."""
    size = picture_size(item)
    return Placement(size, settings.box(*size))


def read(item: Item, bounds: Bounds = UNBOUNDED) -> Image.Image:
    """Return the upright picture, decoded, for `crop`. Raises PictureError: it cannot be decoded within the bounds."""
    return decode(item, max_pixels=bounds.max_pixels, seconds=bounds.seconds)


def crop(image: Image.Image, window: Box) -> Image.Image:
    """Return the part of a decoded picture between whole pixels."""
    left, top, right, bottom = map(round, window)
    return image.crop((left, top, right, bottom))


def encode(item: Item, settings: Settings) -> bytes:  # noqa: ARG001 -- as every input
    """Return a picture as bytes to store: unchanged if already encoded and under 1 MB, else as a small PNG."""
    item = Path(item).read_bytes() if isinstance(item, (str, Path)) else item
    if isinstance(item, bytes) and len(item) <= _MAX_BYTES:
        return item
    return _encoded(item)


def suffix(encoded: bytes) -> str:
    """Return the file extension of an encoded picture."""
    found = sniff(encoded)
    return found[0] if found else ".tif"


def describe(settings: Settings) -> str:
    return describe_pixels(settings)


def facts(settings: Settings) -> dict[str, int | str]:
    return {name: getattr(settings, name) for name in ("height", "width", "channels", "resize")}


def survey(items: Sequence[Item]) -> Survey:
    sample = [items[position] for position in spread(len(items))]
    return Survey(
        count=len(items),
        side=int(np.median([min(picture_size(item)) for item in sample])),
        grey=all(is_grey(item) for item in sample),
        in_memory=all(isinstance(item, np.ndarray) for item in sample),
    )


def choose(wanted: Wanted, items: Sequence[Item]) -> Settings:
    """Return settings for `wanted`, with the mean and std of the initial weights, else of a sample of the pictures."""
    return choose_pixels(wanted, items)


def example(rng: np.random.Generator) -> list[Item]:
    """Return pictures of three sizes: grey, in colour, and an encoded one."""
    colour = rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)
    return [rng.integers(0, 256, (16, 16), dtype=np.uint8), colour, _encoded(colour[:18])]


def _encoded(item: Item) -> bytes:
    image = decode(item)
    image.thumbnail((_MAX_SIDE, _MAX_SIDE))
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(buffer, "PNG")
    return buffer.getvalue()
