"""Which kinds of mistakes a detector makes, and what each costs; and which class is taken for which.

Paper: Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020, arXiv:2008.08115. A
candidate that found nothing at an overlap of 0.5 is, in this order:

- `location`: it overlaps an object of its class by 0.1 to 0.5;
- `class`: it overlaps one of another class by 0.5 or more;
- `duplicate`: it overlaps one of its class by 0.5 or more that a surer candidate has found;
- `background`: it overlaps no object by 0.1;
- `both`: it overlaps one of another class by 0.1 to 0.5.

An object that no candidate found is `missed` unless a candidate with a wrong class or location stands for it.

Shapes: D candidates, G objects, P pairs of both, C classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.kinds.boxes.geometry import overlaps, pairs
from sightsmith.kinds.boxes.matching import NEITHER, RIGHT, WRONG, Matches
from sightsmith.kinds.boxes.metrics import average_precision, mean_of_known
from sightsmith.kinds.boxes.rows import Rows

ERRORS = ("class", "location", "both", "duplicate", "background", "missed")
_CLASS, _LOCATION, _BOTH, _DUPLICATE, _BACKGROUND = range(5)
FOUND, NEAR = 0.5, 0.1  # Overlaps from which a box is at the place of an object, and near it
_STEP = 2_000_000  # Pairs of boxes that are held at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistakes:
    """What is wrong with each candidate, and which objects are missed.

    Attributes:
        kinds_D: index into `ERRORS`, -1 for none.
        objects_D: the object that a candidate with a wrong class or location stands for, -1 for none.
        missed_G: objects that neither a right candidate nor one of those stands for.
    """

    kinds_D: NDArray[np.int64]
    objects_D: NDArray[np.int64]
    missed_G: NDArray[np.bool_]


def mistakes(rows: Rows, matches: Matches) -> Mistakes:
    """Name the mistakes of matched candidates."""
    own_D, own_object_D, other_D, other_object_D = _nearest(rows, matches)
    kinds_D = np.select(
        [(own_D >= NEAR) & (own_D < FOUND), other_D >= FOUND, own_D >= FOUND, np.maximum(own_D, other_D) < NEAR],
        [_LOCATION, _CLASS, _DUPLICATE, _BACKGROUND],
        default=_BOTH,
    )
    kinds_D = np.where(matches.states_DAT[:, 0, 0] == WRONG, kinds_D, -1)
    objects_D = np.select([kinds_D == _LOCATION, kinds_D == _CLASS], [own_object_D, other_object_D], default=-1)
    missed_G = matches.counted_GA[:, 0] & (matches.found_GT[:, 0] < 0)
    missed_G[objects_D[objects_D >= 0]] = False
    return Mistakes(kinds_D=kinds_D, objects_D=objects_D, missed_G=missed_G)


def _nearest(rows: Rows, matches: Matches) -> tuple[NDArray[Any], ...]:
    """Return the largest overlap with an object of the same class (D,), which (D,), and both for other classes."""
    count = len(matches.kept_D)
    found = [np.zeros(count), np.full(count, -1), np.zeros(count), np.full(count, -1)]
    for one_P, object_P, near_P in near_pairs(rows, matches, NEAR):
        same_P = matches.labels_D[one_P] == rows.classes_G[object_P]
        for at, chosen_P in ((0, same_P), (2, ~same_P)):
            order_P = np.flatnonzero(chosen_P)
            order_P = order_P[np.argsort(near_P[order_P], kind="stable")]  # the last one written is the largest
            found[at][one_P[order_P]] = near_P[order_P]
            found[at + 1][one_P[order_P]] = object_P[order_P]
    return tuple(found)


def near_pairs(rows: Rows, matches: Matches, least: float) -> Iterator[tuple[NDArray[Any], ...]]:
    """Yield the pairs of a candidate and a counted object of any class, with an overlap of at least that much."""
    counted_G = np.flatnonzero(matches.counted_GA[:, 0])
    pictures_G = rows.pictures_G[counted_G]
    objects_N = np.bincount(pictures_G, minlength=len(rows))
    steps_D = np.cumsum(objects_N[matches.pictures_D]) // _STEP
    for step in np.unique(steps_D):
        part_D = np.flatnonzero(steps_D == step)
        one_P, object_P = pairs(matches.pictures_D[part_D], pictures_G)
        one_P, object_P = part_D[one_P], counted_G[object_P]
        near_P = overlaps(rows.boxes_D4[matches.kept_D[one_P]], rows.truth_G4[object_P])
        enough_P = near_P >= least
        yield one_P[enough_P], object_P[enough_P], near_P[enough_P]


def costs(matches: Matches, found: Mistakes, count: int) -> dict[str, tuple[int, float]]:
    """Return how often each error happens, and by how much mAP 50 would grow without it, 0…1.

    A wrong class or location is put right if its object is not found yet, by the surest one, else taken away, as the
    other candidates are; missed objects are taken away. Errors hide each other, so the gains do not add up.
    """
    before = _precision(matches, matches.labels_D, matches.states_DAT[:, 0, 0], matches.counted_GA[:, 0], count)
    gains = {}
    for kind, name in enumerate(ERRORS):
        counted_G = matches.counted_GA[:, 0]
        labels_D, states_D = matches.labels_D.copy(), matches.states_DAT[:, 0, 0].copy()
        states_D[found.kinds_D == kind] = NEITHER
        if name == "missed":
            counted_G = counted_G & ~found.missed_G
        elif kind in {_CLASS, _LOCATION}:
            mended_D = _mended(matches, found, kind)
            states_D[mended_D] = RIGHT
            labels_D[mended_D] = matches.classes_G[found.objects_D[mended_D]]
        number = found.missed_G.sum() if name == "missed" else (found.kinds_D == kind).sum()
        gains[name] = (int(number), _precision(matches, labels_D, states_D, counted_G, count) - before)
    return gains


def _mended(matches: Matches, found: Mistakes, kind: int) -> NDArray[np.int64]:
    """Return the surest candidate with this error of each object that none has found."""
    wrong_D = np.flatnonzero(found.kinds_D == kind)
    wrong_D = wrong_D[matches.found_GT[found.objects_D[wrong_D], 0] < 0]
    _, first = np.unique(found.objects_D[wrong_D], return_index=True)
    return wrong_D[first]


def _precision(
    matches: Matches,
    labels_D: NDArray[np.int64],
    states_D: NDArray[np.int8],
    counted_G: NDArray[np.bool_],
    count: int,
) -> float:
    objects_C = np.bincount(matches.classes_G[counted_G], minlength=count).astype(np.float64)
    ones_1N = np.ones((1, matches.pictures))
    each = [
        average_precision(
            states_D[labels_D == label], matches.pictures_D[labels_D == label], objects_C[label, None], ones_1N
        )
        for label in range(count)
    ]
    return float(np.nan_to_num(mean_of_known(np.stack(each, axis=1))[0]))


def confusion(rows: Rows, matches: Matches, sure_D: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """Return how often an object of each class got each answer, (C + 1, C + 1); the last row and column: background.

    Sure candidates of the same class come first; the others are paired by their overlap, 0.5 at least.
    """
    table = np.zeros((count + 1, count + 1), dtype=np.int64)
    states_D = matches.states_DAT[:, 0, 0]
    finder_G = matches.found_GT[:, 0]
    found_G = matches.counted_GA[:, 0] & (finder_G >= 0)
    found_G[found_G] = sure_D[finder_G[found_G]]
    np.add.at(table, (matches.classes_G[found_G], matches.classes_G[found_G]), 1)
    left_D = sure_D & (states_D == WRONG)
    left_G = matches.counted_GA[:, 0] & ~found_G
    columns = [np.concatenate(parts) for parts in zip(*near_pairs(rows, matches, FOUND), strict=True)]
    if columns:
        open_P = np.flatnonzero(left_D[columns[0]] & left_G[columns[1]])
        for at in open_P[np.argsort(-columns[2][open_P], kind="stable")].tolist():
            one, other = columns[0][at], columns[1][at]
            if left_D[one] and left_G[other]:
                left_D[one] = left_G[other] = False
                table[matches.classes_G[other], matches.labels_D[one]] += 1
    table[:count, count] = np.bincount(matches.classes_G[left_G], minlength=count)
    table[count, :count] = np.bincount(matches.labels_D[left_D], minlength=count)
    return table
