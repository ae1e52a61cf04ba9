"""Named input arrays of a graph: their types and shapes, checked before anything computes.

Shapes: N items of a batch; the first axis of every array.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.errors import SettingsError
from sightsmith.core.settings import EXACT

Arrays = dict[str, NDArray[Any]]  # Arrays by name; the first axis is the item


@dataclass(frozen=True, slots=True)
class Port:
    """One named input of a graph."""

    __pydantic_config__: ClassVar[Any] = EXACT
    dtype: str  # NumPy's name of the type, such as "uint8"
    shape: tuple[int, ...]  # of one item, without the batch's axis
    free: tuple[int, ...] = ()  # axes of the item that may have another length than in `shape`, ≥ 1

    def fits(self, array: NDArray[Any]) -> bool:
        """Tell whether an array is a batch of at least one item for this port."""
        return (
            array.dtype == np.dtype(self.dtype)
            and array.ndim == len(self.shape) + 1
            and len(array) > 0
            and all(
                side == wanted or (axis in self.free and side > 0)
                for axis, (wanted, side) in enumerate(zip(self.shape, array.shape[1:], strict=True))
            )
        )

    @property
    def bytes(self) -> int:
        """Bytes of one item of the usual shape."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize

    def to_text(self) -> str:
        """Return the shape of a batch, such as `(N, *, 64, 64, 3) uint8`, with a star for a free axis."""
        sides = ("*" if axis in self.free else str(side) for axis, side in enumerate(self.shape))
        return f"({', '.join(('N', *sides))}) {self.dtype}"


def check_feeds(ports: Mapping[str, Port], feeds: Mapping[str, NDArray[Any]]) -> None:
    """Raise SettingsError if an array is missing, unknown or of another shape or type, or numbers of items differ."""
    if feeds.keys() != ports.keys():
        raise SettingsError(f"the model takes the inputs {', '.join(ports)}; got {', '.join(feeds) or 'none'}.")
    for name, port in ports.items():
        if not port.fits(feeds[name]):
            raise SettingsError(
                f"{name} must be {port.to_text()} with N ≥ 1, got {feeds[name].shape} {feeds[name].dtype}. "
                "The input's `feeds` makes one item's; `stack` makes a batch."
            )
    if len({len(array) for array in feeds.values()}) > 1:
        counts = ", ".join(f"{name} {len(array)}" for name, array in feeds.items())
        raise SettingsError(f"the inputs of one batch must have as many items, got {counts}.")


def stack(items: Sequence[Mapping[str, NDArray[Any]]]) -> Arrays:
    """Return a batch of items, each with its arrays by name and without the batch's axis."""
    return {name: np.stack([item[name] for item in items]) for name in items[0]}


def part(feeds: Mapping[str, NDArray[Any]], start: int, stop: int) -> Arrays:
    """Return the items start…stop-1 of a batch."""
    return {name: array[start:stop] for name, array in feeds.items()}
