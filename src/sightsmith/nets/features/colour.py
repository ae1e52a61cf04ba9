"""Colour histograms: how often each colour occurs in each part of a picture.

Source: Swain and Ballard, "Color Indexing", International Journal of Computer Vision 7 (1991), with linear votes: a
value x of 0…1 votes for bin b of B of its channel by max(0, 1 − |x·(B − 1) − b|), and a pixel votes for a colour by the
product over its channels, so B values of red, green and blue are B³ colours. Histograms are shares of the pixels.

Shapes: N pictures, C channels, H W height and width, B bins, D features.
"""

import itertools
from collections.abc import Sequence
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
    def __init__(self, settings: Settings, channels: int) -> None:
        super().__init__()
        self.bins, self.parts, self.channels = settings.bins, settings.parts, channels

    def names(self, classes: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 -- as all features
        """Return the colour as in HTML, and the part."""
        levels = [f"{round(255 * level / (self.bins - 1)):02x}" for level in range(self.bins)]
        return [
            f"colour #{''.join(levels_C * (3 // self.channels))} at row {row}, column {column}"
            for levels_C in itertools.product(levels, repeat=self.channels)
            for row in range(1, self.parts + 1)
            for column in range(1, self.parts + 1)
        ]

    def note(self) -> str:
        return (
            f"colour: the share of pixels near that colour (red, green, blue from 00 to ff) in one of {self.parts}×"
            f"{self.parts} parts of the picture, counted from the upper left."
        )

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
    return Colours(settings, channels)
