"""A look at the training pictures before anything is chosen: how many, how large, grey or not, how bright."""

from dataclasses import dataclass

import numpy as np

from sightsmith.core.images import Picture, decode, picture_size
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.data.picture_index import PictureIndex

_LOOKED_AT = 256
"""Pictures looked at, evenly spread over the training set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    count: int
    """Training pictures."""
    side: int
    """Median of the pictures' shorter sides, in pixels."""
    grey: bool
    """Whether all pictures looked at are grey."""
    in_memory: bool
    """Whether the pictures are arrays in memory already."""


def survey_pictures(pictures: PictureIndex) -> Survey:
    """Look at a sample of the pictures.

    Raises:
        PictureError: one cannot be decoded.
    """
    looked = [pictures[position] for position in spread(len(pictures))]
    return Survey(
        count=len(pictures),
        side=int(np.median([min(picture_size(picture)) for picture in looked])),
        grey=all(_is_grey(picture) for picture in looked),
        in_memory=pictures.all_arrays,
    )


def spread(count: int, wanted: int = _LOOKED_AT) -> list[int]:
    """Return up to `wanted` positions, evenly spread over 0…count-1."""
    return sorted({int(position) for position in np.linspace(0, count - 1, min(count, wanted))})


def mean_and_std(pictures: PictureIndex, preprocessing: Preprocessing) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation of each channel over a sample of the pictures, in 0…1.

    Rounded to 4 digits; a deviation is at least 0.02, so that pictures of one colour do no harm.
    """
    channels = preprocessing.channels
    sums, squares, count = np.zeros(channels), np.zeros(channels), 0
    for position in spread(len(pictures)):
        pixels = preprocessing.apply(pictures[position]).reshape(-1, channels) / 255
        sums, squares, count = sums + pixels.sum(axis=0), squares + (pixels**2).sum(axis=0), count + len(pixels)
    mean = sums / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0.02**2))
    return _rounded(mean), _rounded(std)


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)


def _is_grey(picture: Picture) -> bool:
    image = decode(picture, near=64)
    if image.mode == "L":
        return True
    red, green, blue = np.moveaxis(np.asarray(image), -1, 0)
    return bool((red == green).all() and (green == blue).all())
