"""Colour histograms: how often each colour occurs in each part of a picture.

Source: Swain and Ballard, "Color Indexing", International Journal of Computer Vision 7 (1991), with linear votes: a
value x of 0…1 votes for bin b of B of its channel by max(0, 1 − |x·(B − 1) − b|), and a pixel votes for a colour by the
product over its channels, so B values of red, green and blue are B³ colours. Histograms are shares of the pixels.

Shapes: N pictures, C channels, H W height and width, B bins, D features.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it

from sightsmith.nets.parts.checks import at_least
from sightsmith.nets.parts.fitted import Extractor

PAPER = "Swain and Ballard, Color Indexing, IJCV 7, 1991"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    bins: int = 4
    """colour: values of a channel that are told apart, ≥ 2; a picture in colour has bins³ colours."""
    parts: int = 2
    """colour: parts along a side, each with a histogram of its own, ≥ 1."""

    def __post_init__(self) -> None:
        at_least("net.bins", self.bins, 2)
        at_least("net.parts", self.parts, 1)


class Colours(Extractor):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.bins, self.parts = settings.bins, settings.parts

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the histograms of all parts, (N, D)."""
        bin_B11 = torch.arange(self.bins, device=images_NCHW.device)[:, None, None]
        votes = [
            F.relu(1 - (images_NCHW[:, c : c + 1] * (self.bins - 1) - bin_B11).abs())
            for c in range(images_NCHW.shape[1])
        ]
        joint = votes[0]
        for channel in votes[1:]:
            joint = (joint[:, :, None] * channel[:, None]).flatten(1, 2)
        return F.adaptive_avg_pool2d(joint, self.parts).flatten(1)


def build(settings: Settings, *, channels: int, height: int, width: int) -> Colours:  # noqa: ARG001 -- as all features
    return Colours(settings)
