"""Answering large items by overlapping tiles, each at the size that the net was trained for.

Akyon, Altinuc and Temizel, "Slicing Aided Hyper Inference and Fine-Tuning for Small Object Detection", ICIP 2022,
arXiv:2202.06934. Deviation: of the whole picture, which is answered too, only objects count that may be in no tile
whole; boxes of one object that are all cut are joined.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sightsmith.core.errors import PictureError, SettingsError
from sightsmith.core.images import describe
from sightsmith.core.placement import Box
from sightsmith.inputs import INPUTS
from sightsmith.kinds import optional_part
from sightsmith.runtime.runner import Item, Outcome, Runner, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """How items are cut."""

    side: int  # of a tile in pixels, 32…65,535; smaller items are answered whole
    overlap: float = 0.2  # of neighbours, at least, as a share of the side, 0…0.9

    def __post_init__(self) -> None:
        if not 32 <= self.side <= 65_535:
            raise SettingsError(f"tiles must be 32…65,535 pixels, got {self.side:,}.")
        if not 0 <= self.overlap <= 0.9:
            raise SettingsError(f"tile-overlap must be 0…0.9, a share of the tile's side, got {self.overlap:g}.")

    @property
    def shared(self) -> int:
        """Pixels that neighbours have in common, at least."""
        return int(self.side * self.overlap)

    def windows(self, size: tuple[int, int]) -> list[Box]:
        """Return the edges of the tiles of an item, in rows from the top."""
        lefts, tops = (self._starts(length) for length in size)
        return [
            (left, top, min(left + self.side, size[0]), min(top + self.side, size[1])) for top in tops for left in lefts
        ]

    def _starts(self, length: int) -> list[int]:
        """Return where tiles begin along a side: spread evenly, the last ends with the item."""
        room = length - self.side
        if room <= 0:
            return [0]
        count = math.ceil(room / (self.side - self.shared))
        return [room * at // count for at in range(count + 1)]


def predict_tiled(runner: Runner, items: Iterable[Item], tiling: Tiling, batch: int | None = None) -> Iterator[Outcome]:
    """Answer items one after another and in order, each by its tiles; an unreadable item does not stop the rest.

    In memory are one decoded item, a few batches of tiles, and the best few thousand objects.

    Raises SettingsError: the model's answers have no places, or its items cannot be cut.
    """
    merging = optional_part(runner.definition.kind, "tiles")
    source = INPUTS.module(runner.definition.input)
    if merging is None or not hasattr(source, "cut"):
        raise SettingsError(
            f"tiles: an answer of {runner.kind.NOUNS[1]} has no places in the picture, so tiles cannot be merged. "
            "Leave --tiles out."
        )

    def answer(item: Item) -> Value:
        size = runner.placement(item).size
        windows = tiling.windows(size)
        if len(windows) == 1:
            return runner.predict_one(item)
        windows = [(0, 0, *size), *windows]
        answers = (outcome.prediction for outcome in runner.predict(source.cut(item, windows), batch))
        return merging.merge(zip(answers, windows, strict=True), size, tiling.shared, max(size) / tiling.side)

    return _outcomes(items, answer)


def _outcomes(items: Iterable[Item], answer: Callable[[Item], Value]) -> Iterator[Outcome]:
    for index, item in enumerate(items):
        try:
            yield Outcome(index, describe(item), prediction=answer(item))
        except PictureError as error:
            yield Outcome(index, describe(item), error=error)
