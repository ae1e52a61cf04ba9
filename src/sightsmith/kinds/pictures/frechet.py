"""Distances between the features of real and generated pictures: the Fréchet distance (FD) and KID; NumPy, float64.

Papers: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS
2017, arXiv:1706.08500, section 4 (FD of two normal distributions; FID if the features are Inception's, which ours are
not); Chong and Forsyth, "Effectively Unbiased FID and Inception Score and Where to Find Them", CVPR 2020,
arXiv:1911.07023 (FD∞); Bińkowski et al., "Demystifying MMD GANs", ICLR 2018, arXiv:1801.01401, section 4 (KID).

Shapes: N real pictures, M generated ones, D features, R = min(N, D), P sizes of samples.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SIZES = 15  # Of samples for FD∞, as in the paper
_BLOCKS, _BLOCK = 10, 1000  # Fewest blocks of KID, and pictures in one; the paper's blocks have 1,000
_ROWS = 1024  # Of a kernel matrix that are held at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Kid:
    """The squared maximum mean discrepancy under a cubic kernel."""

    value: float
    """Unbiased, no unit: near 0 for two samples of one distribution, and then as often below as above."""
    standard_error: float
    """Of the value, > 0, from the spread between blocks."""


def fd(real_ND: NDArray[np.floating], made_MD: NDArray[np.floating]) -> float:
    """Return the Fréchet distance |μ₁ - μ₂|² + tr Σ₁ + tr Σ₂ - 2 tr √(Σ₁Σ₂) of the features of two sets.

    It is computed from factors of the covariances, so fewer pictures than features need no correction of the
    covariances. The value of two finite sets lies above that of their distributions by about `bias`.

    Returns:
        ≥ 0, in squared units of the features; 0 for equal means and covariances.

    Raises:
        ValueError: fewer than two pictures, different numbers of features, or values that are not finite.
    """
    (mean_D, factor_RD), (made_mean_D, made_factor_RD) = (_moments(one) for one in _pair(real_ND, made_MD))
    # Σ = LLᵀ, and tr √(L₁L₁ᵀL₂L₂ᵀ) is the sum of the singular values of L₁ᵀL₂.
    shared = np.linalg.svd(factor_RD @ made_factor_RD.T, compute_uv=False).sum()
    apart = np.square(mean_D - made_mean_D).sum() + np.square(factor_RD).sum() + np.square(made_factor_RD).sum()
    return max(0.0, float(apart - 2 * shared))  # rounding may lead below 0


def fd_infinite(real_ND: NDArray[np.floating], made_MD: NDArray[np.floating], *, seed: int = 0) -> float:
    """Return the Fréchet distance extrapolated to infinitely many pictures.

    FD of n pictures of each set is linear in 1/n apart from higher orders. It is computed for 15 values of n, with 1/n
    evenly spaced from a quarter of the smaller set up to the whole of it. A line is fitted, and its value at 1/n = 0 is
    returned. Unlike in the paper, both sets are sampled, as the real pictures are finite too.

    Args:
        real_ND, made_MD: as for `fd`. The smaller set needs at least 8 pictures for each feature.
        seed: of the draws, which are without replacement.

    Returns:
        In squared units of the features; it may lie below 0 by chance.

    Raises:
        ValueError: as `fd`, or too few pictures.
    """
    real_ND, made_MD = _pair(real_ND, made_MD)
    most, features = min(len(real_ND), len(made_MD)), real_ND.shape[1]
    if most < 8 * features:
        raise ValueError(
            f"fd_infinite needs at least 8 pictures of each set for each of the {features} features, {8 * features}, "
            f"got {most}; use fd and bias"
        )
    rng = np.random.default_rng(seed)
    sizes_P = np.round(1 / np.linspace(4 / most, 1 / most, _SIZES)).astype(int)
    values_P = [
        fd(rng.choice(real_ND, size, replace=False), rng.choice(made_MD, size, replace=False)) for size in sizes_P
    ]
    return float(np.polynomial.Polynomial.fit(1 / sizes_P, values_P, 1)(0.0))


def bias(features_ND: NDArray[np.floating], counts: Iterable[int]) -> float:
    """Return how far FD of samples lies above that of their distributions, when those are nearly equal.

    For normal features and n pictures it is [Σλ + Σᵢⱼ λᵢλⱼ(1 + δᵢⱼ) / (2(λᵢ + λⱼ))] / n with the eigenvalues λ of the
    covariance. The first sum is the error of the mean. The second is that of the covariance, by the Bures distance to
    second order, Σᵢⱼ Eᵢⱼ² / (2(λᵢ + λⱼ)), under the variance λᵢλⱼ(1 + δᵢⱼ) / n of its entries (Wishart).

    Args:
        features_ND: from which the eigenvalues are estimated; well more pictures than features.
        counts: pictures in each finite set: two for FD of two samples, one against a known distribution.

    Returns:
        > 0 unless all pictures are equal, in squared units of the features.

    Raises:
        ValueError: as `fd`, or a count below 2.
    """
    counts = tuple(counts)
    if not counts or min(counts) < 2:
        raise ValueError(f"bias needs the number of pictures of each finite set, each at least 2, got {counts}")
    _, factor_RD = _moments(_checked("features", features_ND))
    values_D = np.square(np.linalg.svd(factor_RD, compute_uv=False))
    values_D = values_D[values_D > 0]
    pairs_DD = np.outer(values_D, values_D) / (2 * np.add.outer(values_D, values_D))
    return float((values_D.sum() + pairs_DD.sum() + np.trace(pairs_DD)) * sum(1 / count for count in counts))


def kid(real_ND: NDArray[np.floating], made_MD: NDArray[np.floating], *, seed: int = 0) -> Kid:
    """Return the kernel distance of two sets under (xᵀy / D + 1)³.

    Both sets are shuffled and cut into the same number of blocks, at least 10 and so many that none has more than 1,000
    pictures. The value is the mean of the unbiased estimates of the blocks. As blocks share no picture, their spread
    gives a valid standard error, which the overlapping subsets of the paper do not.

    Args:
        real_ND, made_MD: as for `fd`. There are fewer blocks if a set has not two pictures for each.
        seed: of the shuffles.

    Raises:
        ValueError: as `fd`, or fewer than 4 pictures in a set.
    """
    real_ND, made_MD = _pair(real_ND, made_MD)
    few, many = sorted((len(real_ND), len(made_MD)))
    if few < 4:
        raise ValueError(f"kid needs at least 4 pictures of each set, got {len(real_ND)} and {len(made_MD)}")
    blocks = min(max(_BLOCKS, -(-many // _BLOCK)), few // 2)
    rng = np.random.default_rng(seed)
    cut_sets = (np.array_split(rng.permutation(one), blocks) for one in (real_ND, made_MD))
    values = [_discrepancy(*pair) for pair in zip(*cut_sets, strict=True)]
    return Kid(value=float(np.mean(values)), standard_error=float(np.std(values, ddof=1) / np.sqrt(blocks)))


def _discrepancy(real_ND: Floats, made_MD: Floats) -> float:
    """Return the unbiased estimate of the squared discrepancy: pairs of a picture with itself are left out."""
    within = [
        (_kernel_sum(one, one) - _kernel_of_equals(one)) / (len(one) * (len(one) - 1)) for one in (real_ND, made_MD)
    ]
    return sum(within) - 2 * _kernel_sum(real_ND, made_MD) / (len(real_ND) * len(made_MD))


def _kernel_sum(first_ND: Floats, second_MD: Floats) -> float:
    starts = [*range(0, len(first_ND), _ROWS), len(first_ND)]
    features = first_ND.shape[1]
    return sum(
        float(((first_ND[start:end] @ second_MD.T / features + 1) ** 3).sum()) for start, end in pairwise(starts)
    )


def _kernel_of_equals(features_ND: Floats) -> float:
    return float(((np.square(features_ND).mean(axis=1) + 1) ** 3).sum())


def _moments(features_ND: Floats) -> tuple[Floats, Floats]:
    """Return the mean (D,) and a factor (R, D) whose transpose times itself is the unbiased covariance."""
    mean_D = features_ND.mean(axis=0)
    return mean_D, np.linalg.qr(features_ND - mean_D, mode="r") / np.sqrt(len(features_ND) - 1)


def _pair(real_ND: NDArray[np.floating], made_MD: NDArray[np.floating]) -> tuple[Floats, Floats]:
    real, made = _checked("real", real_ND), _checked("generated", made_MD)
    if real.shape[1] != made.shape[1]:
        raise ValueError(
            f"real pictures have {real.shape[1]} features and generated ones {made.shape[1]}; use one feature net"
        )
    return real, made


def _checked(name: str, features_ND: NDArray[np.floating]) -> Floats:
    if features_ND.ndim != 2 or len(features_ND) < 2 or not features_ND.shape[1]:
        raise ValueError(
            f"{name} pictures: needs features of shape (pictures, features) and at least 2 pictures, "
            f"got shape {features_ND.shape}"
        )
    if not np.isfinite(features_ND).all():
        raise ValueError(f"{name} pictures: features must be finite, got NaN or infinity; look at the pictures")
    return features_ND.astype(np.float64)
