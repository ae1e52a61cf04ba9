"""The check of shapes by name finds what is wrong, and is on in this process."""

import numpy as np
import pytest
import torch

from shapes_by_name import checked, shape_of
from sightsmith.kinds.labels import metrics
from sightsmith.tasks.parts import elbo


def overlap(boxes_N4, others_M4, weights_N=None):
    return len(boxes_N4) + len(others_M4)


def test_names_promise_shapes():
    assert [
        shape_of(name)
        for name in ("images_BCHW", "map_Khw", "pixels_HW3", "hashes_N32", "shift_C11", "by_name", "top", "K")
    ] == [
        "B C H W",
        "K h w",
        "H W 3",
        "N 32",
        "C 1 1",
        None,
        None,
        None,
    ]


def test_a_wrong_rank_size_or_pair_of_sizes_is_found():
    strict = checked(overlap)
    assert strict(np.zeros((2, 4)), np.zeros((3, 4)), weights_N=np.zeros(2)) == 5
    assert strict([], [[1, 2, 3, 4]]) == 1
    for wrong in [
        (np.zeros((2, 3)), np.zeros((3, 4))),
        (np.zeros(4), np.zeros((3, 4))),
        (np.zeros((2, 4)), np.zeros((3, 4)), np.zeros(3)),
    ]:
        with pytest.raises(AssertionError, match="overlap"):
            strict(*wrong)


def test_the_package_is_checked_here():
    with pytest.raises(AssertionError, match="images_BCHW is no"):
        elbo.bernoulli(torch.zeros(2, 3), torch.zeros(2, 3))
    assert hasattr(metrics.accuracy, "__wrapped__")
