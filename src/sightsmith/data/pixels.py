"""The origin of a batch's inputs: memory, a cache, or files decoded as they are needed.

Each kind answers `fetch(positions, epoch, mix=…)` with arrays by name, first axis B, and with `targets` if those move
with the pictures (`scenes.py`); its result is a function of (seed, epoch, position, mix) alone, so it may run in this
process or in workers, in any order, and again after a crash.

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
from sightsmith.core.ports import Arrays, stack
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.core.progress import track
from sightsmith.data.augment import Augmentation, apply_policy
from sightsmith.data.picture_index import PictureIndex
from sightsmith.inputs import Reader

TARGETS = "targets"  # Name of the targets among the arrays of a fetcher that moves them with their pictures
Pixels = NDArray[np.uint8]
Positions = Sequence[int] | NDArray[np.int64]

_CACHE_SPARE = 1.25
"""Pictures in the cache are this many times larger than the input, so that random crops keep some detail."""
_MEMORY_SHARE = 0.5  # Share of the free memory that pictures kept in it may take


class InMemory:
    """Inputs all in memory: a batch is one indexing operation."""

    in_memory = True  # Fetching is only copying, so workers would not make it faster

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays

    def fetch(self, positions: Positions, epoch: int, *, mix: bool = True) -> Arrays:  # noqa: ARG002
        """Return the inputs at these positions, the same in each epoch."""
        return {name: array[np.asarray(positions)] for name, array in self._arrays.items()}


class Decoding:
    """Items read one by one, from a file or from memory; files are decoded at the smallest sufficient scale."""

    in_memory = False

    def __init__(self, items: PictureIndex, read: Reader, vary: Augmentation, seed: int) -> None:
        self._items, self._read, self._vary, self._seed = items, read, vary, seed

    def fetch(self, positions: Positions, epoch: int, *, mix: bool = True) -> Arrays:  # noqa: ARG002
        """Return the items at these positions, varied by draws of (seed, epoch, position).

        Raises PictureError: one cannot be decoded.
        """
        if not self._vary.per_picture:
            return stack([self._read.feeds(self._items[int(position)]) for position in positions])
        return stack([self._varied(int(position), epoch) for position in positions])

    def _varied(self, position: int, epoch: int) -> Arrays:
        rng, varied = np.random.default_rng((self._seed, epoch, position)), self._read.file.VARIED
        arrays = self._read.drawn(self._items[position], rng, self._vary.crop_share)
        if self._vary.policy != "none":
            arrays[varied] = apply_policy(self._vary.policy, arrays[varied], int(rng.integers(2**63)))
        return arrays


class RamCache(PictureIndex):
    """Decoded pictures, a little larger than the input, as arrays whose pixels forked workers share.

    Attributes:
        pixels: of each, (H, W, C) or (H, W) uint8, read-only by agreement.
        sizes_N2: (width, height) of each upright original.

    Raises:
        SettingsError: they do not fit.
        PictureError: one cannot be decoded.
    """

    def __init__(self, pictures: PictureIndex, preprocessing: Preprocessing, *, quiet: bool = False) -> None:
        _check_room(_cache_bytes(pictures, preprocessing), len(pictures))
        cached: list[Pixels] = []
        sizes: list[tuple[int, int]] = []
        for position in track(range(len(pictures)), "Filling the cache", quiet=quiet):
            cached.append(reduced(pictures[position], preprocessing))
            sizes.append(picture_size(pictures[position]))
        super().__init__(cached)
        self.pixels = cached
        self.sizes_N2 = np.array(sizes, dtype=np.int64).reshape(-1, 2)


def reduced(picture: Picture, preprocessing: Preprocessing) -> Pixels:
    """Decode a picture at the size that the cache keeps. Raises PictureError: it cannot be decoded."""
    size = _cached_size(picture_size(picture), preprocessing)
    image = preprocessing.open(picture, share=1 / _CACHE_SPARE)
    return np.array(image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0))  # writable, as torch wants it


def fits_in_cache(pictures: PictureIndex, preprocessing: Preprocessing) -> bool:
    """Tell whether the decoded pictures may be kept in memory; their headers are read."""
    return _cache_bytes(pictures, preprocessing) <= _room()


class Fetcher(Protocol):
    """An origin of batches."""

    in_memory: bool  # Fetching is only copying, so workers would not make it faster

    def fetch(self, positions: Positions, epoch: int, *, mix: bool = True) -> Arrays:
        """Return the arrays of these items in an epoch; with `mix`, several may be put together in one picture."""


def load_all(items: PictureIndex, read: Reader, *, quiet: bool = False) -> Arrays:
    """Turn every item into the input of the net, in memory: arrays by name, first axis N.

    Raises:
        SettingsError: they do not fit.
        PictureError: one cannot be decoded.
    """
    _check_room(_bytes(len(items), read), len(items))
    arrays: Arrays = {}
    for position in track(range(len(items)), "Preparing pictures", quiet=quiet):
        for name, array in read.feeds(items[position]).items():
            arrays.setdefault(name, np.empty((len(items), *array.shape), array.dtype))[position] = array
    return arrays


def fits_in_memory(count: int, read: Reader) -> bool:
    """Tell whether so many inputs may be kept in memory."""
    return _bytes(count, read) <= _room()


def _room() -> int:
    return int(free_memory() * _MEMORY_SHARE)


def _bytes(count: int, read: Reader) -> int:
    return count * sum(port.bytes for port in read.ports().values())


def _cache_bytes(pictures: PictureIndex, preprocessing: Preprocessing) -> int:
    sizes = (_cached_size(picture_size(pictures[position]), preprocessing) for position in range(len(pictures)))
    return sum(width * height for width, height in sizes) * preprocessing.channels


def _cached_size(size: tuple[int, int], preprocessing: Preprocessing) -> tuple[int, int]:
    """Return (width, height) to keep a picture at: enough for the input, never more than it has."""
    width, height = size
    scale = max(preprocessing.width / width, preprocessing.height / height)
    scale = min(1.0, scale * _CACHE_SPARE / preprocessing.crop_fraction)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _check_room(need: int, count: int) -> None:
    room = _room()
    if need > room:
        raise SettingsError(
            f"{count:,} pictures take {need / 2**30:,.2f} GiB of memory, and {room / 2**30:,.2f} GiB may be used "
            "(half of the free memory). Leave out --cache ram, or make the input smaller with --size."
        )
