"""Figures of whole groups: pictures of one thing that are answered together."""

import numpy as np

from sightsmith.kinds.labels.figures import measure_scores

NAMES = ("cat", "dog", "owl")
SURE, UNSURE, WRONG = (0.9, 0.05, 0.05), (0.5, 0.3, 0.2), (0.4, 0.5, 0.1)
"""Probabilities of the classes for a cat."""


def measured(rows, targets, groups):
    groups_N = None if groups is None else np.array(groups)
    return measure_scores(np.array(rows, dtype=np.float32), np.array(targets, dtype=np.int32), NAMES, groups_N)


def test_a_group_is_right_if_its_pictures_are_right_together() -> None:
    dogs = [WRONG, WRONG, SURE]
    done = measured([SURE, WRONG, WRONG, *dogs], [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1])
    assert done.overall["accuracy"] == 0.5
    assert done.overall["group_accuracy"] == 0.5, "one sure picture outweighs two that are nearly undecided"
    interval = done.intervals["group_accuracy"]
    assert interval.value == 0.5
    assert 0 <= interval.low < 0.1
    assert 0.9 < interval.high <= 1


def test_without_groups_of_one_class_there_is_no_such_figure() -> None:
    rows, targets = [SURE, UNSURE, WRONG, SURE], [0, 0, 1, 1]
    for groups in (None, [0, 1, 2, 3], [0, 1, 1, 0]):
        done = measured(rows, targets, groups)
        assert "group_accuracy" not in done.overall
        assert "group_accuracy" not in done.intervals
    assert measured(rows, targets, [0, 0, 1, 2]).overall["group_accuracy"] == 2 / 3


def test_a_probability_of_zero_does_not_decide_for_ever() -> None:
    certain, opposite = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
    assert measured([certain, certain, opposite], [0, 0, 0], [0, 0, 0]).overall["group_accuracy"] == 1
