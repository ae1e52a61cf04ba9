"""The candidates and the objects of many pictures, as columns: what every figure is computed from.

Shapes: N pictures, D candidates, G objects; 4 = (left, top, right, bottom).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sightsmith.kinds.boxes.truth import PADDING, Boxed, boxed

Candidates = tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.integer]]
"""Boxes (K, 4), scores (K,) and labels (K,) of one picture, best first."""
_DIGITS = 6  # Of a score


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Candidates and objects, ordered by their pictures, the candidates of a picture best first.

    Boxes are rounded to hundredths of a pixel and scores to six digits, so that a table of them loads back equal.
    """

    sizes_N2: NDArray[np.int64]  # (width, height) of each picture in pixels
    boxes_D4: NDArray[np.float64]  # in pixels of the upright picture, as all boxes here
    scores_D: NDArray[np.float64]
    labels_D: NDArray[np.int64]  # indices of the names, as all labels here
    pictures_D: NDArray[np.int64]  # the position of each candidate's picture
    truth_G4: NDArray[np.float64]
    classes_G: NDArray[np.int64]
    pictures_G: NDArray[np.int64]
    areas_G: NDArray[np.float64]  # square pixels
    ignored_G: NDArray[np.bool_]
    crowd_G: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.sizes_N2)

    def of(self, sample: int) -> Self:
        """Return the rows of one picture."""
        return self.taken(np.array([sample]))

    def taken(self, pictures_M: NDArray[np.integer]) -> Self:
        """Return the rows of some pictures, in this order, each at most once."""
        place_N = np.full(len(self), -1)
        place_N[pictures_M] = np.arange(len(pictures_M))
        chosen_D, chosen_G = _ordered(place_N[self.pictures_D]), _ordered(place_N[self.pictures_G])
        columns = {
            name: getattr(self, name)[chosen_D if name.split("_")[1].startswith("D") else chosen_G]
            for name in self.__dataclass_fields__
            if name != "sizes_N2"
        }
        columns |= {name: place_N[columns[name]] for name in ("pictures_D", "pictures_G")}
        return type(self)(sizes_N2=self.sizes_N2[pictures_M], **columns)


def _ordered(places: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the positions of the places ≥ 0, in the order of the places."""
    known = np.flatnonzero(places >= 0)
    return known[np.argsort(places[known], kind="stable")]


def rows_of(candidates: Sequence[Candidates], truths: Sequence[Boxed], *, exact: bool = False) -> Rows:
    """Return the columns of N pictures.

    Args:
        exact: keep boxes as they are, because they are not in pixels.
    """
    counts_N = [len(scores_K) for _, scores_K, _ in candidates]
    boxes_D4 = _joined([boxes_K4 for boxes_K4, _, _ in candidates], 4).astype(np.float64)
    scores_D = _joined([scores_K for _, scores_K, _ in candidates]).astype(np.float64)
    return Rows(
        sizes_N2=np.array([truth.size for truth in truths], dtype=np.int64).reshape(-1, 2),
        boxes_D4=boxes_D4 if exact else boxes_D4.round(2),
        scores_D=np.array([float(f"{score:.{_DIGITS}g}") for score in scores_D.tolist()]),
        labels_D=_joined([labels_K for _, _, labels_K in candidates]).astype(np.int64),
        pictures_D=np.repeat(np.arange(len(candidates)), counts_N),
        truth_G4=_joined([truth.boxes_N4 for truth in truths], 4),
        classes_G=_joined([truth.labels_N for truth in truths]).astype(np.int64),
        pictures_G=np.repeat(np.arange(len(truths)), [len(truth) for truth in truths]),
        areas_G=_joined([truth.areas_N for truth in truths]),
        ignored_G=_joined([truth.ignored_N for truth in truths]).astype(np.bool_),
        crowd_G=_joined([truth.crowd_N for truth in truths]).astype(np.bool_),
    )


def truths_in(rows: Rows) -> list[Boxed]:
    """Return the truth of each picture."""
    ends = np.searchsorted(rows.pictures_G, np.arange(len(rows) + 1)).tolist()
    return [
        boxed(
            rows.truth_G4[start:end],
            rows.classes_G[start:end],
            (width, height),
            ignored_N=rows.ignored_G[start:end],
            crowd_N=rows.crowd_G[start:end],
            areas_N=rows.areas_G[start:end],
        )
        for start, end, (width, height) in zip(ends[:-1], ends[1:], rows.sizes_N2.tolist(), strict=True)
    ]


def truths_of(targets_NM6: NDArray[np.floating]) -> list[Boxed]:
    """Return the truths of padded targets of training, in the unit of the targets; their size is unknown, (1, 1)."""
    real = [rows_M6[rows_M6[:, 4] != PADDING] for rows_M6 in targets_NM6]
    return [boxed(one[:, :4], one[:, 4].astype(np.int64), (1, 1), ignored_N=one[:, 5] > 0) for one in real]


def _joined(parts: Sequence[NDArray[Any]], *inside: int) -> NDArray[Any]:
    return np.concatenate([np.zeros((0, *inside)), *(part.reshape(-1, *inside) for part in parts)])
