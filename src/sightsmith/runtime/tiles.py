"""Answering large items by overlapping tiles, each at the size that the net was trained for.

Akyon, Altinuc and Temizel, "Slicing Aided Hyper Inference and Fine-Tuning for Small Object Detection", ICIP 2022,
arXiv:2202.06934. Deviation: of the whole picture, which is answered too, only objects count that may be in no tile
whole; boxes of one object that are all cut are joined.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sightsmith.core.errors import PictureError, SettingsError
from sightsmith.core.images import describe
from sightsmith.core.placement import UNBOUNDED, Bounds, Box
from sightsmith.inputs import INPUTS
from sightsmith.kinds import optional_part
from sightsmith.runtime.runner import Item, Outcome, Runner, Value

SIDES = (32, 65_535)  # Least and most pixels of a tile's side
OVERLAP = 0.2  # Unless another is asked for
MOST_OVERLAP = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """How items are cut."""

    side: int  # of a tile in pixels, 32…65,535; smaller items are answered whole
    overlap: float = OVERLAP  # of neighbours, at least, as a share of the side, 0…0.9

    def __post_init__(self) -> None:
        if not SIDES[0] <= self.side <= SIDES[1]:
            raise SettingsError(f"tiles must be 32…65,535 pixels, got {self.side:,}.")
        if not 0 <= self.overlap <= MOST_OVERLAP:
            raise SettingsError(f"tile-overlap must be 0…0.9, a share of the tile's side, got {self.overlap:g}.")

    @property
    def shared(self) -> int:
        """Pixels that neighbours have in common, at least."""
        return int(self.side * self.overlap)

    def count(self, size: tuple[int, int]) -> int:
        """Return how many tiles an item has."""
        across, down = map(self._count, size)
        return across * down

    def windows(self, size: tuple[int, int]) -> list[Box]:
        """Return the edges of the tiles of an item, in rows from the top."""
        lefts, tops = (self._starts(length) for length in size)
        return [
            (left, top, min(left + self.side, size[0]), min(top + self.side, size[1])) for top in tops for left in lefts
        ]

    def _count(self, length: int) -> int:
        return 1 + math.ceil(max(0, length - self.side) / (self.side - self.shared))

    def _starts(self, length: int) -> list[int]:
        """Return where tiles begin along a side: spread evenly, the last ends with the item."""
        steps = self._count(length) - 1
        return [(length - self.side) * at // steps for at in range(steps + 1)] if steps else [0]


def tiling_of(tiles: int | None, tile_overlap: float) -> Tiling | None:
    """Return how items are cut, None if they are not. Raises SettingsError: out of range, or an overlap of no tiles."""
    if tiles is not None:
        return Tiling(side=tiles, overlap=tile_overlap)
    if tile_overlap != OVERLAP:
        raise SettingsError(
            f"--tile-overlap {tile_overlap:g} is for tiles, and none are asked for. Give --tiles, or leave it out."
        )
    return None


class Tiler:
    """Cuts the items of a model into tiles, and merges their answers."""

    def __init__(self, runner: Runner, tiling: Tiling) -> None:
        """Prepare. Raises SettingsError: the model's answers have no places, or its items cannot be cut."""
        self.tiling = tiling
        self._merging = optional_part(runner.definition.kind, "tiles")
        self._input = INPUTS.module(runner.definition.input)
        if self._merging is None or not hasattr(self._input, "crop"):
            raise SettingsError(
                f"tiles: an answer of {runner.kind.NOUNS[1]} has no places in the picture, so tiles cannot be merged. "
                "Leave --tiles out."
            )

    def windows(self, size: tuple[int, int]) -> list[Box]:
        """Return the edges of the parts to answer: the whole item, then its tiles."""
        return [(0, 0, *size), *self.tiling.windows(size)]

    def read(self, item: Item, bounds: Bounds = UNBOUNDED) -> Item:
        """Return an item that is read once for all its parts. Raises PictureError: it cannot be read."""
        return self._input.read(item, bounds)

    def crop(self, item: Item, window: Box) -> Item:
        """Return a part of an item that was read."""
        return self._input.crop(item, window)

    def merged(self, answers: Iterable[Value], windows: list[Box]) -> Value:
        """Return the answer to an item from those to its parts."""
        merging: Any = self._merging
        size = round(windows[0][2]), round(windows[0][3])
        pairs = zip(answers, windows, strict=True)
        return merging.merge(pairs, size, self.tiling.shared, max(size) / self.tiling.side)


def predict_tiled(runner: Runner, items: Iterable[Item], tiling: Tiling, batch: int | None = None) -> Iterator[Outcome]:
    """Answer items one after another and in order, each by its tiles; an unreadable item does not stop the rest.

    In memory are one decoded item, a few batches of tiles, and the best few thousand objects.

    Raises SettingsError: the model's answers have no places, or its items cannot be cut.
    """
    tiler = Tiler(runner, tiling)

    def answer(item: Item) -> Value:
        size = runner.placement(item).size
        if tiling.count(size) == 1:
            return runner.predict_one(item)
        whole, windows = tiler.read(item), tiler.windows(size)
        parts = (tiler.crop(whole, window) for window in windows)
        return tiler.merged((outcome.prediction for outcome in runner.predict(parts, batch)), windows)

    return _outcomes(items, answer)


def _outcomes(items: Iterable[Item], answer: Callable[[Item], Value]) -> Iterator[Outcome]:
    for index, item in enumerate(items):
        try:
            yield Outcome(index, describe(item), prediction=answer(item))
        except PictureError as error:
            yield Outcome(index, describe(item), error=error)
