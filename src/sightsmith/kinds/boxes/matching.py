"""Which candidates find which objects, by the rules of COCO and of Pascal VOC; matched once, counted under any weights.

Papers: Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014, arXiv:1405.0312 (the rules are those of its
evaluation server); Everingham et al., "The Pascal Visual Object Classes Challenge: A Retrospective", IJCV 111 (2015).

In COCO a candidate, best first, takes the free object of its class that it overlaps most, by at least the threshold. An
object that is ignored or of another size is taken only if no other is left; such a candidate counts neither as right
nor as wrong, as does an unmatched candidate of another size. A crowd may be taken by any number of candidates.

Shapes: D candidates, G objects, P pairs of both, A area ranges, T overlaps.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightsmith.kinds.boxes.geometry import areas, overlaps, pairs
from sightsmith.kinds.boxes.rows import Rows

AREAS: Mapping[str, tuple[float, float]] = {
    "all": (0, 1e10),
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, 1e10),
}
"""Square pixels, both ends included, as in COCO."""
OVERLAPS_T = np.linspace(0.5, 0.95, 10)
MOST = 100  # Candidates of a picture and class that count
WRONG, RIGHT, NEITHER = 0, 1, -1

_STEP = 2_000_000  # Pairs of boxes that are held at once
_SLACK = 1e-9  # An overlap of exactly 0.6 counts, in whichever way its sides were computed
_BIG = 1 << 20  # More than the objects of a class in a picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """The candidates that count, surest first, and what each of them found.

    `kept_D` are their positions in the rows; `ranks_D` their places among those of their picture and class, from 0.
    """

    pictures: int
    kept_D: NDArray[np.int64]
    labels_D: NDArray[np.int64]
    pictures_D: NDArray[np.int64]
    scores_D: NDArray[np.float64]
    ranks_D: NDArray[np.int64]
    states_DAT: NDArray[np.int8]  # WRONG, RIGHT, NEITHER
    classes_G: NDArray[np.int64]
    pictures_G: NDArray[np.int64]
    counted_GA: NDArray[np.bool_]  # objects to find
    found_GT: NDArray[np.int64]  # candidate (position among the D) of each object over all areas, -1 for none


def ranked(rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the candidates that count, surest first, (D,), and their ranks in their picture and class, (D,)."""
    cells = _cells(rows.pictures_D, rows.labels_D)
    order = np.lexsort((-rows.scores_D, cells))
    sorted_cells = cells[order]
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order)) - np.searchsorted(sorted_cells, sorted_cells, side="left")
    kept = np.flatnonzero(ranks < MOST)
    kept = kept[np.lexsort((ranks[kept], rows.pictures_D[kept]))]  # ties of scores: by picture
    kept = kept[np.argsort(-rows.scores_D[kept], kind="stable")]
    return kept, ranks[kept]


def match(rows: Rows) -> Matches:
    """Match the candidates of N pictures by the rules of COCO."""
    kept_D, ranks_D = ranked(rows)
    areas_A2 = np.array(list(AREAS.values()), dtype=np.float64)
    out_GA = _outside(rows.areas_G, areas_A2) | rows.ignored_G[:, None]
    out_DA = _outside(areas(rows.boxes_D4[kept_D]), areas_A2)
    taken_DAT, found_GAT = _taken(rows, kept_D, out_GA)
    matched_DAT = taken_DAT >= 0
    # the state of a candidate is that of its object; an unmatched one is wrong unless its size is another
    neither_DAT = np.where(
        matched_DAT,
        out_GA[taken_DAT.clip(min=0), np.arange(len(areas_A2))[:, None]] if len(out_GA) else True,
        out_DA[:, :, None],
    )
    states_DAT = np.where(neither_DAT, NEITHER, np.where(matched_DAT, RIGHT, WRONG)).astype(np.int8)
    return Matches(
        pictures=len(rows),
        kept_D=kept_D,
        labels_D=rows.labels_D[kept_D],
        pictures_D=rows.pictures_D[kept_D],
        scores_D=rows.scores_D[kept_D],
        ranks_D=ranks_D,
        states_DAT=states_DAT,
        classes_G=rows.classes_G,
        pictures_G=rows.pictures_G,
        counted_GA=~out_GA,
        found_GT=found_GAT[:, 0],
    )


def _outside(areas_M: NDArray[np.floating], ranges_A2: NDArray[np.float64]) -> NDArray[np.bool_]:
    return (areas_M[:, None] < ranges_A2[:, 0]) | (areas_M[:, None] > ranges_A2[:, 1])


