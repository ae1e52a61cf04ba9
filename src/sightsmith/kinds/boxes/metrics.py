"""How well objects are found: average precision and recall of COCO and Pascal VOC, F1, and thresholds to choose.

Everything is computed from candidates that were matched once (`matching.py`), under weights of the pictures, so that
draws of a bootstrap match nothing again. A class without an object to find has no value (NaN).

Shapes: N pictures, D candidates of one class, surest first, C classes, A area ranges, T overlaps, r draws.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sightsmith.kinds.boxes.matching import AREAS, MOST, NEITHER, OVERLAPS_T, RIGHT, Matches, match, match_voc
from sightsmith.kinds.boxes.rows import Rows

Floats = NDArray[np.float64]

RECALLS = np.linspace(0, 1, 101)  # Recalls at which COCO reads the precision
VOC_RECALLS = np.linspace(0, 1, 11)  # Those of Pascal VOC until 2009
_COMMON = 20  # Objects of a class from which its own threshold counts as much as that of all classes
_TINY = 1e-12


def average_precision(
    states_D: NDArray[np.int8],
    pictures_D: NDArray[np.int64],
    objects_r: Floats,
    weights_rN: Floats,
    recalls: Floats | None = RECALLS,
) -> Floats:
    """Return the average precision of one class in each draw, (r,) in 0…1; NaN if a draw has no object to find.

    The precision at a recall is the largest one at this recall or above. It changes at right candidates alone, so it
    is computed there.

    Args:
        states_D: `matching.RIGHT`, `WRONG` or `NEITHER`.
        objects_r: how many objects each draw has.
        weights_rN: how often each draw has each picture.
        recalls: at which the precision is read and averaged; None takes the area below the curve (VOC since 2010).
    """
    counting = states_D != NEITHER
    right_H = np.flatnonzero(states_D[counting] == RIGHT)
    drawn_rD = weights_rN[:, pictures_D[counting]]
    answered_rH, found_rH = np.cumsum(drawn_rD, axis=1)[:, right_H], np.cumsum(drawn_rD[:, right_H], axis=1)
    precision_rH = np.maximum.accumulate((found_rH / np.maximum(answered_rH, _TINY))[:, ::-1], axis=1)[:, ::-1]
    recall_rH = found_rH / np.maximum(objects_r, _TINY)[:, None]
    if recalls is None:
        sums_r = (precision_rH * np.diff(recall_rH, axis=1, prepend=0)).sum(axis=1)
    else:
        read_rH = np.diff(np.searchsorted(recalls, recall_rH, side="right"), axis=1, prepend=0)
        sums_r = (precision_rH * read_rH).sum(axis=1) / len(recalls)
    return np.where(objects_r > 0, sums_r, np.nan)


class Scorer:
    """The metrics of matched candidates under any weights of the pictures.

    Args:
        count: of the classes.
    """

    def __init__(self, matches: Matches, count: int) -> None:
        self.matches, self.count = matches, count
        order = np.argsort(matches.labels_D, kind="stable")
        ends = np.searchsorted(matches.labels_D[order], np.arange(count + 1))
        self.places_C = [order[start:end] for start, end in pairwise(ends)]
        self._objects_ANC = [_counted(matches, counted_G, count) for counted_G in matches.counted_GA.T]

    def objects(self, weights_rN: Floats, area: int = 0) -> Floats:
        """Return how many objects of each class are to be found, (r, C)."""
        return weights_rN @ self._objects_ANC[area]

    def precisions(self, weights_rN: Floats, area: int = 0) -> Floats:
        """Return the average precision of each class at each overlap, (r, C, T)."""
        objects_rC = self.objects(weights_rN, area)
        values_rCT = np.empty((len(weights_rN), self.count, len(OVERLAPS_T)))
        for label, places in enumerate(self.places_C):
            pictures_D, states_DT = self.matches.pictures_D[places], self.matches.states_DAT[places, area]
            for at in range(len(OVERLAPS_T)):
                values_rCT[:, label, at] = average_precision(
                    states_DT[:, at], pictures_D, objects_rC[:, label], weights_rN
                )
        return values_rCT

    def recalls(self, weights_rN: Floats, area: int = 0, most: int = MOST) -> Floats:
        """Return the recall of each class with at most so many candidates a picture, over all overlaps, (r, C)."""
        matches = self.matches
        found_D = (matches.states_DAT[:, area] == RIGHT).mean(axis=1) * (matches.ranks_D < most)
        found_NC = _summed(matches.pictures_D, matches.labels_D, found_D, (matches.pictures, self.count))
        objects_rC = self.objects(weights_rN, area)
        return np.where(objects_rC > 0, (weights_rN @ found_NC) / np.maximum(objects_rC, _TINY), np.nan)

    def averages(self, weights_rN: Floats) -> dict[str, Floats]:
        """Return the averages of COCO in its order, (r,) each: mAP, by overlap and by size, and the average recall."""
        found: dict[str, Floats] = {}
        for area, name in enumerate(AREAS):
            values_rCT = self.precisions(weights_rN, area)
            found["map" if area == 0 else f"map_{name}"] = mean_of_known(values_rCT.mean(axis=2))
            if area == 0:
                found["map_50"], found["map_75"] = (mean_of_known(values_rCT[:, :, at]) for at in (0, 5))
        found |= {f"ar_{most}": mean_of_known(self.recalls(weights_rN, 0, most)) for most in (1, 10, 100)}
        return found | {
            f"ar_{name}": mean_of_known(self.recalls(weights_rN, area)) for area, name in enumerate(AREAS) if area
        }


def _counted(matches: Matches, counted_G: NDArray[np.bool_], count: int) -> Floats:
    shape = (matches.pictures, count)
    return _summed(matches.pictures_G, matches.classes_G, counted_G.astype(np.float64), shape)


def _summed(rows: NDArray[np.int64], columns: NDArray[np.int64], values: Floats, shape: tuple[int, int]) -> Floats:
    flat = np.bincount(rows * shape[1] + columns, values, minlength=shape[0] * shape[1])
    return flat.reshape(shape).astype(np.float64)


def mean_of_known(values_rC: Floats) -> Floats:
    """Return the mean over the classes that have a value, (r,); NaN if none has."""
    known_r = (~np.isnan(values_rC)).sum(axis=1)
    return np.where(known_r > 0, np.nansum(values_rC, axis=1) / np.maximum(known_r, 1), np.nan)


def voc_precisions(rows: Rows, count: int) -> tuple[Floats, Floats]:
    """Return the average precision of each class by Pascal VOC: of 11 points (C,), and of the area (C,)."""
    kept_D, states_D = match_voc(rows)
    objects_C = np.bincount(rows.classes_G[~rows.ignored_G], minlength=count).astype(np.float64)
    ones_1N = np.ones((1, len(rows)))
    values = []
    for recalls in (VOC_RECALLS, None):
        one = []
        for label in range(count):
            of_label = rows.labels_D[kept_D] == label
            pictures_D = rows.pictures_D[kept_D[of_label]]
            one.append(average_precision(states_D[of_label], pictures_D, objects_C[label, None], ones_1N, recalls)[0])
        values.append(np.array(one))
    return values[0], values[1]


def headline(rows: Rows) -> dict[str, float]:
    """Return mAP as `map`, and that at an overlap of 0.5 as `map_50`, in 0…1; NaN without an object to find."""
    count = 1 + int(max(rows.classes_G.max(initial=0), rows.labels_D.max(initial=0)))
    values_1CT = Scorer(match(rows), count).precisions(np.ones((1, len(rows))))
    return {
        "map": float(mean_of_known(values_1CT.mean(axis=2))[0]),
        "map_50": float(mean_of_known(values_1CT[:, :, 0])[0]),
    }


def thresholds(matches: Matches, count: int, default: float) -> tuple[float, list[float]]:
    """Return the threshold with the best F1 over all classes, and one for each class, in 0…1.

    The best threshold of few objects says little, so that of a class is drawn towards the common one: it counts as much
    as its number of objects, the common one as 20. The curve is the raw one: an interpolated precision would promise
    an F1 that no threshold has.

    Args:
        matches: of validation, matched at an overlap of 0.5 for this.
        default: the answer if there is no object.
    """
    objects_C = np.bincount(matches.classes_G[matches.counted_GA[:, 0]], minlength=count).astype(np.float64)
    states_D = matches.states_DAT[:, 0, 0]
    common = best_threshold(matches.scores_D, states_D, objects_C.sum())
    common = default if common is None else common
    each = []
    for label in range(count):
        of_label = matches.labels_D == label
        own = best_threshold(matches.scores_D[of_label], states_D[of_label], objects_C[label])
        weight = 0.0 if own is None else objects_C[label] / (objects_C[label] + _COMMON)
        each.append(common if own is None else float(weight * own + (1 - weight) * common))
    return common, each


def best_threshold(scores_D: Floats, states_D: NDArray[np.int8], objects: float) -> float | None:
    """Return the threshold with the best F1, midway between two scores; None if nothing is found at any."""
    scores_S, _, _, f1_S = f1_curve(scores_D, states_D, objects)
    if not len(f1_S) or not f1_S.max() > 0:
        return None
    at = int(f1_S.argmax())
    return float((scores_S[at] + (scores_S[at + 1] if at + 1 < len(scores_S) else 0.0)) / 2)


def f1_curve(scores_D: Floats, states_D: NDArray[np.int8], objects: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Return precision, recall and F1 from each score on: the scores, falling, (S,), and the three, (S,) in 0…1."""
    counting = states_D != NEITHER
    scores_D, right_D = scores_D[counting], states_D[counting] == RIGHT
    last_S = np.append(np.flatnonzero(np.diff(scores_D)), len(scores_D) - 1) if len(scores_D) else np.zeros(0, np.int64)
    found_S, answered_S = np.cumsum(right_D)[last_S].astype(np.float64), last_S + 1.0
    recall_S = found_S / max(objects, _TINY)
    return scores_D[last_S], found_S / answered_S, recall_S, 2 * found_S / np.maximum(answered_S + objects, _TINY)
