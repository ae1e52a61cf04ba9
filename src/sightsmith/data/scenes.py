"""Pictures whose targets have places, such as boxes: both move together.

Shapes: N pictures, B of a batch, M things in one, D columns of each: (left, top, right, bottom, label, …); C channels,
H W height and width of the input.
"""

from collections.abc import Sequence
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray

from sightsmith.core.images import picture_size
from sightsmith.core.ports import Arrays
from sightsmith.data.augment import Augmentation
from sightsmith.data.composition import Scene, blend, compose, quarters
from sightsmith.data.picture_index import PictureIndex
from sightsmith.data.pixels import TARGETS, Positions, RamCache
from sightsmith.inputs import Reader
from sightsmith.inputs.picture import PIXELS, reduced

Targets = NDArray[np.float32]
_LABEL = 4  # The column that tells the rows that fill up


class Placed:
    """Pictures as at prediction, and their targets moved to shares of the input.

    Args:
        targets_NMD: as the kind's `targets` makes them, in pixels of the upright pictures.
        kind: of answer; its `to_input` moves targets.
    """

    in_memory = False

    def __init__(self, items: PictureIndex, targets_NMD: Targets, read: Reader, kind: ModuleType) -> None:
        self._items, self._targets_NMD, self._read, self._kind = items, targets_NMD, read, kind

    def fetch(self, positions: Positions, epoch: int, *, mix: bool = True) -> Arrays:  # noqa: ARG002 -- not varied
        """Return the pictures and their targets. Raises PictureError: one cannot be decoded."""
        pixels = [self._read.feeds(self._items[int(position)])[PIXELS] for position in positions]
        return {PIXELS: np.stack(pixels), TARGETS: self.targets(positions)}

    def targets(self, positions: Positions) -> Targets:
        """Return the targets alone, (B, M, D); the headers of the pictures are read."""
        read = self._read
        placements = [read.file.placement(self._items[int(position)], read.settings) for position in positions]
        pairs = zip(self._targets_NMD[np.asarray(positions)], placements, strict=True)
        return np.stack([self._kind.to_input(targets_MD, placement) for targets_MD, placement in pairs])


class Scenes:
    """Pictures composed and varied, each with what is in it (`composition.py`).

    Args:
        items: the pictures, decoded already or not.
        targets_NMD: as the kind's `targets` makes them, in pixels of the upright pictures.
        kind: of answer, with the geometry "corners".
    """

    in_memory = False

    def __init__(
        self,
        items: PictureIndex,
        targets_NMD: Targets,
        read: Reader,
        kind: ModuleType,
        vary: Augmentation,
        seed: int,
    ) -> None:
        self._items, self._targets_NMD, self._read, self._filler = items, targets_NMD, read, kind.PADDING
        self._vary, self._seed = vary, seed
        self._sizes_N2 = _sizes(items.originals) if isinstance(items, RamCache) else None

    @property
    def cached(self) -> bool:
        """Whether the pictures are decoded already."""
        return isinstance(self._items, RamCache)

    def fetch(self, positions: Positions, epoch: int, *, mix: bool = True) -> Arrays:
        """Return pictures and targets in shares of the input, by draws of (seed, epoch, position).

        Args:
            mix: whether several pictures may be put together, as mosaic and mixup do.

        Raises PictureError: a picture cannot be decoded.
        """
        scenes = [self._varied(int(position), epoch, mix=mix) for position in positions]
        return {PIXELS: np.stack([scene.pixels_HWC for scene in scenes]), TARGETS: self._stacked(scenes)}

    def _varied(self, position: int, epoch: int, *, mix: bool) -> Scene:
        rng = np.random.default_rng((self._seed, epoch, position))
        scene = self._composed(position, rng, mix=mix)
        if mix and rng.random() < self._vary.mixup:
            scene = blend(scene, self._composed(self._any(rng), rng, mix=mix), rng)
        return scene

    def _composed(self, position: int, rng: np.random.Generator, *, mix: bool) -> Scene:
        settings = self._read.settings
        spots = [(0, 0, settings.width, settings.height)]
        if mix and rng.random() < self._vary.mosaic:
            spots = quarters(settings.width, settings.height, rng)
        positions = [position, *(self._any(rng) for _ in spots[1:])]
        return compose(
            [(self._scene(one), spot) for one, spot in zip(positions, spots, strict=True)], settings, self._vary, rng
        )

    def _any(self, rng: np.random.Generator) -> int:
        return int(rng.integers(len(self._items)))

    def _scene(self, position: int) -> Scene:
        """Return a picture, a little larger than the input, and what is in it; the same with and without the cache."""
        items, settings = self._items, self._read.settings
        if self._sizes_N2 is not None and isinstance(items, RamCache):
            pixels_HWC, (across, down) = items.items[position], self._sizes_N2[position]
        else:
            pixels_HWC, (across, down) = reduced(items[position], settings), picture_size(items[position])
        height, width = pixels_HWC.shape[:2]
        things_MD = self._targets_NMD[position]
        things_MD = things_MD[things_MD[:, _LABEL] != self._filler]
        things_MD[:, :4] *= np.array([width / across, height / down] * 2, dtype=np.float32)
        return Scene(pixels_HWC.reshape(height, width, settings.channels), torch.from_numpy(things_MD))

    def _stacked(self, scenes: Sequence[Scene]) -> Targets:
        """Return the targets of a batch, filled up to the most that a picture has, at least one row."""
        most, settings = max(1, *(len(scene.things_MD) for scene in scenes)), self._read.settings
        stacked_BMD = np.zeros((len(scenes), most, self._targets_NMD.shape[2]), dtype=np.float32)
        stacked_BMD[:, :, _LABEL] = self._filler
        sides_4 = np.array([settings.width, settings.height] * 2, dtype=np.float32)
        for rows_MD, scene in zip(stacked_BMD, scenes, strict=True):
            rows_MD[: len(scene.things_MD)] = scene.things_MD
            rows_MD[: len(scene.things_MD), :4] /= sides_4
        return stacked_BMD


def _sizes(pictures: PictureIndex) -> NDArray[np.int64]:
    """Return (width, height) of each upright picture, (N, 2)."""
    sizes = [picture_size(pictures[position]) for position in range(len(pictures))]
    return np.array(sizes, dtype=np.int64).reshape(-1, 2)
