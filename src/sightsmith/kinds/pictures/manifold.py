"""Precision, recall, density, coverage and copies, from the nearest neighbours of pictures' features; NumPy, float64.

Papers: Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", NeurIPS 2019,
arXiv:1904.06991, section 2 (precision and recall, k = 3); Naeem et al., "Reliable Fidelity and Diversity Metrics for
Generative Models", ICML 2020, arXiv:2002.09797, section 3 (density and coverage, k = 5); Carlini et al., "Extracting
Training Data from Diffusion Models", USENIX Security 2023, arXiv:2301.13188, section 5 (copies: a distance relative to
the mean of the 50 nearest, α = ½).

A neighbourhood is the closed ball around a picture up to its k-th neighbour, the picture itself not counted.

Shapes: N real pictures, M generated ones, T training pictures, Q queries, b rows of a block, k neighbours, D features.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_NEAR, _FAR = 3, 5  # Neighbour that bounds a neighbourhood: of precision and recall, of density and coverage
_NEAREST, _RELATIVE = 50, 0.5  # Of copies: neighbours that are averaged, and the part of their mean distance
_STEP = 4_000_000  # Distances that are held at once, 32 MB
_ROUNDING = 1e-12  # A square of a distance below this part of the vectors' squares is less than float32 resolves


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifold:
    """How two sets lie in each other."""

    precision: float
    """Share of the generated pictures that lie in the neighbourhood of a real one, in 0…1: quality."""
    recall: float
    """Share of the real pictures that lie in the neighbourhood of a generated one, in 0…1: variety."""
    density: float
    """Mean number of real neighbourhoods around a generated picture, divided by k: about 1 for equal distributions."""
    coverage: float
    """Share of the real pictures with a generated one in their neighbourhood, in 0…1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """How often pictures are much nearer to one training picture than to others around it."""

    made: float
    """Share of the generated pictures, in 0…1."""
    held_out: float
    """The same share of real pictures that were not trained with: what a model that copies nothing would have."""


def measure_manifold(real_ND: NDArray[np.floating], made_MD: NDArray[np.floating]) -> Manifold:
    """Return precision, recall, density and coverage of generated pictures.

    Args:
        real_ND: features of real pictures; held-out ones, as training pictures would reward copies.
        made_MD: features of generated pictures. For recall about as many as real ones.

    Raises:
        ValueError: fewer than 6 real or 4 generated pictures, different numbers of features, or values that are not
            finite.
    """
    real_ND, made_MD = _pair(real_ND, made_MD, least=(_FAR + 1, _NEAR + 1))
    near_N, far_N = _radii(real_ND, (_NEAR, _FAR))
    (made_near_M,) = _radii(made_MD, (_NEAR,))
    precise, density, recalled_N, covered_N = 0, 0, np.zeros(len(real_ND), bool), np.zeros(len(real_ND), bool)
    for rows, squares_bN in _blocks(made_MD, real_ND):
        around_bN = squares_bN <= far_N
        precise += int((squares_bN <= near_N).any(axis=1).sum())
        density += int(around_bN.sum())
        covered_N |= around_bN.any(axis=0)
        recalled_N |= (squares_bN <= made_near_M[rows, None]).any(axis=0)
    return Manifold(
        precision=precise / len(made_MD),
        recall=float(recalled_N.mean()),
        density=density / (_FAR * len(made_MD)),
        coverage=float(covered_N.mean()),
    )


def measure_copies(
    train_TD: NDArray[np.floating], made_MD: NDArray[np.floating], held_out_ND: NDArray[np.floating]
) -> Copies:
    """Return how often generated and held-out pictures are copies of training pictures.

    A picture counts if its nearest training picture is nearer than half the mean distance of its 50 nearest (of all, if
    there are fewer). Training data with near duplicates raise both shares, so only the difference tells of copying.

    Args:
        train_TD, made_MD, held_out_ND: features, or pixels as vectors, of training, generated and held-out pictures.

    Raises:
        ValueError: fewer than 2 training pictures, no other ones, different numbers of features, or values that are not
            finite.
    """
    return Copies(
        made=float(copied(train_TD, made_MD).mean()),
        held_out=float(copied(train_TD, held_out_ND).mean()),
    )


