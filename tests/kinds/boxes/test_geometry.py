"""Suppression of overlapping boxes beside plain loops, below and above the number that is compared at once."""

import numpy as np
import pytest

from sightsmith.kinds.boxes.geometry import iou, suppressed


def plainly_suppressed(boxes_N4, labels_N, overlap):
    gone_N = np.zeros(len(labels_N), dtype=bool)
    for place in range(len(labels_N)):
        for better in range(place):
            near = iou(boxes_N4[[better]], boxes_N4[[place]])[0, 0] > overlap
            gone_N[place] |= near and labels_N[better] == labels_N[place] and not gone_N[better]
    return gone_N


@pytest.mark.parametrize(("count", "names"), [(0, 1), (1, 1), (2, 1), (15, 3), (64, 4), (65, 4), (120, 40)])
def test_suppression_is_that_of_plain_loops(count, names):
    rng = np.random.default_rng(count)
    corners_N2 = rng.integers(0, 2, (count, 2)) * 60 + rng.uniform(0, 12, (count, 2))
    boxes_N4 = np.concatenate([corners_N2, corners_N2 + 40], axis=1).astype(np.float32)
    boxes_N4[::9, 2] = boxes_N4[::9, 0]  # Empty boxes overlap nothing, not even themselves
    labels_N = rng.integers(0, names, count)
    for overlap in (0.0, 0.5, 0.8, 1.0):
        gone_N = suppressed(boxes_N4, labels_N, overlap)
        np.testing.assert_array_equal(gone_N, plainly_suppressed(boxes_N4, labels_N, overlap))
    if count > 2:
        assert 0 < suppressed(boxes_N4, labels_N, 0.5).sum() < count
