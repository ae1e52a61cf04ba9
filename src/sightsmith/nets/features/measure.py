"""A few measures of a picture that have a name, for rules that people write and read.

Shapes: N pictures, C channels, H W height and width, D measures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sightsmith.nets.parts.fitted import Extractor

PAPER = "none: means and deviations"

_EDGE = 0.1  # Step of brightness, in 0…1, from which two neighbouring pixels count as an edge


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    pass


class Measures(Extractor):
    """All measures are in 0…1, `middle` and `top` in −1…1."""

    NAMES = (
        "brightness",  # mean of all pixels
        "contrast",  # their standard deviation
        "red",  # share of red in the mean colour, likewise green and blue: a third each if there is no colour
        "green",
        "blue",
        "colourfulness",  # mean distance of a pixel's largest and smallest channel
        "edges",  # share of neighbours that differ by a tenth or more
        "upright_edges",  # share of those that lie beside each other: upright lines
        "middle",  # brightness of the middle half less that of the whole
        "top",  # brightness of the upper half less that of the lower
    )

    def names(self, classes: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 -- as all features
        return self.NAMES

    def note(self) -> str:
        return (
            "red, green, blue: shares of the mean colour; edges: share of neighbouring pixels that differ by a tenth; "
            "middle, top: how much brighter than the whole, than the lower half."
        )

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the measures, (N, D) in the order of `NAMES`."""
        height, width = images_NCHW.shape[2:]
        grey_NHW, colour_N3 = images_NCHW.mean(dim=1), images_NCHW.mean(dim=(2, 3))
        colour_N3 = colour_N3 if images_NCHW.shape[1] == 3 else colour_N3.expand(-1, 3)
        brightness_N = grey_NHW.mean(dim=(1, 2))
        contrast_N = (grey_NHW - brightness_N[:, None, None]).square().mean(dim=(1, 2)).sqrt()
        share_N3 = (colour_N3 + 1e-3) / (colour_N3 + 1e-3).sum(dim=1, keepdim=True)
        spread_N = (images_NCHW.amax(dim=1) - images_NCHW.amin(dim=1)).mean(dim=(1, 2))
        beside_N = (_step(grey_NHW, 2) >= _EDGE).float().mean(dim=(1, 2))
        below_N = (_step(grey_NHW, 1) >= _EDGE).float().mean(dim=(1, 2))
        edges_N = (beside_N + below_N) / 2
        upright_N = beside_N / (beside_N + below_N).clamp(min=1e-6)
        middle_N = grey_NHW[:, height // 4 : -(-3 * height // 4), width // 4 : -(-3 * width // 4)].mean(dim=(1, 2))
        top_N = grey_NHW[:, : height // 2].mean(dim=(1, 2)) - grey_NHW[:, -(-height // 2) :].mean(dim=(1, 2))
        measures = (spread_N, edges_N, upright_N, middle_N - brightness_N, top_N)
        return torch.cat([torch.stack([brightness_N, contrast_N], 1), share_N3, torch.stack(measures, 1)], dim=1)


def _step(grey_NHW: Tensor, axis: int) -> Tensor:
    """Return the size of the step from each pixel to the next along an axis."""
    length = grey_NHW.shape[axis] - 1
    return (grey_NHW.narrow(axis, 1, length) - grey_NHW.narrow(axis, 0, length)).abs()


def build(settings: Settings, *, channels: int, height: int, width: int) -> Measures:  # noqa: ARG001 -- as all features
    return Measures()
