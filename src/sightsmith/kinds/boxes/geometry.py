"""Overlap of boxes, and non-maximum suppression.

Shapes: N and M boxes; 4 = (left, top, right, bottom), any unit.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

_FEW = 64  # Boxes from which comparing all of them costs more than the NumPy calls for each label


def areas(boxes_N4: Floats) -> Floats:
    """Return (N,) ≥ 0; that of a box whose edges are swapped is 0."""
    sides_N2 = np.maximum(boxes_N4[:, 2:] - boxes_N4[:, :2], 0)
    return sides_N2[:, 0] * sides_N2[:, 1]


def intersections(one_N4: Floats, other_M4: Floats) -> Floats:
    """Return the common area of each two boxes, (N, M)."""
    # side by side, not in a last axis of two, over which NumPy is twenty times as slow
    sides_NM = [
        np.minimum(one_N4[:, None, side + 2], other_M4[None, :, side + 2])
        - np.maximum(one_N4[:, None, side], other_M4[None, :, side])
        for side in (0, 1)
    ]
    return np.maximum(sides_NM[0], 0) * np.maximum(sides_NM[1], 0)


def iou(one_N4: Floats, other_M4: Floats) -> Floats:
    """Return the intersection over the union of each two boxes, (N, M) in 0…1; 0 for two empty boxes."""
    common_NM = intersections(one_N4, other_M4)
    union_NM = areas(one_N4)[:, None] + areas(other_M4)[None] - common_NM
    return common_NM / np.maximum(union_NM, np.finfo(common_NM.dtype).tiny)


def pairs(keys_D: NDArray[np.integer], keys_G: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return every pair of equal keys, as positions in the one (P,) and in the other (P,), in their order."""
    order_G = np.argsort(keys_G, kind="stable")
    sorted_G = keys_G[order_G]
    first_D = np.searchsorted(sorted_G, keys_D, side="left")
    counts_D = np.searchsorted(sorted_G, keys_D, side="right") - first_D
    one_P = np.repeat(np.arange(len(keys_D)), counts_D)
    inside_P = np.arange(len(one_P)) - np.repeat(np.cumsum(counts_D) - counts_D, counts_D)
    return one_P, order_G[first_D[one_P] + inside_P]


def overlaps(one_P4: Floats, other_P4: Floats, crowd_P: NDArray[np.bool_] | bool = False) -> NDArray[np.float64]:
    """Return the IoU of each pair of boxes, (P,) in 0…1; with a crowd the common share of the first box (COCO)."""
    low_P2, high_P2 = np.maximum(one_P4[:, :2], other_P4[:, :2]), np.minimum(one_P4[:, 2:], other_P4[:, 2:])
    common_P = (high_P2 - low_P2).clip(min=0).prod(axis=1)
    union_P = np.where(crowd_P, areas(one_P4), areas(one_P4) + areas(other_P4) - common_P)
    return common_P / np.maximum(union_P, np.finfo(np.float64).tiny)


def suppressed(boxes_N4: Floats, labels_N: NDArray[np.integer], overlap: float) -> NDArray[np.bool_]:
    """Return which boxes are suppressed, (N,): a better one of their label overlaps them by more than `overlap`.

    The boxes are in the order of their scores, best first (greedy non-maximum suppression).
    """
    gone_N = np.zeros(len(boxes_N4), dtype=np.bool_)
    if overlap >= 1:
        return gone_N
    for places_M in _compared(labels_N):
        boxes_M4, labels_M = boxes_N4[places_M], labels_N[places_M]
        near_MM = (iou(boxes_M4, boxes_M4) > overlap) & (labels_M[:, None] == labels_M)
        np.fill_diagonal(near_MM, False)
        gone_M = np.zeros(len(places_M), dtype=np.bool_)
        for place in np.flatnonzero(near_MM.any(axis=1)).tolist():
            if not gone_M[place]:
                gone_M[place + 1 :] |= near_MM[place, place + 1 :]
        gone_N[places_M] = gone_M
    return gone_N


def _compared(labels_N: NDArray[np.integer]) -> list[NDArray[np.int64]]:
    """Return the places of the boxes that are compared with each other: of all if they are few, else of each label."""
    if len(labels_N) <= _FEW:
        return [np.arange(len(labels_N))]
    return [np.flatnonzero(labels_N == label) for label in np.unique(labels_N)]
