"""The moments of a clip whose frames a net sees: functions of the duration alone, or of it and random numbers.

The frame shown at a moment is the last one that is not after it, so moments lie in the middle of their parts of the
clip, where rounding of times does not matter.

Paper: Wang et al., "Temporal Segment Networks", ECCV 2016, arXiv:1608.00859 (one random moment in each of T parts).
Shapes: T moments, in seconds since the start of the clip, ascending.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Sampling = Literal["uniform", "segments", "dense"]

_BEFORE_END = 1e-5  # Seconds: the frame after the end of a part of a video begins at that end


def usual_moments(seconds: float, count: int, sampling: Sampling, spacing: float | None) -> NDArray[np.float64]:
    """Return the moments (T,) of evaluation and service.

    uniform and segments: the middles of T equal parts of the clip. dense: the middles of T parts of `spacing` seconds,
    around the middle of the clip; of a clip shorter than that from its start, and its last frame is repeated.

    Args:
        seconds: duration of the clip, > 0.
        spacing: seconds between moments, of dense sampling alone.
    """
    if sampling == "dense":
        return _dense(seconds, count, spacing, 0.5)
    return _within((np.arange(count) + 0.5) * (seconds / count), seconds)


def random_moments(
    seconds: float, count: int, sampling: Sampling, spacing: float | None, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return moments (T,) for training: uniform as usual, segments random in each part, dense from a random start."""
    if sampling == "segments":
        return _within((np.arange(count) + rng.random(count)) * (seconds / count), seconds)
    if sampling == "dense":
        return _dense(seconds, count, spacing, rng.random())
    return usual_moments(seconds, count, sampling, spacing)


def _dense(seconds: float, count: int, spacing: float | None, where: float) -> NDArray[np.float64]:
    """Return moments at fixed gaps, whose window lies at a share of the way through the clip, 0…1."""
    gap = spacing or 0.0
    start = max(0.0, seconds - count * gap) * where
    return _within(start + (np.arange(count) + 0.5) * gap, seconds)


def _within(moments_T: NDArray[np.floating], seconds: float) -> NDArray[np.float64]:
    return np.minimum(moments_T, max(0.0, seconds - _BEFORE_END)).astype(np.float64)