def copied(train_TD: NDArray[np.floating], pictures_QD: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which pictures are copies of training pictures, (Q,); rule and errors as of `measure_copies`."""
    _pair(train_TD, pictures_QD, least=(2, 1))
    _, distances_Qk = nearest(train_TD, pictures_QD, count=min(_NEAREST, len(train_TD)))
    first_Q = distances_Qk[:, 0]
    return (first_Q < _RELATIVE * distances_Qk.mean(axis=1)) | (first_Q == 0)


def nearest(
    train_TD: NDArray[np.floating], pictures_QD: NDArray[np.floating], *, count: int = 1
) -> tuple[NDArray[np.int64], Floats]:
    """Return the nearest training pictures of each picture.

    Args:
        train_TD, pictures_QD: features, or pixels as vectors.
        count: neighbours of each picture, in 1…T.

    Returns:
        Positions in the training pictures, (Q, count), the nearest first, and their Euclidean distances, (Q, count).

    Raises:
        ValueError: the count is out of range, there are no pictures, the numbers of features differ, or values are not
            finite.
    """
    train_TD, pictures_QD = _pair(train_TD, pictures_QD, least=(1, 1))
    if not 1 <= count <= len(train_TD):
        raise ValueError(f"count must be in 1…{len(train_TD)}, the training pictures there are, got {count}")
    found = []
    for _, squares_bT in _blocks(pictures_QD, train_TD):
        first_bk = np.argpartition(squares_bT, count - 1, axis=1)[:, :count]
        squares_bk = np.take_along_axis(squares_bT, first_bk, axis=1)
        order_bk = np.lexsort((first_bk, squares_bk))  # equal distances in the order of the pictures
        found.append((np.take_along_axis(first_bk, order_bk, axis=1), np.take_along_axis(squares_bk, order_bk, axis=1)))
    positions, squares = zip(*found, strict=True)
    return np.concatenate(positions), np.sqrt(np.concatenate(squares))


def _radii(features_ND: Floats, neighbours: tuple[int, ...]) -> list[Floats]:
    """Return the square of the distance from each picture to its k-th neighbour, (N,) for each k."""
    parts = [
        # The picture itself is the first of a row, at distance 0, so its k-th neighbour has the index k.
        np.partition(squares_bN, neighbours, axis=1)[:, neighbours]
        for _, squares_bN in _blocks(features_ND, features_ND)
    ]
    return list(np.concatenate(parts).T)


def _blocks(rows_QD: Floats, columns_ND: Floats) -> Iterator[tuple[slice, Floats]]:
    """Yield the squares of the distances from some rows to all columns, (b, N), and which rows these are."""
    centre_D = columns_ND.mean(axis=0)
    rows_QD, columns_ND = rows_QD - centre_D, columns_ND - centre_D  # small numbers lose less to rounding
    lengths_Q, lengths_N = np.square(rows_QD).sum(axis=1), np.square(columns_ND).sum(axis=1)
    step = max(1, _STEP // len(columns_ND))
    for start in range(0, len(rows_QD), step):
        rows = slice(start, start + step)
        sums_bN = lengths_Q[rows, None] + lengths_N
        squares_bN = sums_bN - 2 * (rows_QD[rows] @ columns_ND.T)
        squares_bN[squares_bN < _ROUNDING * sums_bN] = 0
        yield rows, squares_bN


def _pair(
    real_ND: NDArray[np.floating], made_MD: NDArray[np.floating], *, least: tuple[int, int]
) -> tuple[Floats, Floats]:
    for name, features, count in (("first", real_ND, least[0]), ("second", made_MD, least[1])):
        if features.ndim != 2 or len(features) < count:
            raise ValueError(
                f"the {name} set needs features of shape (pictures, features) of at least {count} pictures, "
                f"got shape {features.shape}"
            )
        if not np.isfinite(features).all():
            raise ValueError(f"the {name} set has features that are NaN or infinite; look at its pictures")
    if real_ND.shape[1] != made_MD.shape[1]:
        raise ValueError(
            f"the sets have {real_ND.shape[1]} and {made_MD.shape[1]} features a picture; use one feature net for both"
        )
    return real_ND.astype(np.float64), made_MD.astype(np.float64)
