"""The pixels themselves, averaged down to a grid.

Shapes: N pictures, C channels, H W height and width, D features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it

from sightsmith.core.errors import SettingsError
from sightsmith.nets.parts.checks import at_least
from sightsmith.nets.parts.fitted import Extractor

PAPER = "none: the pixels themselves"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    grid: int = 28
    """pixel: positions along a side; larger pictures are averaged down to it, ≥ 1."""

    weight: float = 1.0
    """pixel: factor of the values, > 0; below 1, other features that they are joined with count for more."""

    def __post_init__(self) -> None:
        at_least("net.grid", self.grid, 1)
        if not self.weight > 0:
            raise SettingsError(f"net.weight must be > 0, got {self.weight!r}")


class Pixels(Extractor):
    def __init__(self, size: tuple[int, int], weight: float, channels: int) -> None:
        super().__init__()
        self.size, self.weight, self.channels = size, weight, channels

    def names(self, classes: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 -- as all features
        return [
            f"{colour} at row {row}, column {column}"
            for colour in (("red", "green", "blue") if self.channels == 3 else ("brightness",))
            for row in range(1, self.size[0] + 1)
            for column in range(1, self.size[1] + 1)
        ]

    def note(self) -> str:
        height, width = self.size
        return f"row and column: of {height}×{width} pixels, from the upper left; values are 0 to {self.weight:g}."

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the values of the grid, (N, D)."""
        return self.weight * F.adaptive_avg_pool2d(images_NCHW, self.size).flatten(1)


def build(settings: Settings, *, channels: int, height: int, width: int) -> Pixels:
    return Pixels((min(height, settings.grid), min(width, settings.grid)), settings.weight, channels)
