"""References of many pictures in little memory; imports no torch."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from sightsmith.core.images import Picture


class PictureIndex:
    """References of many pictures, packed: a path takes 8 bytes more than its text.

    Packed references have no reference counts, so forked workers share their memory.
    """

    def __init__(self, pictures: Iterable[Picture]) -> None:
        kept = list(pictures)
        self._objects: list[Picture] | None = None
        if all(isinstance(picture, (str, Path)) for picture in kept):
            encoded = [os.fsencode(str(picture)) for picture in kept]
            self._bytes = np.frombuffer(b"".join(encoded), dtype=np.uint8)
            self._ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        else:
            self._objects = kept

    def __len__(self) -> int:
        return len(self._ends) - 1 if self._objects is None else len(self._objects)

    def __getitem__(self, position: int) -> Picture:
        if self._objects is not None:
            return self._objects[position]
        start, end = self._ends[position : position + 2]
        return Path(os.fsdecode(self._bytes[start:end].tobytes()))

    @property
    def all_arrays(self) -> bool:
        """Whether every picture is an array in memory already."""
        return self._objects is not None and all(isinstance(picture, np.ndarray) for picture in self._objects)
