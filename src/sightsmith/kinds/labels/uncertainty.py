"""Sampling uncertainty of metrics: confidence intervals and paired tests, NumPy only.

An interval is of other pictures drawn like these, from the same classes; if pictures have groups (frames of a
video, pictures of a patient), of other groups. Drawing the test set again with replacement would lose the rare
classes from many of the draws and give a class with one group no variance, so the variance is
calculated instead: the influence of each group on the metric, squared and summed. A class
with few groups borrows from the spread of the others, as if one more group (`_PRIOR_GROUPS`) had been seen that is
like those of all classes. Macro F1 is on average a little smaller on few pictures than on many; this is corrected.

Sources: Efron, "Nonparametric estimates of standard error", 1981 (the pulls, or infinitesimal jackknife); Liang and
Zeger, "Longitudinal data analysis using generalized linear models", 1986 (summed by group); Smyth, "Linear models and
empirical Bayes methods", 2004 (variances drawn together, with prior degrees of freedom); Satterthwaite, "An
approximate distribution of estimates of variance components", 1946 (degrees of freedom of a sum of variances);
McNemar, "Note on the sampling error of the difference between correlated proportions", 1947 (exact form, by the
binomial distribution); Fisher, "The design of experiments", 1935, section 21 (sign flips); Wilson, "Probable
inference, the law of succession, and statistical inference", 1927; Zou and Donner, "Construction of confidence limits
about effect measures", 2008 (limits of a sum from those of its parts).

Shapes: N samples, K classes that have samples, G groups, P pairs of a class and a group that occur together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightsmith.kinds.labels.metrics import Integers
from sightsmith.kinds.parts.intervals import NORMAL, Interval, student_deviations

_PRIOR_GROUPS = 1.0  # Weight, in groups, of the spread common to all classes, beside the groups of one class
_NOTHING = 1e-12  # Variances below are rounding errors; one wrong answer of a hundred million makes 1e-8

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _TestSet:
    """Samples by class and group; only classes that have samples are counted."""

    class_N: Integers  # class of each sample, 0…K-1
    group_N: Integers  # group of each sample, 0…G-1
    support_K: Integers  # samples of each class
    pair_N: Integers  # pair of class and group that each sample belongs to
    class_P: Integers  # class of each pair
    size_P: Integers  # samples of each pair

    def by_class(self, values_N: NDArray[np.generic]) -> Floats:
        """Return the mean of each class, (K,)."""
        return np.bincount(self.class_N, values_N) / self.support_K


@dataclass(frozen=True, slots=True)
class _Measure:
    """A metric on a test set, with the quantities that its uncertainty is computed from."""

    value: float  # the metric
    right_N: Floats  # 1 if the answer is right, else 0; of a difference the second model's less the first's
    pull_N: Floats  # how the metric moves with each sample; sums to 0 over each class
    slope_K: Floats  # how the metric moves with the recall of each class
    # expected excess of the metric on a test set of this size over its value on unlimited pictures
    bias: float = 0.0


@dataclass(frozen=True, slots=True)
class _Spread:
    """How uncertain the mean of each class is, all (K,): from its own groups, and with the spread of the others."""

    shown_K: Floats
    variance_K: Floats
    freedom_K: Floats


def intervals(predicted_N: Integers, targets_N: Integers, groups_N: Integers | None = None) -> dict[str, Interval]:
    """Return the 95 % intervals of `accuracy`, `balanced_accuracy` and `macro_f1`, each in 0…1.

    Args:
        groups_N: number of each sample's group, every number from 0 on in use; None if each sample stands for
            itself.
    """
    found = _measures(predicted_N, targets_N, groups_N)
    return {name: _interval(test, one, share=True) for name, (test, one) in found.items()}


def differences(
    first_N: Integers, second_N: Integers, targets_N: Integers, groups_N: Integers | None = None
) -> dict[str, Interval]:
    """Return second minus first of the same metrics with 95 % intervals, both models answering the same samples.

    The pulls of the two on a sample are subtracted, so the difficulty that both share cancels out. If no sample tells
    the models apart, the interval reaches as far as Wilson's of a flawless result.
    """
    seconds = _measures(second_N, targets_N, groups_N)
    return {
        name: _interval(test, _minus(seconds[name][1], first), share=False)
        for name, (test, first) in _measures(first_N, targets_N, groups_N).items()
    }


def _test_set(class_N: Integers, groups_N: Integers | None) -> _TestSet:
    group_N = np.arange(len(class_N)) if groups_N is None else groups_N
    groups = int(group_N.max()) + 1
    pairs_P, pair_N, size_P = np.unique(class_N * groups + group_N, return_inverse=True, return_counts=True)
    return _TestSet(class_N, group_N, np.bincount(class_N), pair_N, pairs_P // groups, size_P)


def _measures(
    predicted_N: Integers, targets_N: Integers, groups_N: Integers | None
) -> dict[str, tuple[_TestSet, _Measure]]:
    """Return each metric beside the test set it is an average over the classes of: accuracy is that of one class."""
    present_K, class_N = np.unique(targets_N, return_inverse=True)
    place_N = np.searchsorted(present_K, predicted_N).clip(max=len(present_K) - 1)
    answer_N = np.where(present_K[place_N] == predicted_N, place_N, len(present_K))  # all absent classes are one
    right_N = (answer_N == class_N).astype(np.float64)
    whole, test = _test_set(np.zeros_like(class_N), groups_N), _test_set(class_N, groups_N)
    return {
        "accuracy": (whole, _recall(whole, right_N)),
        "balanced_accuracy": (test, _recall(test, right_N)),
        "macro_f1": (test, _f1(test, right_N, answer_N)),
    }


def _recall(test: _TestSet, right_N: Floats) -> _Measure:
    recall_K = test.by_class(right_N)
    classes = len(recall_K)
    pull_N = (right_N - recall_K[test.class_N]) / test.support_K[test.class_N] / classes
    return _Measure(float(recall_K.mean()), right_N, pull_N, np.full(classes, 1 / classes))


def _f1(test: _TestSet, right_N: Floats, answer_N: Integers) -> _Measure:
    """Return the mean F1 of the classes: of each, twice its right answers by its samples plus answers."""
    classes = len(test.support_K)
    total_K = test.support_K + np.bincount(answer_N, minlength=classes + 1)[:classes]
    f1_K = 2 * np.bincount(test.class_N, right_N) / total_K
    lost_K = np.append(f1_K / total_K, 0.0)  # loss of the class by one more answer; none for an absent class
    pull_N = (2 * right_N / total_K[test.class_N] - lost_K[answer_N]) / classes
    return _Measure(
        float(f1_K.mean()),
        right_N,
        pull_N - test.by_class(pull_N)[test.class_N],
        (2 - f1_K) * test.support_K / total_K / classes,
        _bias_of_f1(test, right_N, answer_N, f1_K, total_K),
    )


def _bias_of_f1(test: _TestSet, right_N: Floats, answer_N: Integers, f1_K: Floats, total_K: Integers) -> float:
    """Return the second-order term of F1, a ratio, in its right answers and in wrong answers from other classes."""
    wrong = right_N == 0
    classes = len(f1_K)
    stray_Q, count_Q = np.unique(test.group_N[wrong] * (classes + 1) + answer_N[wrong], return_counts=True)
    strays_K = np.bincount(stray_Q % (classes + 1), count_Q**2, minlength=classes + 1)[:classes]
    hits_K = test.support_K**2 * _spread(test, right_N).variance_K
    return float((((f1_K - 2) * hits_K + f1_K * strays_K) / total_K**2).mean())


def _minus(second: _Measure, first: _Measure) -> _Measure:
    return _Measure(
        second.value - first.value,
        second.right_N - first.right_N,
        second.pull_N - first.pull_N,
        (second.slope_K + first.slope_K) / 2,
        second.bias - first.bias,
    )


def _spread(test: _TestSet, right_N: Floats) -> _Spread:
    """Return the variance of the mean of each class.

    The variance of one group is at most that of one sample, by the class's rate of right answers. The actual share,
    given that samples of a group are alike, is estimated from the groups of all classes together.
    """
    share_P = test.size_P / test.support_K[test.class_P]
    mean_K = test.by_class(right_N)
    off_P = np.bincount(test.pair_N, right_N) / test.support_K[test.class_P] - share_P * mean_K[test.class_P]
    shown_K = np.bincount(test.class_P, weights=off_P**2).astype(np.float64)
    share_K = np.bincount(test.class_P, weights=share_P**2)
    groups_K = 1 / share_K  # effective number of groups: as many equal groups give the same variance
    freedom_K = groups_K - 1
    rate_K, square_K = (
        (groups_K * own_K + _PRIOR_GROUPS * own_K.mean()) / (groups_K + _PRIOR_GROUPS)
        for own_K in (mean_K, test.by_class(right_N**2))
    )
    most_K = np.where(square_K - rate_K**2 > _NOTHING, square_K - rate_K**2, 0.0)
    group_K = shown_K / share_K**2
    possible = (freedom_K * most_K).sum() + most_K.mean()
    alike = min(1.0, (group_K.sum() + most_K.mean()) / possible) if possible else 1.0
    variance_K = (group_K + _PRIOR_GROUPS * alike * most_K) / (freedom_K + _PRIOR_GROUPS) * share_K
    return _Spread(shown_K, variance_K, freedom_K + _PRIOR_GROUPS)


def _error(test: _TestSet, one: _Measure) -> tuple[float, float]:
    """Return the variance of a measure and its degrees of freedom.

    The part of the squared pulls that the classes' own spread adds is replaced by the estimate of `_spread`. The
    rest is as uncertain as the largest pulls: if errors are rare, a few large pulls carry little information.
    """
    spread = _spread(test, one.right_N)
    pull_G, size_G = np.bincount(test.group_N, one.pull_N), np.bincount(test.group_N)
    groups = len(pull_G)
    shown, parts_K = float((pull_G**2).sum()), one.slope_K**2 * spread.variance_K
    rest = (shown - float((one.slope_K**2 * spread.shown_K).sum())) * groups / max(groups - 1, 1)
    variance = max(shown, rest + float(parts_K.sum()))
    peaks = float((pull_G**4).sum()) / shown**2 - 1 / groups if shown > _NOTHING**2 else 0.0
    uncertain = float((parts_K**2 / spread.freedom_K).sum()) + max(rest, 0.0) ** 2 * max(peaks, 0.0) / 2
    like_sized = float(size_G.sum() ** 2 / (size_G**2).sum())
    return variance, max(1.0, min(variance**2 / uncertain if uncertain else np.inf, like_sized - 1 + _PRIOR_GROUPS))


def _interval(test: _TestSet, one: _Measure, *, share: bool) -> Interval:
    """Return the interval of a share of 0…1, symmetric in log odds, or of a difference of two."""
    variance, freedom = _error(test, one)
    if variance < _NOTHING**2:
        groups_K = np.bincount(test.class_P)
        # Wilson's limit of each class, combined as in Zou and Donner: not all classes are at their worst together
        reach = float(np.sqrt(((NORMAL**2 / (groups_K + NORMAL**2)) ** 2).sum()) / len(groups_K))
        return Interval(one.value, max(0.0 if share else -1.0, one.value - reach), min(1.0, one.value + reach))
    reach = student_deviations(freedom) * float(np.sqrt(variance))
    if share:
        middle = float(np.clip(one.value - one.bias, one.value / 2, (1 + one.value) / 2))
        odds, reach = np.log(middle / (1 - middle)), reach / (middle * (1 - middle))
        low, high = ((1 + np.tanh((odds + off) / 2)) / 2 for off in (-reach, reach))
    else:
        low, high = max(-1.0, one.value - one.bias - reach), min(1.0, one.value - one.bias + reach)
    return Interval(one.value, min(float(low), one.value), max(float(high), one.value))


def paired_p_value(
    first_N: Integers, second_N: Integers, targets_N: Integers, groups_N: Integers | None = None
) -> float:
    """Return the exact two-sided p-value of "both models err equally often", in 0…1.

    Only samples that one model gets right and the other wrong count. Under the hypothesis, a fair coin decides which
    of the two is right: McNemar's test. With groups there is one coin per group, for all of its samples: sign flips
    of the groups' differences. McNemar's test is the case of one sample per group.
    """
    lead_N = (second_N == targets_N).astype(np.int64) - (first_N == targets_N)
    lead_G = lead_N
    if groups_N is not None:
        lead_G = np.zeros(int(groups_N.max()) + 1, dtype=np.int64)
        np.add.at(lead_G, groups_N, lead_N)
    chances_H = _sums_of_coins(np.abs(lead_G[lead_G != 0]))
    gap_H = np.abs(2 * np.arange(len(chances_H)) - (len(chances_H) - 1))
    return min(1.0, float(chances_H[gap_H >= abs(int(lead_G.sum()))].sum()))


def _sums_of_coins(values: Integers) -> NDArray[np.float64]:
    """Return the chance of each sum 0…total of fair coins, each worth its value or nothing."""
    ones = int((values == 1).sum())
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, ones + 1)))])
    chances = np.exp(log_factorials[-1] - log_factorials - log_factorials[::-1] - ones * np.log(2))
    for value in values[values > 1].tolist():
        none = np.zeros(value)
        chances = (np.concatenate([chances, none]) + np.concatenate([none, chances])) / 2
    return chances
