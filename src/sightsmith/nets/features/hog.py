"""Histograms of oriented gradients (HOG): how strong the edges of each direction are in each cell of a picture.

Paper: Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005. With x a channel:

- gradient:  u[i, j] = x[i, j+1] − x[i, j−1],  v[i, j] = x[i+1, j] − x[i−1, j], 0 on the border of the picture; of a
  colour picture the channel with the longest gradient counts, pixel by pixel;
- vote of a pixel for orientation k of K:  √(u² + v²) · max(0, 1 − |θ/δ − k|),  θ = atan2(v, u), δ = 2π/K, or π/K if
  opposite directions are one (unsigned); the difference is taken around the circle;
- histogram of a cell: the sum of the votes, a pixel's weight falling linearly to 0 one cell away from the cell's
  centre, along both axes. With the line above this is the paper's trilinear interpolation;
- block: the histograms h of B × B neighbouring cells, L2-Hys: h/√(|h|² + ε²), cut at 0.2, and scaled so again.

Deviation: no Gaussian weight over a block. Pixels beyond the last whole cell are left out.
Shapes: N pictures, C channels, H W height and width, K orientations, h w rows and columns of cells, D features.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it

from sightsmith.nets.parts.checks import at_least, smallest_input
from sightsmith.nets.parts.fitted import Extractor

PAPER = "Dalal and Triggs, Histograms of Oriented Gradients for Human Detection, CVPR 2005"

_EPSILON = 1e-5
_CUT = 0.2
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    cell: int = 4
    """hog: side of a cell in pixels, ≥ 2."""
    orientations: int = 12
    """hog: directions of an edge that are told apart, ≥ 2."""
    signed: bool = True
    """hog: whether an edge from dark to light differs from one from light to dark."""
    block: int = 2
    """hog: cells along the side of a block that is normalised as a whole, ≥ 1."""

    def __post_init__(self) -> None:
        for name, least in (("cell", 2), ("orientations", 2), ("block", 1)):
            at_least(f"net.{name}", getattr(self, name), least)


class Hog(Extractor):
    def __init__(self, settings: Settings, height: int, width: int) -> None:
        super().__init__()
        self.settings = settings
        self.blocks = tuple(side // settings.cell - settings.block + 1 for side in (height, width))
        cell, count = settings.cell, settings.orientations
        self.between = (2 if settings.signed else 1) * math.pi / count  # δ
        # centred on the cell: its middle lies between pixels if the side is even, on one if it is odd
        side = 2 * cell - cell % 2
        weight = 1 - (torch.arange(side) - (side - 1) / 2).abs() / cell
        window = torch.outer(weight, weight).expand(count, 1, side, side).contiguous()
        self.register_buffer("window_K1ss", window, persistent=False)
        self.window_K1ss: Tensor

    def names(self, classes: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 -- as all features
        """Return the cell, the direction, and the first cell of the block that it is compared with."""
        block, degrees = self.settings.block, math.degrees(self.between)
        return [
            f"HOG at row {row + y}, column {column + x}, direction {degrees * k:.3g}°"
            + (f" (block {row}, {column})" if block > 1 else "")
            for y in range(block)
            for x in range(block)
            for k in range(self.settings.orientations)
            for row in range(1, self.blocks[0] + 1)
            for column in range(1, self.blocks[1] + 1)
        ]

    def note(self) -> str:
        cell, block = self.settings.cell, self.settings.block
        turns = (
            "0° is brighter to the right, 90° brighter below"
            if self.settings.signed
            else "0° changes from left to right, 90° from top to bottom"
        )
        beside = f", as a share of all edges in its block of {block}×{block} cells" if block > 1 else ""
        return (
            f"HOG: how strong the edges of a direction are in a cell of {cell}×{cell} pixels{beside}. Rows and columns "
            f"are counted from the upper left; {turns}."
        )

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the blocks' features, (N, D)."""
        cells_NKhw, block = self.histograms(images_NCHW), self.settings.block
        rows, columns = (side - block + 1 for side in cells_NKhw.shape[2:])
        shifted = [cells_NKhw[..., y : y + rows, x : x + columns] for y in range(block) for x in range(block)]
        blocks = _normalised(_normalised(torch.cat(shifted, dim=1)).clamp(max=_CUT))
        return blocks.flatten(1)

    def histograms(self, images_NCHW: Tensor) -> Tensor:
        """Return the histogram of each cell, (N, K, h, w)."""
        cell, count = self.settings.cell, self.settings.orientations
        height, width = (side // cell * cell for side in images_NCHW.shape[2:])
        images_NCHW = images_NCHW[..., :height, :width]
        u = F.pad(images_NCHW[..., 2:] - images_NCHW[..., :-2], (1, 1))
        v = F.pad(images_NCHW[..., 2:, :] - images_NCHW[..., :-2, :], (0, 0, 1, 1))
        if images_NCHW.shape[1] > 1:
            longest_N1HW = (u.square() + v.square()).argmax(dim=1, keepdim=True)
            u, v = u.gather(1, longest_N1HW), v.gather(1, longest_N1HW)
        orientation_K11 = torch.arange(count, device=u.device)[:, None, None]
        apart_NKHW = angle(v, u) / self.between - orientation_K11
        apart_NKHW = apart_NKHW - count * torch.floor(apart_NKHW / count + 0.5)  # around the circle
        votes_NKHW = (u.square() + v.square()).sqrt() * F.relu(1 - apart_NKHW.abs())
        padding = (self.window_K1ss.shape[-1] - cell) // 2
        return F.conv2d(votes_NKHW, self.window_K1ss, stride=cell, padding=padding, groups=count)


def angle(v: Tensor, u: Tensor) -> Tensor:
    """Return atan2(v, u) in −π…π, 0 where both are 0, by the arctangent alone, which every runtime has."""
    short, long = torch.minimum(u.abs(), v.abs()), torch.maximum(u.abs(), v.abs())
    octant = torch.atan(short / long.clamp(min=_TINY))
    quadrant = torch.where(v.abs() > u.abs(), math.pi / 2 - octant, octant)
    half = torch.where(u < 0, math.pi - quadrant, quadrant)
    return torch.where(v < 0, -half, half)


def _normalised(blocks_NDhw: Tensor) -> Tensor:
    return blocks_NDhw / (blocks_NDhw.square().sum(dim=1, keepdim=True) + _EPSILON**2).sqrt()


def build(settings: Settings, *, channels: int, height: int, width: int) -> Hog:  # noqa: ARG001 -- as all features
    """Build the features. Raises SettingsError: the picture is smaller than a block."""
    smallest_input("hog", settings.cell * settings.block, height, width)
    return Hog(settings, height, width)
