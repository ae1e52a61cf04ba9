"""Samples of data sets that hold all pictures in a few arrays.

Shapes: N pictures, H height, W width, C channels (1, 3 or 4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.records import Sample, Split


@dataclass(frozen=True, slots=True)
class Part:
    """The pictures of one split."""

    pictures: NDArray[np.generic]  # (N, H, W) or (N, H, W, C), uint8 or uint16
    labels_N: NDArray[np.integer]  # integers
    name: str  # name of the arrays in messages


def check_part(pictures: NDArray[np.generic], labels: NDArray[np.generic], name: str) -> Part:
    """Check the shapes and types of pictures and their labels, (N,) or (N, 1).

    Raises DataError: a wrong shape or type, or the counts differ.
    """
    if pictures.ndim not in {3, 4} or (pictures.ndim == 4 and pictures.shape[3] not in {1, 3, 4}):
        raise DataError(
            f"{name}: pictures must be (count, height, width) or (count, height, width, 1|3|4), got {pictures.shape}. "
            "Volumes and channels-first arrays must be transposed first."
        )
    if pictures.dtype not in (np.uint8, np.uint16):
        raise DataError(
            f"{name}: pixels must be uint8 (0…255) or uint16, got {pictures.dtype}. "
            "For floats in 0…1 save (255 * array).astype('uint8')."
        )
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(f"{name}: classification needs one label a picture, got labels of shape {labels.shape}.")
    if labels.dtype.kind not in "iu":
        raise DataError(f"{name}: labels must be integers, got {labels.dtype}. Number the classes from 0.")
    if len(pictures) != len(labels):
        counts = f"{many(len(pictures), 'picture')} but {many(len(labels), 'label')}"
        raise DataError(f"{name}: {counts}. The files do not belong together.")
    return Part(pictures, labels.astype(np.int64), name)


def array_samples(
    parts: Mapping[Split | None, Part], names: Sequence[str] | None = None
) -> tuple[tuple[str, ...], list[Sample]]:
    """Return the classes and samples of some arrays; a picture is a view, so nothing is copied.

    Args:
        parts: the arrays by split; None if the data has no splits.
        names: name of class 0, 1, …; without it the labels found are the names.

    Raises DataError: a label has no name.
    """
    found = np.unique(np.concatenate([part.labels_N for part in parts.values()]))
    values = found if names is None else np.arange(len(names))
    index_of = {value: index for index, value in enumerate(values.tolist())}
    samples = []
    for split, part in parts.items():
        wrong = part.labels_N[~np.isin(part.labels_N, values)]
        if wrong.size:
            there = f"there are names for 0…{len(values) - 1}" if values.size else "there are no names"
            raise DataError(
                f"{part.name}: label {wrong[0]} has no name; {there}. Correct the labels or the list of classes."
            )
        samples += [
            Sample(f"{split or 'all'}/{place:05d}", picture, index_of[label], None, split)
            for place, (picture, label) in enumerate(zip(part.pictures, part.labels_N.tolist(), strict=True))
        ]
    return tuple(map(str, values) if names is None else names), samples
