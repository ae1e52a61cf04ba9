"""Pictures whose targets have places, such as boxes: both move together.

Shapes: B pictures of a batch, M targets of one, C channels, H W height and width of the input.
"""

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.ports import Arrays
from sightsmith.data.picture_index import PictureIndex
from sightsmith.data.pixels import TARGETS, Positions
from sightsmith.inputs import Reader
from sightsmith.inputs.picture import PIXELS


class Scenes:
    """Pictures with their targets, in the net's input.

    Args:
        targets_NM: of each picture, as the kind's `targets` makes them.
        kind: of answer; its `to_input` moves targets.
    """

    in_memory = False

    def __init__(self, items: PictureIndex, targets_NM: NDArray[Any], read: Reader, kind: ModuleType) -> None:
        self._items, self._targets_NM, self._read, self._kind = items, targets_NM, read, kind

    def fetch(self, positions: Positions, epoch: int) -> Arrays:  # noqa: ARG002 -- not varied
        """Return the pictures and their targets. Raises PictureError: one cannot be decoded."""
        pixels, targets = zip(*(self._one(int(position)) for position in positions), strict=True)
        return {PIXELS: np.stack(pixels), TARGETS: np.stack(targets)}

    def _one(self, position: int) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        item, read = self._items[position], self._read
        placement = read.file.placement(item, read.settings)
        return read.feeds(item)[PIXELS], self._kind.to_input(self._targets_NM[position], placement)
