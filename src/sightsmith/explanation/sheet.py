"""The explanation of a clip as one picture: its frames with the evidence over each, and below each its importance.

Shapes: T frames of the input, F of them on the sheet, h w height and width of the evidence, H W those of the sheet.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core import drawing
from sightsmith.core.placement import Placement
from sightsmith.explanation.heat_map import project_evidence

NEAR = 240  # Pixels of the shorter side of a decoded frame, at least, if the video has so many
_LONGEST = 320  # Of the longer side of a frame on the sheet
_MOST = 16  # Frames of a sheet
LEAST = 0.01  # A fall below is told as none: of a log-probability it is a hundredth of the probability


class Frame(NamedTuple):
    """A frame of an input, and its importance."""

    number: int  # from 1
    seconds: float  # its moment in the video
    fall: float  # by how much the explained answer gets weaker without it, in the kind's strength

    @property
    def matters(self) -> bool:
        return self.fall >= LEAST

    def to_json(self) -> dict[str, float]:
        return {"number": self.number, "seconds": round(self.seconds, 3), "fall": round(self.fall, 6)}

    def __str__(self) -> str:
        return f"{self.number} at {self.seconds:.2f} s"


def draw_sheet(
    images_T: Sequence[Image.Image],
    frames_T: Sequence[Frame],
    raw_Thw: NDArray[np.float32],
    shown: Placement,
    grain: float,
) -> tuple[Image.Image, NDArray[np.float32]]:
    """Return the sheet without the evidence, and the evidence over it, (H, W) in 0…1.

    Of more than 16 frames those are drawn whose importance is largest, in order of time.

    Args:
        shown: which part of the frames the evidence is over.
        grain: as that of `project_evidence`.
    """
    by_size = sorted(range(len(frames_T)), key=lambda at: -abs(frames_T[at].fall))
    drawn_F = sorted(by_size[:_MOST])
    images = [_fitted(images_T[at]) for at in drawn_F]
    paper, places = drawing.sheet(images, rows([frames_T[at] for at in drawn_F]))
    (width, height), scale = images[0].size, images[0].width / shown.size[0]
    left, top, right, bottom = (edge * scale for edge in shown.box)
    heat_FHW = project_evidence(raw_Thw[drawn_F], (left, top, right, bottom), (width, height), grain)
    map_HW = np.zeros((paper.height, paper.width), np.float32)
    for heat_HW, (x, y) in zip(heat_FHW, places, strict=True):
        map_HW[y : y + height, x : x + width] = heat_HW
    return paper, map_HW


def rows(frames: Sequence[Frame]) -> list[drawing.Row]:
    """Return the row of each frame: the bar is its importance, in the pale colour if the frame speaks against.

    The longest bar is the largest fall, or `LEAST` if all are smaller: noise must not look like importance.
    """
    largest, texts = max(LEAST, *(abs(frame.fall) for frame in frames)), falls(frames)
    return [
        (str(one), text, abs(one.fall) / largest, None, one.fall > 0) for one, text in zip(frames, texts, strict=True)
    ]


def falls(frames: Sequence[Frame]) -> list[str]:
    """Return the falls as text, all with the decimals that give the largest two digits."""
    largest = max(LEAST, *(abs(frame.fall) for frame in frames))
    decimals = max(0, 1 - math.floor(math.log10(largest)))
    return [f"{round(frame.fall, decimals) + 0.0:+.{decimals}f}" for frame in frames]  # + 0.0: no -0.00


def _fitted(image: Image.Image) -> Image.Image:
    """Return a frame in the sheet's size; small ones are enlarged without smoothing, as they are in the report."""
    scale = _LONGEST / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)
