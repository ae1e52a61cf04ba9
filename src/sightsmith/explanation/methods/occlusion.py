"""Occlusion: how much weaker an answer gets when a window of the input is hidden; any backend.

Papers: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, arXiv:1311.2901; for clips
the window also has a length in time, as the masks of Mänttäri et al., "Interpreting Video Features", ACCV 2020,
arXiv:2002.00367, which are optimised instead of slid.
Deviations: the window has the mean colour of the input instead of grey, in space it slides by half its side and past
the edges so that every pixel is hidden equally often, and the fall is that of the kind's strength: for a probability
its logarithm, which still moves if the model is sure. In a clip the windows are larger, and all frames of a short
stretch are hidden at once: a window for each pixel position and frame would take many thousand passes.
Shapes: T frames, H W C the input's height, width and channels.
"""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.progress import track
from sightsmith.explanation.subject import Subject
from sightsmith.kinds.parts.answer import Aspect

NEEDS = "any"
UNIT = "fall of the {kind.STRENGTH}"
IN_TIME = True

_CELL, _CELL_OF_CLIPS = 1 / 14, 1 / 8  # Half a window's side, as a share of the longer side
_STRETCHES = 8  # Stretches of frames that are hidden at once, at most


def cells(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the frames of a stretch, for clips, and half the side of a window, down and across."""
    *times, height, width, _ = shape
    half = max(1, round(max(height, width) * (_CELL_OF_CLIPS if times else _CELL)))
    return (*(-(-frames // _STRETCHES) for frames in times), half, half)


def explain(model: Subject, pixels: NDArray[np.uint8], aspect: Aspect) -> NDArray[np.float32]:
    """Return the mean fall over the windows that hide each pixel, (H, W), of a clip (T, H, W)."""
    windows = _windows(pixels.shape)
    strengths_P = model.strengths(_hidden(pixels, windows), aspect)
    falls, times = np.zeros((2, *pixels.shape[:-1]), np.float32)
    for window, strength in zip(windows, strengths_P[1:], strict=True):
        falls[window] += strengths_P[0] - strength
        times[window] += 1
    return falls / times


def _windows(shape: tuple[int, ...]) -> list[tuple[slice, ...]]:
    *stretches, half, _ = cells(shape)
    spans = [[slice(at, at + most) for at in range(0, shape[0], most)] for most in stretches]
    spans += [[slice(max(0, at), at + 2 * half) for at in range(-half, side, half)] for side in shape[-3:-1]]
    return list(product(*spans))


def _hidden(pixels: NDArray[np.uint8], windows: Sequence[tuple[slice, ...]]) -> Iterator[NDArray[np.uint8]]:
    """Yield the input, and then the input with each of the windows hidden."""
    yield pixels
    mean_C = pixels.reshape(-1, pixels.shape[-1]).mean(axis=0).round().astype(np.uint8)
    for window in track(windows, "Explaining by windows", quiet=pixels.ndim == 3):
        hidden = pixels.copy()
        hidden[window] = mean_C
        yield hidden
