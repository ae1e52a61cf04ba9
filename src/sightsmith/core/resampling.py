"""Bringing a coarse map of a net's input back onto the original picture.

Shapes: h and w the map's height and width, H and W the picture's, T frames.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.placement import Box

_NOTHING = 1e-7  # Evidence this close to its minimum is rounding error and is not drawn


def resample(map_hw: NDArray[np.floating], box: Box, size: tuple[int, int]) -> NDArray[np.float32]:
    """Spread a map over the part of a picture that it describes, with cubic interpolation.

    Args:
        map_hw: the map; its outer edges (not the centres of its outer cells) lie on the box's edges.
        box: (left, top, right, bottom) of that part in the picture's pixels, as `Preprocessing.box` gives it.
        size: (width, height) of the picture in pixels.

    Returns:
        (H, W) float32, inside the map's range; 0 for pixels whose centre is outside the box.
    """
    spread_HW = np.zeros(size[::-1], np.float32)
    cells = map_hw.shape[1] / (box[2] - box[0]), map_hw.shape[0] / (box[3] - box[1])  # a pixel, across and down
    edge = 2 + math.ceil(max(cells))  # padding with edge values, as wide as the filter plus half a pixel
    first = [max(0, math.ceil(low - 0.5)) for low in box[:2]]
    end = [min(length, math.floor(high - 0.5) + 1) for length, high in zip(size, box[2:], strict=True)]
    if first[0] < end[0] and first[1] < end[1]:
        padded = Image.fromarray(np.pad(map_hw.astype(np.float32), edge, mode="edge"))
        part = [(place[axis] - box[axis]) * cells[axis] + edge for place in (first, end) for axis in (0, 1)]
        shown = padded.resize((end[0] - first[0], end[1] - first[1]), Image.Resampling.BICUBIC, (*part,))
        spread_HW[first[1] : end[1], first[0] : end[0]] = shown
    # cubic interpolation overshoots beside a peak, most of all at the edges
    return np.clip(spread_HW, min(0.0, float(map_hw.min())), max(0.0, float(map_hw.max())))


def heat(evidence_hw: NDArray[np.floating], box: Box, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return how strongly each pixel supports a class, from signed evidence over the net's input, with `resample`.

    The minimum of all positions (a class's bias) does not depend on the place and is subtracted; evidence against the
    class becomes 0.

    Returns:
        (H, W) float32 in 0…1, 1 at the strongest place; 0 outside the box, and everywhere if no place stands out.
    """
    return heats(evidence_hw[None], box, size)[0]


def heats(evidence_Thw: NDArray[np.floating], box: Box, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return the same of T frames of one clip, (T, H, W): 1 is the strongest place of all frames."""
    common = max(0.0, float(evidence_Thw.min()))
    heat_THW = np.stack([np.maximum(resample(one_hw - common, box, size), 0) for one_hw in evidence_Thw])
    highest = float(heat_THW.max(initial=0))
    return (heat_THW / np.float32(highest)).astype(np.float32) if highest > _NOTHING else np.zeros_like(heat_THW)