def _cells(pictures: NDArray[np.integer], labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return a number of each picture and class."""
    return pictures * (1 << 32) + labels


def _near(rows: Rows, kept_D: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], ...]]:
    """Yield the pairs of a candidate and an object of its class that overlap enough: (P,), (P,), IoU (P,), in order."""
    cells_D = _cells(rows.pictures_D[kept_D], rows.labels_D[kept_D])
    cells_G = _cells(rows.pictures_G, rows.classes_G)
    sorted_G = np.sort(cells_G)
    counts_D = np.searchsorted(sorted_G, cells_D, side="right") - np.searchsorted(sorted_G, cells_D, side="left")
    steps_D = np.cumsum(counts_D) // _STEP
    for step in np.unique(steps_D):
        part_D = np.flatnonzero((steps_D == step) & (counts_D > 0))
        one_P, object_P = pairs(cells_D[part_D], cells_G)
        near_P = overlaps(rows.boxes_D4[kept_D[part_D]][one_P], rows.truth_G4[object_P], rows.crowd_G[object_P])
        enough_P = near_P >= OVERLAPS_T[0] - _SLACK
        yield part_D[one_P[enough_P]], object_P[enough_P], near_P[enough_P]


def _taken(
    rows: Rows, kept_D: NDArray[np.int64], out_GA: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the object of each candidate (D, A, T), and the candidate of each object (G, A, T); -1 for none.

    Candidates of one picture and class wait for each other, so they take turns; all pictures and classes go at once.
    """
    shape = (out_GA.shape[1], len(OVERLAPS_T))
    taken_DAT = np.full((len(kept_D), *shape), -1, dtype=np.int64)
    found_GAT = np.full((len(out_GA), *shape), -1, dtype=np.int64)
    parts = list(_near(rows, kept_D))
    if not parts:
        return taken_DAT, found_GAT
    one_P, object_P, near_P = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order_P = np.lexsort((-object_P, -near_P, one_P))  # of equal overlaps the last object comes first, as in COCO
    one_P, object_P, near_P = one_P[order_P], object_P[order_P], near_P[order_P]
    turns_P = _turns(_cells(rows.pictures_D[kept_D], rows.labels_D[kept_D]), one_P)
    by_turn = np.argsort(turns_P, kind="stable")
    for chosen_P in np.split(by_turn, np.flatnonzero(np.diff(turns_P[by_turn])) + 1):
        _take_turn(one_P[chosen_P], object_P[chosen_P], near_P[chosen_P], out_GA, rows.crowd_G, taken_DAT, found_GAT)
    return taken_DAT, found_GAT


def _turns(cells_D: NDArray[np.int64], one_P: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the turn of each pair: the place of its candidate among those of its cell that have a pair."""
    busy, which_P = np.unique(one_P, return_inverse=True)
    cells = cells_D[busy]
    order = np.argsort(cells, kind="stable")
    turns = np.empty(len(busy), dtype=np.int64)
    turns[order] = np.arange(len(busy)) - np.searchsorted(cells[order], cells[order], side="left")
    return turns[which_P]


def _take_turn(
    one_P: NDArray[np.int64],
    object_P: NDArray[np.int64],
    near_P: NDArray[np.float64],
    out_GA: NDArray[np.bool_],
    crowd_G: NDArray[np.bool_],
    taken_DAT: NDArray[np.int64],
    found_GAT: NDArray[np.int64],
) -> None:
    """Let one candidate of each cell take its object, in place; the pairs of a candidate are sorted, best first."""
    starts = np.flatnonzero(np.diff(one_P, prepend=-1))
    place_P = np.arange(len(one_P)) - np.repeat(starts, np.diff(np.append(starts, len(one_P))))
    free_PAT = (found_GAT[object_P] < 0) | crowd_G[object_P, None, None]
    free_PAT &= (near_P[:, None] >= OVERLAPS_T - _SLACK)[:, None]
    worth_PAT = np.where(free_PAT, (_BIG - place_P)[:, None, None] + _BIG * ~out_GA[object_P][:, :, None], 0)
    best_dAT = np.maximum.reduceat(worth_PAT, starts)
    chosen_PAT = (worth_PAT == np.repeat(best_dAT, np.diff(np.append(starts, len(one_P))), axis=0)) & free_PAT
    at, area, overlap = np.nonzero(chosen_PAT)
    taken_DAT[one_P[at], area, overlap] = object_P[at]
    found_GAT[object_P[at], area, overlap] = one_P[at]


def match_voc(rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """Match by the rules of Pascal VOC at an overlap of 0.5: the candidates, surest first, (D,), their states (D,).

    A candidate stands for the object of its class that it overlaps most, be it taken or not: if it is, or overlaps
    less than half, the candidate is wrong. The number of candidates has no limit.
    """
    kept_D = np.argsort(-rows.scores_D, kind="stable")
    states_D = np.full(len(kept_D), WRONG, dtype=np.int8)
    parts = list(_near(rows, kept_D))
    if not parts:
        return kept_D, states_D
    one_P, object_P, near_P = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order_P = np.lexsort((object_P, -near_P, one_P))
    best_P = order_P[np.flatnonzero(np.diff(one_P[order_P], prepend=-1))]  # one pair a candidate, in their order
    ignored_P = rows.ignored_G[object_P[best_P]]
    states_D[one_P[best_P[ignored_P]]] = NEITHER
    sure_P = best_P[~ignored_P]
    _, first = np.unique(object_P[sure_P], return_index=True)
    states_D[one_P[sure_P[first]]] = RIGHT
    return kept_D, states_D
