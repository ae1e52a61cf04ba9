"""Choices about pictures that several inputs share: settings for their pixels, and random parts of them.

Papers: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, arXiv:1409.4842 (crops of random area and aspect).
Shapes: N pixels, H W C height, width and channels (1 grey, 3 RGB) of the input.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.images import Picture, decode
from sightsmith.core.placement import Box
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.inputs.parts.survey import Wanted, spread

CACHE_SPARE = 1.25
"""Pictures kept in memory are this many times larger than the input, so that random crops keep some detail."""
CROP_SPARE = 1.0  # A random part is decoded no larger than needed: it varies more than the resize filter does

_ASPECTS = (3 / 4, 4 / 3)  # Least and greatest width : height of a random part, relative to the input's own
_TRIES = 10


def describe_pixels(settings: Preprocessing) -> str:
    """Return the settings of pixels in words."""
    size = f"{settings.width}×{settings.height}"
    contrast = ", contrast of each picture normalised" if settings.contrast == "picture" else ""
    return f"{size} {settings.colour}, resized by {settings.resize}, {settings.interpolation}{contrast}"


def choose_pixels(wanted: Wanted, pictures: Sequence[Picture]) -> Preprocessing:
    """Return settings for `wanted`, with the mean and std of the initial weights, else of a sample of the pictures."""
    channels = 1 if wanted.colour == "grey" else 3
    like, half, quarter = wanted.like, (0.5,) * channels, (0.25,) * channels
    made = Preprocessing(
        height=wanted.side,
        width=wanted.side,
        resize=wanted.resize,
        colour=wanted.colour,
        contrast=wanted.contrast,
        mean=half,
        std=quarter,
    )
    if like is None:
        mean, std = mean_and_std(pictures, made)
        return replace(made, mean=mean, std=std)
    return replace(
        made,
        mean=_for_channels(like.mean, channels),
        std=_for_channels(like.std, channels),
        crop_fraction=like.crop_fraction,
        interpolation=like.interpolation,
    )


def mean_and_std(pictures: Sequence[Picture], settings: Preprocessing) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation of each channel over a sample of the pictures, in 0…1.

    Rounded to 4 digits; a deviation is at least 0.02, so that one-colour pictures give no division by zero.
    """
    sums, squares, count = np.zeros(settings.channels), np.zeros(settings.channels), 0
    for position in spread(len(pictures)):
        pixels_NC = settings.apply(pictures[position]).reshape(-1, settings.channels) / 255
        sums, squares, count = sums + pixels_NC.sum(0), squares + (pixels_NC**2).sum(0), count + len(pixels_NC)
    mean_C = sums / count
    std_C = np.sqrt(np.maximum(squares / count - mean_C**2, 0.02**2))
    return tuple(mean_C.round(4).tolist()), tuple(std_C.round(4).tolist())


def is_grey(picture: Picture) -> bool:
    pixels_HW3 = np.asarray(decode(picture, near=64).convert("RGB"))
    return bool((pixels_HW3 == pixels_HW3[..., :1]).all())


def random_box(width: int, height: int, aspect: float, area: float, rng: np.random.Generator) -> Box:
    """Choose a part of a picture to show: of a given area, random aspect, anywhere inside, at least a pixel each way.

    Args:
        aspect: width : height of the input that the part will be resized to.
        area: of the part, as a share of the picture's, in (0, 1].
    """
    low, high = map(math.log, _ASPECTS)
    aspects = aspect * np.exp(rng.uniform(low, high, _TRIES))
    across, down = np.sqrt(area * width * height * aspects), np.sqrt(area * width * height / aspects)
    fits = np.flatnonzero((across <= width) & (down <= height))
    if fits.size:
        box_width, box_height = float(across[fits[0]]), float(down[fits[0]])
    else:  # a long thin picture: the largest part of the wanted aspect
        box_width, box_height = min(width, height * aspect), min(height, width / aspect)
    box_width, box_height = max(1.0, box_width), max(1.0, box_height)
    left, top = rng.uniform(0, width - box_width), rng.uniform(0, height - box_height)
    return left, top, left + box_width, top + box_height


def part_to_show(image: Image.Image, settings: Preprocessing, area: float, rng: np.random.Generator) -> Box:
    """Choose a part of an opened picture, of a given share of its area, that the input may show."""
    aspect = image.width / image.height if settings.resize == "squash" else settings.width / settings.height
    return random_box(image.width, image.height, aspect, area, rng)


def reduce_pixels(picture: Picture, size: tuple[int, int], settings: Preprocessing) -> NDArray[np.uint8]:
    """Decode a picture of a size (width, height) at the size at which training keeps it in memory: (H, W[, C])."""
    image = settings.open(picture, share=1 / CACHE_SPARE)
    resized = image.resize(reduced_size(size, settings), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.array(resized)  # writable, as torch wants it


def reduced_size(size: tuple[int, int], settings: Preprocessing) -> tuple[int, int]:
    """Return (width, height) at which a picture is kept in memory: enough for the input, never more than it has."""
    width, height = size
    scale = max(settings.width / width, settings.height / height)
    scale = min(1.0, scale * CACHE_SPARE / settings.crop_fraction)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _for_channels(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """Return one value per channel; a net adapted to grey sums its colour filters, so it gets their mean."""
    return values if len(values) == channels else (sum(values) / len(values),) * channels
