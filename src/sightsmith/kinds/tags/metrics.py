"""How well tags are found: average precision, F1 at thresholds, and thresholds to choose; NumPy only.

Average precision is the step-wise sum over recall (no interpolation), with samples of equal score counted together, as
in scikit-learn. Unknown targets (NaN) are left out tag by tag. A tag without a positive sample has no value (NaN).

Shapes: N samples, K tags, r draws.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def average_precision(scores_N: Floats, targets_N: Floats, weights_rN: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the average precision of one tag in each draw, (r,) in 0…1; NaN if a draw has no positive sample.

    Args:
        targets_N: 1, 0 or NaN.
        weights_rN: how often each draw has each sample.
    """
    known_N = ~np.isnan(targets_N)
    order = np.argsort(-scores_N[known_N], kind="stable")
    sorted_N, hits_N = scores_N[known_N][order], targets_N[known_N][order]
    weights_rN = weights_rN[:, known_N][:, order]
    if not len(sorted_N):
        return np.full(len(weights_rN), np.nan)
    last_N = np.searchsorted(-sorted_N, -sorted_N, side="right") - 1  # index of the last sample of each score
    found_rN = np.cumsum(weights_rN * hits_N, axis=1)
    taken_rN = np.cumsum(weights_rN, axis=1)
    precision_rN = (found_rN / np.maximum(taken_rN, 1e-12))[:, last_N]
    positives_r = found_rN[:, -1]
    total_r = (precision_rN * weights_rN * hits_N).sum(axis=1)
    return np.where(positives_r > 0, total_r / np.maximum(positives_r, 1e-12), np.nan)


def average_precisions(
    scores_NK: Floats, targets_NK: Floats, weights_rN: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the average precision of each tag in each draw, (r, K); without weights of the samples themselves."""
    weights_rN = np.ones((1, len(scores_NK))) if weights_rN is None else weights_rN
    columns = [average_precision(scores_NK[:, k], targets_NK[:, k], weights_rN) for k in range(scores_NK.shape[1])]
    return np.stack(columns, axis=1)


def mean_average_precision(scores_NK: Floats, targets_NK: Floats) -> float:
    """Return the mean over the tags that have a positive sample, in 0…1; NaN if none has."""
    return float(mean_of_known(average_precisions(scores_NK, targets_NK))[0])


def mean_of_known(values_rK: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the tags that have a value, (r,); NaN if none has."""
    known_r = (~np.isnan(values_rK)).sum(axis=1)
    return np.where(known_r > 0, np.nansum(values_rK, axis=1) / np.maximum(known_r, 1), np.nan)


def prevalence(targets_NK: Floats, weights_rN: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Return the share of positive samples of each tag, (r, K): the average precision of constant scores.

    NaN for a tag without a positive sample, as its average precision.
    """
    weights_rN = np.ones((1, len(targets_NK))) if weights_rN is None else weights_rN
    positives_rK = weights_rN @ np.nan_to_num(targets_NK).astype(np.float64)
    known_rK = weights_rN @ (~np.isnan(targets_NK)).astype(np.float64)
    return np.where(positives_rK > 0, positives_rK / np.maximum(known_rK, 1e-12), np.nan)


def counts(
    present_NK: NDArray[np.bool_], targets_NK: Floats, weights_rN: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return true positives, answers and positives of each tag in each draw, each (r, K); unknown targets left out."""
    weights_rN = np.ones((1, len(targets_NK))) if weights_rN is None else weights_rN
    known_NK = ~np.isnan(targets_NK)
    right_NK = present_NK & (np.nan_to_num(targets_NK) > 0)
    parts = (right_NK, present_NK & known_NK, np.nan_to_num(targets_NK))
    hits_rK, answered_rK, positives_rK = (weights_rN @ part.astype(np.float64) for part in parts)
    return hits_rK, answered_rK, positives_rK


def f1(present_NK: NDArray[np.bool_], targets_NK: Floats) -> NDArray[np.float64]:
    """Return the F1 of each tag, (K,) in 0…1; NaN if it has no positive sample."""
    return f1_of(*counts(present_NK, targets_NK))[0]


def f1_of(
    hits_rK: NDArray[np.float64], answered_rK: NDArray[np.float64], positives_rK: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the F1 of each tag from its counts, (r, K) in 0…1; NaN if it has no positive sample."""
    return np.where(positives_rK > 0, 2 * hits_rK / np.maximum(answered_rK + positives_rK, 1e-12), np.nan)


def best_thresholds(scores_NK: Floats, targets_NK: Floats, min_precision: float = 0.0) -> NDArray[np.float64]:
    """Return a threshold for each tag, (K,) in 0…1.

    Args:
        min_precision: 0 takes the threshold with the best F1; else the lowest with at least this precision, and 1
            (which no score reaches) if none has it.

    A tag without a positive sample gets 0.5. Thresholds are midway between two neighbouring scores.
    """
    return np.array(
        [_best_threshold(scores_NK[:, k], targets_NK[:, k], min_precision) for k in range(scores_NK.shape[1])]
    )


def _best_threshold(scores_N: Floats, targets_N: Floats, min_precision: float) -> float:
    known_N = ~np.isnan(targets_N)
    order = np.argsort(-scores_N[known_N], kind="stable")
    sorted_N = scores_N[known_N][order].astype(np.float64)
    hits_N = np.cumsum(targets_N[known_N][order])
    if not len(sorted_N) or not hits_N[-1]:
        return 0.5
    ends = np.append(np.flatnonzero(np.diff(sorted_N)), len(sorted_N) - 1)  # equal scores are answered together
    answered, hits = ends + 1, hits_N[ends]
    if min_precision:
        good = np.flatnonzero(hits / answered >= min_precision)
        if not len(good):
            return 1.0
        at = int(good[-1])
    else:
        at = int(np.argmax(2 * hits / (answered + hits_N[-1])))
    below = sorted_N[ends[at] + 1] if ends[at] + 1 < len(sorted_N) else 0.0
    return float((sorted_N[ends[at]] + below) / 2)
