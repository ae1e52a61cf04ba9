"""Occlusion: how much weaker an answer gets when a window of the picture is hidden; any backend.

Paper: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, arXiv:1311.2901.
Deviations: the window has the picture's mean colour instead of grey, it slides by half its side and past the edges
so that every pixel is hidden equally often, and the fall is that of the kind's strength: for a probability its
logarithm, which still moves if the model is sure.
Shapes: P places of the window, H W C the input's height, width and channels.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from sightsmith.explanation.subject import Subject
from sightsmith.kinds.parts.answer import Aspect

NEEDS = "any"
UNIT = "fall of the {kind.STRENGTH}"
GRAIN = 1 / 28
"""Standard deviation, as a share of the longer side, of the blur that hides the windows' corners when drawn."""

_WINDOWS = 7  # Windows side by side across the longer side
CELL = 1 / (2 * _WINDOWS)
"""Side of the cells that have one value each, as a share of the longer side: the windows slide by half."""


def explain(model: Subject, pixels_HWC: NDArray[np.uint8], aspect: Aspect) -> NDArray[np.float32]:
    """Return the mean fall over the windows that hide each pixel, (H, W)."""
    height, width, _ = pixels_HWC.shape
    side = 2 * max(1, round(max(height, width) * CELL))
    places = list(product(_starts(height, side), _starts(width, side)))
    hidden_PHWC = np.repeat(pixels_HWC[None], len(places) + 1, axis=0)
    mean_C = pixels_HWC.reshape(-1, pixels_HWC.shape[2]).mean(axis=0).round().astype(np.uint8)
    for one_HWC, (top, left) in zip(hidden_PHWC, places, strict=False):
        one_HWC[max(0, top) : top + side, max(0, left) : left + side] = mean_C
    strengths_P = model.strengths(hidden_PHWC, aspect)
    falls_HW, times_HW = np.zeros((2, height, width), np.float32)
    for (top, left), strength in zip(places, strengths_P, strict=False):
        window = np.s_[max(0, top) : top + side, max(0, left) : left + side]
        falls_HW[window] += strengths_P[-1] - strength  # the last input has nothing hidden
        times_HW[window] += 1
    return falls_HW / times_HW


def _starts(length: int, side: int) -> range:
    return range(-side // 2, length, side // 2)
