"""One picture: decoded, upright, fitted to the net's input as uint8.

Shapes: H W C height, width and channels (1 grey, 3 RGB) of the input.
"""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.images import Picture, decode, picture_size, sniff
from sightsmith.core.placement import MAX_PIXELS, UNBOUNDED, Bounds, Box, Placement
from sightsmith.core.ports import Port
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.inputs.parts.random_part import random_box
from sightsmith.inputs.parts.survey import Survey, Wanted, spread

Item = Picture
Settings = Preprocessing
NOUNS = ("picture", "pictures")
PIXELS = VARIED = "pixels"  # Name of the one array, (H, W, C) uint8

_MAX_BYTES = 1_000_000
_MAX_SIDE = 1024


def ports(settings: Settings) -> dict[str, Port]:
    return {PIXELS: Port("uint8", settings.shape)}


def feeds(item: Item, settings: Settings, bounds: Bounds = UNBOUNDED) -> dict[str, NDArray[Any]]:
    """Return the pixels, (H, W, C) uint8. Raises PictureError: the picture cannot be decoded within the bounds."""
    return {PIXELS: settings.apply(item, max_pixels=bounds.max_pixels, seconds=bounds.seconds)}


def drawn(item: Item, settings: Settings, rng: np.random.Generator, share: float) -> dict[str, NDArray[Any]]:
    """Return the pixels, as `feeds`, of a random part of the picture.

    Args:
        share: least share of the picture's area in the part, in (0, 1]; with 1 it is the part that `feeds` shows.

    Raises PictureError: the picture cannot be decoded.
    """
    if share == 1:
        return feeds(item, settings)
    area = rng.uniform(share, 1.0)
    # Decoded no larger than needed: the crop varies more than the resize filter does
    image = settings.open(item, share=area**0.5, spare=1.0)
    aspect = image.width / image.height if settings.resize == "squash" else settings.width / settings.height
    return {PIXELS: settings.cut(image, random_box(image.width, image.height, aspect, area, rng))}


def face(item: Item, *, near: int | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Return the picture itself, as `core.images.decode`."""
    return decode(item, near=near, max_pixels=max_pixels)


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


def encode(item: Item) -> bytes:
    """Return a picture as bytes to store: unchanged if already encoded and under 1 MB, else as a small PNG."""
    item = Path(item).read_bytes() if isinstance(item, (str, Path)) else item
    if isinstance(item, bytes) and len(item) <= _MAX_BYTES:
        return item
    image = decode(item)
    image.thumbnail((_MAX_SIDE, _MAX_SIDE))
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(buffer, "PNG")
    return buffer.getvalue()


def suffix(encoded: bytes) -> str:
    """Return the file extension of an encoded picture."""
    found = sniff(encoded)
    return found[0] if found else ".tif"


def describe(settings: Settings) -> str:
    size = f"{settings.width}×{settings.height}"
    contrast = ", contrast of each picture normalised" if settings.contrast == "picture" else ""
    return f"{size} {settings.colour}, resized by {settings.resize}, {settings.interpolation}{contrast}"


def facts(settings: Settings) -> dict[str, int | str]:
    return {name: getattr(settings, name) for name in ("height", "width", "channels", "resize")}


def survey(items: Sequence[Item]) -> Survey:
    sample = [items[position] for position in spread(len(items))]
    return Survey(
        count=len(items),
        side=int(np.median([min(picture_size(item)) for item in sample])),
        grey=all(_is_grey(item) for item in sample),
        in_memory=all(isinstance(item, np.ndarray) for item in sample),
    )


def choose(wanted: Wanted, items: Sequence[Item]) -> Settings:
    """Return settings for `wanted`, with the mean and std of the initial weights, else of a sample of the pictures."""
    channels = 1 if wanted.colour == "grey" else 3
    like, half, quarter = wanted.like, (0.5,) * channels, (0.25,) * channels
    made = Settings(
        height=wanted.side,
        width=wanted.side,
        resize=wanted.resize,
        colour=wanted.colour,
        contrast=wanted.contrast,
        mean=half,
        std=quarter,
    )
    if like is None:
        mean, std = mean_and_std(items, made)
        return replace(made, mean=mean, std=std)
    return replace(
        made,
        mean=_for_channels(like.mean, channels),
        std=_for_channels(like.std, channels),
        crop_fraction=like.crop_fraction,
        interpolation=like.interpolation,
    )


def example(rng: np.random.Generator) -> list[Item]:
    """Return pictures of three sizes: grey, in colour, and an encoded one."""
    colour = rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)
    return [rng.integers(0, 256, (16, 16), dtype=np.uint8), colour, encode(colour[:18])]


def mean_and_std(items: Sequence[Item], settings: Settings) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation of each channel over a sample of the pictures, in 0…1.

    Rounded to 4 digits; a deviation is at least 0.02, so that one-colour pictures give no division by zero.
    """
    sums, squares, count = np.zeros(settings.channels), np.zeros(settings.channels), 0
    for position in spread(len(items)):
        pixels_NC = settings.apply(items[position]).reshape(-1, settings.channels) / 255
        sums, squares, count = sums + pixels_NC.sum(0), squares + (pixels_NC**2).sum(0), count + len(pixels_NC)
    mean_C = sums / count
    std_C = np.sqrt(np.maximum(squares / count - mean_C**2, 0.02**2))
    return tuple(mean_C.round(4).tolist()), tuple(std_C.round(4).tolist())


def _for_channels(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """Return one value per channel; a net adapted to grey sums its colour filters, so it gets their mean."""
    return values if len(values) == channels else (sum(values) / len(values),) * channels


def _is_grey(picture: Picture) -> bool:
    pixels_HW3 = np.asarray(decode(picture, near=64).convert("RGB"))
    return bool((pixels_HW3 == pixels_HW3[..., :1]).all())
