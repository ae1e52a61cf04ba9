"""How often a classifier is right: arrays in, numbers out, NumPy only.

All counts of right and wrong answers come from one confusion matrix.

A class with no sample in the targets has no recall and no AUROC: its row says NaN, and the averages leave it out.
A class that is never predicted has precision 0, as in scikit-learn with `zero_division=0`.

Shapes: N samples, K classes, G groups; `support` is the number of samples whose target is the class.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightsmith.kinds.parts.intervals import middle_ranks

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True)
class PerClass:
    """One-against-the-rest figures of each class, all of shape (K,); NaN for a class without a sample."""

    precision_K: Floats
    recall_K: Floats
    f1_K: Floats
    support_K: Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Average:
    """An average over the classes that have at least one sample, each value in 0…1."""

    precision: float
    recall: float
    f1: float


def accuracy(probabilities_NK: Floats, targets_N: Integers) -> float:
    """Return the share of samples whose most probable class is the target, in 0…1.

    Among equally probable classes the first is the answer, as with `argmax`.

    Raises ValueError: the shapes do not fit, there is no sample, or a target is outside 0…K-1.
    """
    return top_k(probabilities_NK, targets_N, 1)


def top_k(probabilities_NK: Floats, targets_N: Integers, k: int) -> float:
    """Return the share of samples whose target is among the k most probable classes, in 0…1.

    Raises ValueError: as `accuracy`, or k < 1.
    """
    if k < 1:
        raise ValueError(f"top_k: k must be ≥ 1, got {k!r}")
    return float((ranks(probabilities_NK, targets_N) < k).mean())


def ranks(probabilities_NK: Floats, targets_N: Integers) -> Integers:
    """Return the place of each target among the sorted classes, (N,) in 0…K-1, 0 for the most probable class."""
    check(probabilities_NK, targets_N)
    own_N1 = np.take_along_axis(probabilities_NK, targets_N[:, None], axis=1)
    earlier_NK = np.arange(probabilities_NK.shape[1]) < targets_N[:, None]
    return ((probabilities_NK > own_N1) | ((probabilities_NK == own_N1) & earlier_NK)).sum(axis=1)


def confusion_matrix(predicted_N: Integers, targets_N: Integers, classes: int) -> NDArray[np.int64]:
    """Return how often each class (row) was answered as each class (column), (K, K)."""
    if predicted_N.shape != targets_N.shape:
        raise ValueError(f"confusion_matrix: {predicted_N.shape} answers for {targets_N.shape} targets")
    cells_N = targets_N.astype(np.int64) * classes + predicted_N
    return np.bincount(cells_N, minlength=classes * classes).reshape(classes, classes)


def per_class(confusion_KK: Integers) -> PerClass:
    """Return precision, recall, F1 and support of each class.

    Args:
        confusion_KK: rows are targets, columns are answers.
    """
    hits_K, support_K, answered_K = np.diagonal(confusion_KK), confusion_KK.sum(axis=1), confusion_KK.sum(axis=0)
    precision_K = hits_K / np.maximum(answered_K, 1)
    recall_K = np.where(support_K > 0, hits_K / np.maximum(support_K, 1), np.nan)
    f1_K = np.where(support_K > 0, 2 * hits_K / np.maximum(support_K + answered_K, 1), np.nan)
    return PerClass(
        precision_K=np.where(support_K > 0, precision_K, np.nan),
        recall_K=recall_K,
        f1_K=f1_K,
        support_K=support_K,
    )


def macro(figures: PerClass) -> Average:
    """Return the plain mean over the classes that have samples; its recall is the balanced accuracy."""
    return Average(
        precision=float(np.nanmean(figures.precision_K)),
        recall=float(np.nanmean(figures.recall_K)),
        f1=float(np.nanmean(figures.f1_K)),
    )


def weighted(figures: PerClass) -> Average:
    """Return the mean over the classes weighted by their support; its recall is the accuracy."""
    share_K = figures.support_K / figures.support_K.sum()
    return Average(
        precision=float(np.nansum(figures.precision_K * share_K)),
        recall=float(np.nansum(figures.recall_K * share_K)),
        f1=float(np.nansum(figures.f1_K * share_K)),
    )


def auroc(probabilities_NK: Floats, targets_N: Integers) -> Floats:
    """Return the area under the ROC curve of each class against the rest, (K,) in 0…1.

    It is the chance that a sample of the class gets a higher probability for it than a sample of another class,
    ties counting half (Mann and Whitney's U). NaN for a class that has no sample, or all of them.
    """
    check(probabilities_NK, targets_N)
    classes = probabilities_NK.shape[1]
    return np.array([_area(probabilities_NK[:, one], targets_N == one) for one in range(classes)])


def _area(scores_N: Floats, positive_N: NDArray[np.bool_]) -> float:
    positives = int(positive_N.sum())
    negatives = len(scores_N) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    above = middle_ranks(scores_N)[positive_N].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def group_answers(
    logs_NK: Floats, targets_N: Integers, groups_N: Integers
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return the answer and the target of each group, both (G,); None if a group has samples of different targets.

    The answer is the class with the largest mean of the log-probabilities: the most probable one if the samples were
    independent and no class more frequent than another.

    Args:
        logs_NK: log-probabilities, all finite.
        groups_N: number of each sample's group, every number of 0…G-1 in use.
    """
    groups = int(groups_N.max()) + 1
    target_G = np.zeros(groups, dtype=np.int64)
    target_G[groups_N] = targets_N
    if (target_G[groups_N] != targets_N).any():
        return None
    sums_GK = np.zeros((groups, logs_NK.shape[1]))
    np.add.at(sums_GK, groups_N, logs_NK)
    return sums_GK.argmax(axis=1), target_G


def mean_of_present(values_K: Floats) -> float:
    """Return the mean of the values that are not NaN, or NaN if all are."""
    present = values_K[~np.isnan(values_K)]
    return float(present.mean()) if len(present) else float("nan")


def check(probabilities_NK: Floats, targets_N: Integers) -> None:
    """Raise ValueError unless there are N ≥ 1 rows of finite values and N targets in 0…K-1."""
    if probabilities_NK.ndim != 2 or targets_N.shape != probabilities_NK.shape[:1] or len(targets_N) == 0:
        raise ValueError(
            f"metrics need (N, K) probabilities and (N,) targets with N ≥ 1, got {probabilities_NK.shape} and "
            f"{targets_N.shape}"
        )
    if not np.isfinite(probabilities_NK).all():
        raise ValueError("metrics need finite probabilities, got NaN or infinity: the model's output is broken")
    classes = probabilities_NK.shape[1]
    if targets_N.min() < 0 or targets_N.max() >= classes:
        raise ValueError(f"targets must be 0…{classes - 1}, got {targets_N.min()}…{targets_N.max()}")
