"""One answer from those to the overlapping tiles of a picture: each object once.

An object in the common part of two tiles is found twice, and one across a tile's edge is cut there. Two boxes of one
name from different tiles are one object if they agree on what both tiles see; a box cut by an inner edge also if most
of it lies in the other, or the reverse. Of them a box that is not cut stays; boxes that all are cut are joined. One of
the reduced whole picture, which is coarser, counts if no tile has the object, or only pieces of less than half of it.

Shapes: M candidates, K boxes kept, F = 11 facts of a candidate; 4 = (left, top, right, bottom) in pixels of the upright
picture.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.placement import Box
from sightsmith.kinds.boxes.geometry import areas
from sightsmith.kinds.boxes.value import Boxes

_LEAST = 0.01  # Score below which candidates are left out
_CANDIDATES = 5000  # Best candidates of all tiles that are merged
_MOST = 1000  # Objects of an answer, as of a picture that is asked whole
_SAME = 0.5  # Overlap from which two boxes are one object
_SAME_COARSE = 0.25  # Likewise, if one is of the whole picture, whose pixels are larger
_MARGIN = 2  # Pixels of the reduced whole picture by which its boxes may be too large
_EDGE = 0.01  # Share of a tile's side; a box that ends this near to an inner edge is cut by it

_Floats = NDArray[np.float64]


def merge(parts: Iterable[tuple[Boxes, Box]], size: tuple[int, int], shared: int, reduction: float) -> Boxes:
    """Return the answer to a picture.

    Args:
        parts: answers, each in pixels of its tile, and the tiles' edges in the picture. The first is that of the whole
            picture, reduced to the net's input.
        size: (width, height) of the picture.
        shared: least pixels that neighbours have in common, across and down. What is not larger lies whole in some
            tile, which sees it sharper than the whole picture does.
        reduction: pixels of the picture that are one of a tile, if the whole picture has the size of a tile.
    """
    first, rows = None, np.zeros((0, 11))
    for tile, (answer, window) in enumerate(parts):
        first = first or answer
        rows = np.concatenate([rows, _rows(answer, window, tile, 0 if tile else shared + _MARGIN * reduction)])
        if len(rows) > 2 * _CANDIDATES:
            rows = _best(rows)
    if first is None:
        raise ValueError("merge needs the answer to the whole picture at least")
    boxes_K4, scores_K, labels_K = _merged(_best(rows), size)
    order = np.argsort(-scores_K, kind="stable")[:_MOST]
    return replace(
        first,
        boxes_K4=boxes_K4[order].astype(np.float32),
        scores_K=scores_K[order].astype(np.float32),
        labels_K=labels_K[order].astype(np.int64),
    )


def _rows(answer: Boxes, window: Box, tile: int, above: float) -> _Floats:
    """Return (M, F) of the objects in a tile with a side above so many pixels: box, score, label, tile, window."""
    places = answer.kept(threshold=_LEAST, most=_MOST)
    boxes_M4 = answer.boxes_K4[places].astype(np.float64)
    places = places[(boxes_M4[:, 2:] - boxes_M4[:, :2]).max(axis=1, initial=0) > above]
    boxes_M4 = answer.boxes_K4[places] + np.array(window[:2] * 2)
    facts = np.stack([answer.scores_K[places], answer.labels_K[places], np.full(len(places), tile)], axis=1)
    return np.concatenate([boxes_M4, facts, np.tile(window, (len(places), 1))], axis=1)


def _best(rows_MF: _Floats) -> _Floats:
    return rows_MF[np.argsort(-rows_MF[:, 4], kind="stable")[:_CANDIDATES]]


def _merged(rows: _Floats, size: tuple[int, int]) -> tuple[_Floats, _Floats, _Floats]:
    """Return boxes, scores and labels of the objects; first seen are boxes of tiles that have the object whole."""
    rank_M = np.where(rows[:, 6] == 0, 2, _cut(rows[:, :4], rows[:, 7:], size))
    rows = rows[np.lexsort((-rows[:, 4], rank_M))]
    boxes_M4, labels_M, windows_M4 = rows[:, :4].copy(), rows[:, 5], rows[:, 7:].copy()
    cut_M, tiles_of = _cut(boxes_M4, windows_M4, size), [{int(tile)} for tile in rows[:, 6]]
    kept: list[int] = []
    for at in range(len(rows)):
        alike_K = np.array([other for other in kept if labels_M[other] == labels_M[at]], dtype=np.int64)
        loose_K = cut_M[at] | cut_M[alike_K]
        least_K = np.where((rows[at, 6] == 0) | (rows[alike_K, 6] == 0), _SAME_COARSE, _SAME)
        same_K = _same(boxes_M4[at], windows_M4[at], boxes_M4[alike_K], windows_M4[alike_K], loose_K, least_K)
        near = [other for other in alike_K[same_K].tolist() if not tiles_of[at] & tiles_of[other]]
        if not near:
            kept.append(at)
        elif rows[at, 6] == 0:
            joined = _hull(boxes_M4[near])
            if cut_M[near].all() and areas(joined[None])[0] < _SAME * areas(boxes_M4[[at]])[0]:
                kept = [other for other in kept if other not in near] + [at]
        elif cut_M[at] and cut_M[near].all():
            place, *gone = near
            pieces = [*near, at]
            boxes_M4[place], windows_M4[place] = _hull(boxes_M4[pieces]), _hull(windows_M4[pieces])
            cut_M[place] = _cut(boxes_M4[[place]], windows_M4[[place]], size)[0]
            tiles_of[place] = set().union(*(tiles_of[piece] for piece in pieces))
            kept = [other for other in kept if other not in gone]
    return boxes_M4[kept], rows[kept, 4], labels_M[kept]


def _cut(boxes_M4: _Floats, windows_M4: _Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Tell which boxes end at an edge of their tile that is none of the picture, (M,)."""
    slack_M1 = _EDGE * (windows_M4[:, 2:] - windows_M4[:, :2]).max(axis=1, keepdims=True)
    inner_M4 = np.concatenate([windows_M4[:, :2] > 0, windows_M4[:, 2:] < np.array(size)], axis=1)
    return (inner_M4 & (np.abs(boxes_M4 - windows_M4) <= slack_M1)).any(axis=1)


def _same(
    box: _Floats,
    window: _Floats,
    others_K4: _Floats,
    windows_K4: _Floats,
    loose_K: NDArray[np.bool_],
    least_K: _Floats,
) -> NDArray[np.bool_]:
    """Tell which boxes are of the same object as one box of another tile, (K,).

    They overlap by more than `least_K` in what both tiles see; or, if loose, by that share of the smaller one.
    """
    common_K4, seen_K4 = _crossing(box, others_K4), _crossing(window, windows_K4)
    agreed_K = areas(_crossing(common_K4, seen_K4))
    either_K = areas(_crossing(box, seen_K4)) + areas(_crossing(others_K4, seen_K4)) - agreed_K
    smaller_K = np.minimum(areas(box[None]), areas(others_K4))
    return (agreed_K > least_K * either_K) | (loose_K & (areas(common_K4) > least_K * smaller_K))


def _crossing(one: _Floats, other: _Floats) -> _Floats:
    """Return the common part of boxes (…, 4); one without area has its edges swapped."""
    low, high = np.maximum(one[..., :2], other[..., :2]), np.minimum(one[..., 2:], other[..., 2:])
    return np.concatenate([low, high], axis=-1)


def _hull(boxes_M4: _Floats) -> _Floats:
    return np.concatenate([boxes_M4[:, :2].min(axis=0), boxes_M4[:, 2:].max(axis=0)])
