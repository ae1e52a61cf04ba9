"""Where the pixels of a batch come from: memory, a cache, or files decoded as they are needed.

Each kind answers `fetch(positions, epoch)`; what it returns is a function of (seed, epoch, position) alone, so it
may run in this process or in workers, in any order, and again after a crash.

Shapes: N pictures, B of them in a batch, H height, W width, C channels; pixels are uint8.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.errors import SettingsError
from sightsmith.core.images import Picture, picture_size
from sightsmith.core.machine import free_memory
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.core.progress import track
from sightsmith.data.augment import Augmentation, apply_policy, policy, random_box
from sightsmith.data.picture_index import PictureIndex

Pixels = NDArray[np.uint8]

_CACHE_SPARE = 1.25
"""Pictures in the cache are this many times larger than the input, so that random crops keep some detail."""
CROP_SPARE = 1.0
"""A random crop is decoded no larger than needed: it varies more than the filter of the resize does."""
_MEMORY_SHARE = 0.5
"""Share of the free memory that pictures kept in it may take."""


class Fetcher(Protocol):
    """Gives the pixels of pictures by their position in the training set."""

    in_memory: bool
    """Whether fetching is only copying, so that workers would not make it faster."""

    def fetch(self, positions: Sequence[int] | NDArray[np.int64], epoch: int) -> Pixels:
        """Return (B, H, W, C) pixels of the pictures at these positions."""
        ...


class InMemory:
    """Pictures as they go into the net, all in memory: a batch is one indexing operation."""

    in_memory = True

    def __init__(self, pixels_NHWC: Pixels) -> None:
        self.pixels_NHWC = pixels_NHWC

    def fetch(self, positions: Sequence[int] | NDArray[np.int64], epoch: int) -> Pixels:  # noqa: ARG002
        """Return the pictures at these positions, the same in each epoch."""
        return self.pixels_NHWC[np.asarray(positions)]


class Decoding:
    """Pictures opened one by one: from a file at the least scale that will do, from memory, or from a cache."""

    in_memory = False

    def __init__(
        self, pictures: "PictureIndex | RamCache", preprocessing: Preprocessing, vary: Augmentation, seed: int
    ) -> None:
        self._pictures = pictures
        self._preprocessing = preprocessing
        self._vary = vary
        self._seed = seed
        self._policy = policy(vary.policy)

    def fetch(self, positions: Sequence[int] | NDArray[np.int64], epoch: int) -> Pixels:
        """Return the pictures at these positions, varied by draws of (seed, epoch, position).

        Raises:
            PictureError: one cannot be decoded.
        """
        return np.stack([self._one(int(position), epoch) for position in positions])

    def _one(self, position: int, epoch: int) -> Pixels:
        if not self._vary.per_picture:
            return self._preprocessing.apply(self._pictures[position])
        rng = np.random.default_rng((self._seed, epoch, position))
        pixels_HWC = self._random_part(position, rng) if self._vary.crop_share < 1 else None
        if pixels_HWC is None:
            pixels_HWC = self._preprocessing.apply(self._pictures[position])
        if self._policy is not None:
            pixels_HWC = apply_policy(self._policy, pixels_HWC, int(rng.integers(2**63)))
        return pixels_HWC

    def _random_part(self, position: int, rng: np.random.Generator) -> Pixels:
        area = rng.uniform(self._vary.crop_share, 1.0)
        image = self._preprocessing.open(self._pictures[position], share=area**0.5, spare=CROP_SPARE)
        wide, high = self._preprocessing.width, self._preprocessing.height
        aspect = image.width / image.height if self._preprocessing.resize == "squash" else wide / high
        return self._preprocessing.cut(image, random_box(image.width, image.height, aspect, area, rng))


class RamCache:
    """Decoded pictures, a little larger than the input, in one block of memory that forked workers share.

    Args:
        pictures: the pictures.
        preprocessing: the input they are for.
        room: bytes that may be taken; half of the free memory where None.
        quiet: show no progress.

    Raises:
        SettingsError: they do not fit.
        PictureError: one cannot be decoded.
    """

    def __init__(
        self, pictures: PictureIndex, preprocessing: Preprocessing, *, room: int | None = None, quiet: bool = False
    ) -> None:
        self._mode = "L" if preprocessing.colour == "grey" else "RGB"
        sizes = [_cached_size(picture_size(pictures[i]), preprocessing) for i in range(len(pictures))]
        self._sizes_N2 = np.array(sizes, dtype=np.int32)
        self._ends = np.concatenate(
            [[0], np.cumsum(self._sizes_N2.astype(np.int64).prod(axis=1) * preprocessing.channels)]
        )
        _check_room(int(self._ends[-1]), len(pictures), room)
        self._block = np.empty(int(self._ends[-1]), dtype=np.uint8)
        for position in track(range(len(pictures)), "Filling the cache", quiet=quiet):
            image = preprocessing.open(pictures[position], share=1 / _CACHE_SPARE)
            small = image.resize(sizes[position], Image.Resampling.BICUBIC, reducing_gap=3.0)
            self._block[self._ends[position] : self._ends[position + 1]] = np.asarray(small).reshape(-1)

    def __len__(self) -> int:
        return len(self._sizes_N2)

    def __getitem__(self, position: int) -> Picture:
        """Return one picture as an image that looks into the block."""
        width, height = self._sizes_N2[position]
        flat = self._block[self._ends[position] : self._ends[position + 1]]
        pixels = flat.reshape((height, width) if self._mode == "L" else (height, width, 3))
        return Image.fromarray(pixels)


def load_all(
    pictures: PictureIndex, preprocessing: Preprocessing, *, room: int | None = None, quiet: bool = False
) -> Pixels:
    """Turn every picture into the input of the net, in memory.

    Args:
        pictures: the pictures.
        preprocessing: the input.
        room: bytes that may be taken; half of the free memory where None.
        quiet: show no progress.

    Returns:
        (N, H, W, C) uint8.

    Raises:
        SettingsError: they do not fit.
        PictureError: one cannot be decoded.
    """
    shape = (len(pictures), *preprocessing.shape)
    _check_room(int(np.prod(shape, dtype=np.int64)), len(pictures), room)
    pixels_NHWC = np.empty(shape, dtype=np.uint8)
    for position in track(range(len(pictures)), "Preparing pictures", quiet=quiet):
        pixels_NHWC[position] = preprocessing.apply(pictures[position])
    return pixels_NHWC


def fits_in_memory(count: int, preprocessing: Preprocessing) -> bool:
    """Tell whether so many inputs may be kept in memory."""
    return count * int(np.prod(preprocessing.shape)) <= free_memory() * _MEMORY_SHARE


def _cached_size(size: tuple[int, int], preprocessing: Preprocessing) -> tuple[int, int]:
    """Return (width, height) to keep a picture at: enough for the input, never more than it has."""
    width, height = size
    scale = max(preprocessing.width / width, preprocessing.height / height)
    scale = min(1.0, scale * _CACHE_SPARE / preprocessing.crop_fraction)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _check_room(need: int, count: int, room: int | None) -> None:
    room = int(free_memory() * _MEMORY_SHARE) if room is None else room
    if need > room:
        raise SettingsError(
            f"{count:,} pictures take {need / 2**30:,.2f} GiB of memory, and {room / 2**30:,.2f} GiB may be used "
            "(half of what is free). Leave out --cache ram, or make the input smaller with --size."
        )
