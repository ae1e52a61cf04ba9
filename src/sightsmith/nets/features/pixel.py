"""The pixels themselves, averaged down to a grid.

Shapes: N pictures, C channels, H W height and width, D features.
"""

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
    def __init__(self, size: tuple[int, int], weight: float) -> None:
        super().__init__()
        self.size, self.weight = size, weight

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the values of the grid, (N, D)."""
        return self.weight * F.adaptive_avg_pool2d(images_NCHW, self.size).flatten(1)


def build(settings: Settings, *, channels: int, height: int, width: int) -> Pixels:  # noqa: ARG001 -- as all features
    return Pixels((min(height, settings.grid), min(width, settings.grid)), settings.weight)
