"""Answering one request by the tiles of its picture.

The picture is decoded once, and its parts go through the model's batches like pictures of other requests, at most a
batch at a time, so that others come in between.
"""

import asyncio
from bisect import bisect_left
from dataclasses import replace
from functools import partial

from sightsmith.core.counts import many
from sightsmith.core.image_files import check_size
from sightsmith.core.images import describe, picture_size
from sightsmith.core.placement import Bounds, Box
from sightsmith.runtime.runner import Item, Value
from sightsmith.runtime.tiles import SIDES, Tiler, Tiling
from sightsmith.serving.failures import RefusalError
from sightsmith.serving.served import Registry, ServedModel


async def answer_by_tiles(registry: Registry, model: ServedModel, picture: bytes, tiling: Tiling) -> Value:
    """Return the answer to an encoded picture; one of a single tile is answered as without tiles.

    Raises:
        SettingsError: the model's answers have no places.
        RefusalError: 400, there are more tiles than allowed; 503, the model has not so many places free.
        PictureError: the picture cannot be decoded.
    """
    settings, loop = registry.settings, asyncio.get_running_loop()
    tiler = Tiler(model.predictor, tiling)
    size = await loop.run_in_executor(registry.decoders, picture_size, picture)
    check_size(size, describe(picture), settings.max_pixels)
    count = tiling.count(size)
    if count > settings.max_tiles:
        raise RefusalError(400, _too_many(tiling, size, settings.max_tiles))
    at_once = min(count, settings.batch, settings.queue)
    with model.place(at_once):
        if count == 1:
            return await model.batcher.answer(picture)
        windows = tiler.windows(size)
        read = _Read(tiler, picture, Bounds(settings.max_pixels, settings.decode_seconds))
        async with model.tiling:  # one at a time is held decoded: it may have hundreds of megabytes
            answers = [await model.batcher.answer(read.whole)]
            for start in range(1, len(windows), at_once):
                parts = [partial(read.part, window) for window in windows[start : start + at_once]]
                answers += await asyncio.gather(*map(model.batcher.answer, parts))
            return await loop.run_in_executor(registry.decoders, tiler.merged, answers, windows)


class _Read:
    """A picture that is decoded once, in the thread that reads it for the answer to the whole."""

    def __init__(self, tiler: Tiler, picture: bytes, bounds: Bounds) -> None:
        self._tiler, self._picture, self._bounds = tiler, picture, bounds
        self._decoded: Item = None

    def whole(self) -> Item:
        self._decoded = self._tiler.read(self._picture, self._bounds)
        return self._decoded

    def part(self, window: Box) -> Item:
        return self._tiler.crop(self._decoded, window)


def _too_many(tiling: Tiling, size: tuple[int, int], most: int) -> str:
    """Return why a picture of (width, height) pixels is refused, with the least side that would do."""
    sides = range(tiling.side, min(max(size), SIDES[1]) + 1)  # a tile of the last one has the whole picture
    counts = bisect_left(sides, -most, key=lambda side: -replace(tiling, side=side).count(size))
    return (
        f"tiles: the service cuts a picture into at most {many(most, 'tile')}, and this one of {size[0]:,}×{size[1]:,} "
        f"pixels would have {tiling.count(size):,}. Send tiles={sides[counts]} or more."
    )
