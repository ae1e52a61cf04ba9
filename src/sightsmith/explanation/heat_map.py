"""From a method's evidence over the net's input to a map over the original picture.

Shapes: h w the evidence's height and width, H W the picture's, T frames of a clip.
"""

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.placement import Box
from sightsmith.core.resampling import heats


def project_evidence(
    raw: NDArray[np.floating], box: Box, size: tuple[int, int], grain: float = 0.0
) -> NDArray[np.float32]:
    """Return the positive evidence over the original picture, or over each frame of a clip.

    Args:
        raw: evidence over the net's input, (h, w) or (T, h, w); negative values are evidence against the answer and
            become 0.
        box: the part of the picture that the input shows, in its pixels.
        size: (width, height) of the upright picture.
        grain: standard deviation, as a share of the evidence's longer side, to blur it with first.

    Returns:
        (H, W) or (T, H, W) float32 in 0…1, as `core.resampling.heats`.
    """
    raw_Thw = raw.reshape(-1, *raw.shape[-2:])
    if grain:
        raw_Thw = np.stack([blur(raw_hw, grain * max(raw_hw.shape)) for raw_hw in raw_Thw])
    heat_THW = heats(raw_Thw, box, size)
    return heat_THW.reshape(*raw.shape[:-2], *heat_THW.shape[1:])


def blur(values_hw: NDArray[np.floating], radius: float) -> NDArray[np.float32]:
    """Blur by a Gaussian of that standard deviation, in positions; the edge is continued outwards."""
    reach = max(1, int(np.ceil(3 * radius)))
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offsets / radius) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(values_hw.astype(np.float64), reach, mode="edge")
    rows = np.apply_along_axis(np.convolve, 0, padded, kernel, "valid")
    return np.apply_along_axis(np.convolve, 1, rows, kernel, "valid").astype(np.float32)
