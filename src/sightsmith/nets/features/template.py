"""Templates: how alike a picture is to the mean picture of each class.

Source: normalised cross-correlation, Lewis, "Fast Normalized Cross-Correlation", 1995, without shifts: with x and t
less their own means,  Σ x·t / √(Σ x² · Σ t²), in −1…1.

Shapes: N pictures, C channels, H W height and width, K classes, P values of a picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it

from sightsmith.nets.parts.fitted import Extractor, FittedModule

PAPER = "Lewis, Fast Normalized Cross-Correlation, 1995"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    pass


class Templates(FittedModule, Extractor):
    HOLDS = "the mean picture of each class"

    def __init__(self, values: int) -> None:
        super().__init__()
        self.keep(templates_KP=torch.zeros(1, values))
        self.templates_KP: Tensor

    def fit(self, images_NCHW: Tensor, targets_N: Tensor, classes: int) -> None:
        """Keep the mean of the pictures of each class."""
        flat_NP = images_NCHW.flatten(1)
        means = [flat_NP[targets_N == index].mean(dim=0) for index in range(classes)]
        self.keep(templates_KP=_centred(torch.stack(means)))

    def names(self, classes: Sequence[str]) -> Sequence[str]:
        return [f"likeness to the mean {name}" for name in classes]

    def note(self) -> str:
        return "likeness: the correlation of the pixels with those of the mean training picture of a class, -1 to 1."

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the correlation with each template, (N, K)."""
        return _centred(images_NCHW.flatten(1)) @ self.templates_KP.T


def _centred(values_NP: Tensor) -> Tensor:
    return F.normalize(values_NP - values_NP.mean(dim=1, keepdim=True), dim=1)


def build(settings: Settings, *, channels: int, height: int, width: int) -> Templates:  # noqa: ARG001 -- as all features
    return Templates(channels * height * width)
