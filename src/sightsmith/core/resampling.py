"""Bringing a coarse map of a net's input back onto the original picture.

Shapes: h and w the map's height and width, H and W the picture's.
"""

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.preprocessing import Box

_NOTHING = 1e-7
"""Evidence that rises no further above the common floor is rounding, not a place to make bright."""


def resample(map_hw: NDArray[np.floating], box: Box, size: tuple[int, int]) -> NDArray[np.float32]:
    """Spread a map over the part of a picture that it describes, with cubic interpolation (Catmull-Rom).

    Args:
        map_hw: the map; its edges, not its outer positions' centres, lie on the box's edges.
        box: (left, top, right, bottom) of that part in the picture's pixels, as `Preprocessing.box` gives it.
        size: (width, height) of the picture in pixels.

    Returns:
        (H, W) float32, inside the map's range; 0 outside the box.
    """
    rows_Hh = _weights(box[1], box[3], size[1], map_hw.shape[0])
    columns_Ww = _weights(box[0], box[2], size[0], map_hw.shape[1])
    spread_HW = rows_Hh @ map_hw.astype(np.float32) @ columns_Ww.T
    # cubic interpolation overshoots beside a peak, most of all at the edges
    return np.clip(spread_HW, min(0.0, float(map_hw.min())), max(0.0, float(map_hw.max()))).astype(np.float32)


def heat(evidence_hw: NDArray[np.floating], box: Box, size: tuple[int, int]) -> NDArray[np.float32]:
    """Say how strongly each pixel of a picture speaks for a class, from signed evidence over the net's input.

    What every position gives alike (a class's bias) says nothing of where and is taken off; what speaks against the
    class becomes 0.

    Args:
        evidence_hw: positive for the class, its edges on the box's edges.
        box: the part of the picture that the input shows, in its pixels.
        size: (width, height) of the picture in pixels.

    Returns:
        (H, W) float32 in 0…1, 1 at the strongest place; 0 outside the box, and everywhere where no place stands out.
    """
    common = max(0.0, float(evidence_hw.min()))
    heat_HW = np.maximum(resample(evidence_hw - common, box, size), 0)
    highest = float(heat_HW.max(initial=0))
    return (heat_HW / np.float32(highest)).astype(np.float32) if highest > _NOTHING else np.zeros_like(heat_HW)


def _weights(low: float, high: float, length: int, count: int) -> NDArray[np.float32]:
    """Return (length, count): how much each of `count` positions of a map gives to each pixel of an axis."""
    centres = np.arange(length) + 0.5
    places = (centres - low) / (high - low) * count - 0.5
    weights = np.zeros((length, count), np.float32)
    rows = np.arange(length)
    first = np.floor(places).astype(int) - 1
    for step in range(4):
        near = first + step
        # `add.at` because near the edge several of the four fall on the outermost position
        np.add.at(weights, (rows, np.clip(near, 0, count - 1)), _cubic(np.abs(places - near)))
    weights[(centres < low) | (centres > high)] = 0
    return weights


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float32]:
    """Keys, "Cubic convolution interpolation for digital image processing", 1981, with a = -1/2."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0)).astype(np.float32)
