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

from sightsmith.core.errors import SettingsError
from sightsmith.core.machine import free_memory
from sightsmith.core.ports import Arrays, stack
from sightsmith.core.progress import track
from sightsmith.data.augment import Augmentation, apply_policy
from sightsmith.data.picture_index import PictureIndex
from sightsmith.inputs import INPUTS, Reader, items_of

TARGETS = "targets"  # Name of the targets among the arrays of a fetcher that moves them with their pictures
Positions = Sequence[int] | NDArray[np.int64]

_MEMORY_SHARE = 0.5  # Share of the free memory that pictures kept in it may take


class InMemory:
    """Inputs all in memory: a batch is one indexing operation."""

    in_memory = True  # Fetching is only copying, so workers would not make it faster

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays

    def fetch(self, positions: Positions, epoch: int, *, mix: bool = True) -> Arrays:  # noqa: ARG002
        """Return the inputs at these positions, the same in each epoch."""
        return {name: array[np.asarray(positions)] for name, array in self._arrays.items()}


class Views:
    """Several arrays of each item, all in memory, which the epochs show in turn."""

    in_memory = True

    def __init__(self, views: Sequence[Arrays]) -> None:
        self._views = [InMemory(arrays) for arrays in views]

    def fetch(self, positions: Positions, epoch: int, *, mix: bool = True) -> Arrays:
        """Return the arrays of the epoch's view at these positions."""
        return self._views[epoch % len(self._views)].fetch(positions, epoch, mix=mix)


class Decoding:
    """Items read one by one, from a file or from memory; files are decoded at the smallest sufficient scale."""

    in_memory = False

    def __init__(self, items: PictureIndex, read: Reader, vary: Augmentation, seed: int) -> None:
        self._items, self._read, self._vary, self._seed = items, read, vary, seed

    @property
    def cached(self) -> bool:
        """Whether the items are decoded already."""
        return isinstance(self._items, RamCache)

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
    """Decoded items, a little larger than the input, whose pixels forked workers share.

    Attributes:
        items: as the input reduces them, read-only by agreement.
        originals: the items that they were decoded from.

    Raises PictureError: one cannot be decoded.
    """

    def __init__(self, originals: PictureIndex, read: Reader, *, quiet: bool = False) -> None:
        positions = track(range(len(originals)), "Filling the cache", quiet=quiet)
        self.items = [read.file.reduced(originals[position], read.settings) for position in positions]
        self.originals = originals
        super().__init__(self.items)


def fits_in_cache(items: PictureIndex, read: Reader) -> bool:
    """Tell whether the decoded items may be kept in memory; their headers are read."""
    return _cache_bytes(items, read) <= _room()


def require_cache(items: PictureIndex, read: Reader) -> None:
    """Raise SettingsError if the decoded items cannot be kept in memory."""
    if not hasattr(read.file, "reduced"):
        raise SettingsError(f"train: cache ram keeps decoded pictures, and {read.name} has none. Leave it out.")
    _check_room(_cache_bytes(items, read), len(items), _nouns(read))


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
    _check_room(_bytes(len(items), read), len(items), _nouns(read))
    arrays: Arrays = {}
    for position in track(range(len(items)), f"Preparing {_nouns(read)}", quiet=quiet):
        for name, array in read.feeds(items[position]).items():
            arrays.setdefault(name, np.empty((len(items), *array.shape), array.dtype))[position] = array
    return arrays


def fits_in_memory(count: int, read: Reader) -> bool:
    """Tell whether so many inputs may be kept in memory."""
    return _bytes(count, read) <= _room()


def fits_beside(size: int) -> bool:
    """Tell whether so many bytes may be kept in memory."""
    return size <= _room()


def _room() -> int:
    return int(free_memory() * _MEMORY_SHARE)


def _bytes(count: int, read: Reader) -> int:
    return count * sum(port.bytes for port in read.ports().values())


def _cache_bytes(items: PictureIndex, read: Reader) -> int:
    return sum(read.file.reduced_bytes(items[position], read.settings) for position in range(len(items)))


def _nouns(read: Reader) -> str:
    return INPUTS.module(items_of(read.name)).NOUNS[1]


def _check_room(need: int, count: int, nouns: str) -> None:
    room = _room()
    if need > room:
        raise SettingsError(
            f"{count:,} {nouns} take {need / 2**30:,.2f} GiB of memory, and {room / 2**30:,.2f} GiB may be used "
            "(half of the free memory). Leave out --cache ram, or make the input smaller with --size."
        )
