"""Local binary patterns (LBP): which of its eight neighbours are at least as bright as a pixel, counted over cells.

Paper: Ojala, Pietikäinen and Mäenpää, "Multiresolution Gray-Scale and Rotation Invariant Texture Classification with
Local Binary Patterns", PAMI 24 (2002): code = Σ_p 2^p · [x_p ≥ x], p = 0…7 the neighbours in a circle. The 58 uniform
codes (at most two changes around the circle) have a bin each, all others share one. A cell's histogram h is √(h / Σ h),
which weighs rare patterns more (the Hellinger kernel). Deviation: the square ring of neighbours, not interpolated.

Shapes: N pictures, C channels, H W height and width, D features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it

from sightsmith.nets.parts.checks import at_least, smallest_input
from sightsmith.nets.parts.fitted import Extractor

PAPER = "Ojala, Pietikäinen and Mäenpää, Multiresolution Gray-Scale and Rotation Invariant Texture Classification, 2002"

_RING = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))  # rows and columns of the neighbours
_STEP = 1 / 1024  # Less than a grey level of 1/255: equal greys stay equal whatever the rounding of a runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    cells: int = 4
    """lbp: cells along a side of the picture, each with a histogram of its own, ≥ 1."""

    def __post_init__(self) -> None:
        at_least("net.cells", self.cells, 1)


class Lbp(Extractor):
    def __init__(self, cells: int) -> None:
        super().__init__()
        self.cells = cells
        self.register_buffer("bin_256", _uniform_bins(), persistent=False)
        self.bin_256: Tensor

    def names(self, classes: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 -- as all features
        """Return the neighbours that are at least as bright, as 8 digits in the order of the ring, and the cell."""
        codes = [code for code in range(256) if self.bin_256[code] < 58]
        patterns = ["".join(str(code >> place & 1) for place in range(len(_RING))) for code in codes]
        return [
            f"pattern {pattern} at row {row}, column {column}"
            for pattern in [*patterns, "of another kind"]
            for row in range(1, self.cells + 1)
            for column in range(1, self.cells + 1)
        ]

    def note(self) -> str:
        return (
            "pattern: the 8 neighbours of a pixel, clockwise from the upper left, 1 if it is at least as bright; the "
            f"value is the square root of the share of such pixels in one of {self.cells}×{self.cells} cells."
        )

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the histograms of all cells, (N, D)."""
        grey_NHW = images_NCHW.mean(dim=1)
        height, width = grey_NHW.shape[1] - 2, grey_NHW.shape[2] - 2
        middle = grey_NHW[:, 1:-1, 1:-1] - _STEP
        code = torch.zeros_like(middle, dtype=torch.long)
        for place, (y, x) in enumerate(_RING):
            code = code + (grey_NHW[:, y : y + height, x : x + width] >= middle).long() * 2**place
        bins = torch.arange(59, device=code.device)[:, None, None]
        counted = (self.bin_256[code][:, None] == bins).float()
        return F.adaptive_avg_pool2d(counted, self.cells).sqrt().flatten(1)


def _uniform_bins() -> Tensor:
    """Return the bin of each code: 0…57 for the uniform ones in order, 58 for the others."""
    changes = [(code ^ ((code >> 1) | (code & 1) << 7)).bit_count() for code in range(256)]
    uniform = [code for code in range(256) if changes[code] <= 2]
    return torch.tensor([uniform.index(code) if code in uniform else 58 for code in range(256)])


def build(settings: Settings, *, channels: int, height: int, width: int) -> Lbp:  # noqa: ARG001 -- as all features
    """Build the features. Raises SettingsError: the picture is smaller than 3×3."""
    smallest_input("lbp", 3, height, width)
    return Lbp(settings.cells)
