"""The truth of a picture: its objects, each with a box and a name.

Shapes: N objects; 4 = (left, top, right, bottom), the edges in pixels of the upright picture: a box of one pixel in the
corner is (0, 0, 1, 1).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PADDING = -1  # Label of the rows that fill up the targets of a batch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boxed:
    """The objects of one picture; none is a negative picture, which training and measurement use."""

    boxes_N4: NDArray[np.float64]
    labels_N: NDArray[np.int64]  # indices of the names
    ignored_N: NDArray[np.bool_]  # neither trained on nor measured, such as `difficult` of Pascal VOC
    crowd_N: NDArray[np.bool_]  # boxes around many objects (`iscrowd` of COCO); they are ignored too
    areas_N: NDArray[np.float64]  # square pixels by which an object is small, medium or large; that of its box mostly
    size: tuple[int, int]  # (width, height) of the upright picture in pixels
    places: tuple[str, ...]  # where each is written, for messages, such as "Annotations/1.xml:12"
    scores_N: NDArray[np.float64] | None = None  # of a model's answer

    def __len__(self) -> int:
        return len(self.labels_N)


def boxed(
    boxes_N4: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    size: tuple[int, int],
    *,
    ignored_N: NDArray[np.bool_] | None = None,
    crowd_N: NDArray[np.bool_] | None = None,
    areas_N: NDArray[np.float64] | None = None,
    places: tuple[str, ...] = (),
    scores_N: NDArray[np.float64] | None = None,
) -> Boxed:
    """Return a truth; objects count, and have the areas of their boxes, unless the arguments say otherwise."""
    boxes_N4 = np.asarray(boxes_N4, dtype=np.float64).reshape(-1, 4)
    count = len(boxes_N4)
    crowd_N = np.zeros(count, dtype=np.bool_) if crowd_N is None else crowd_N
    ignored_N = np.zeros(count, dtype=np.bool_) if ignored_N is None else ignored_N
    return Boxed(
        boxes_N4=boxes_N4,
        labels_N=np.asarray(labels_N, dtype=np.int64).reshape(-1),
        ignored_N=ignored_N | crowd_N,
        crowd_N=crowd_N,
        areas_N=(boxes_N4[:, 2:] - boxes_N4[:, :2]).prod(axis=1) if areas_N is None else areas_N,
        size=size,
        places=places or ("",) * count,
        scores_N=scores_N,
    )
