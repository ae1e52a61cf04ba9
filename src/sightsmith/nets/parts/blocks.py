"""Layers that several nets are made of.

Shapes: B batch, D features, C channels, H W height and width of the picture, h w of a feature map.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

Activation = Literal["relu", "silu"]


def conv_norm_act(channels: int, features: int, activation: Activation = "relu") -> nn.Sequential:
    """Return a 3×3 convolution that keeps the size, batch normalisation and an activation."""
    act = {"relu": nn.ReLU, "silu": nn.SiLU}[activation]
    return nn.Sequential(
        nn.Conv2d(channels, features, 3, padding=1, bias=False), nn.BatchNorm2d(features), act(inplace=True)
    )


class Residual(nn.Module):
    """x + f(x), f being two 3×3 convolutions, each with batch normalisation and an activation."""

    def __init__(self, features: int, activation: Activation = "relu") -> None:
        super().__init__()
        self.first = conv_norm_act(features, features, activation)
        self.second = conv_norm_act(features, features, activation)

    def forward(self, x_BDhw: Tensor) -> Tensor:
        return x_BDhw + self.second(self.first(x_BDhw))


def halving(channels: int, features: int, *, bias: bool = True) -> nn.Conv2d:
    """Return a convolution that halves each side; its 4×4 kernel covers each input the same number of times."""
    return nn.Conv2d(channels, features, 4, stride=2, padding=1, bias=bias)


def doubling(features: int, channels: int, *, bias: bool = True) -> nn.ConvTranspose2d:
    """Return a transposed convolution that doubles each side.

    The kernel's side, 4, is a multiple of the stride, so each output is a sum of equally many products: other kernels
    leave a checkerboard (Odena et al., "Deconvolution and Checkerboard Artifacts", Distill 2016).
    """
    return nn.ConvTranspose2d(features, channels, 4, stride=2, padding=1, bias=bias)


def doubled(width: int, count: int) -> tuple[int, ...]:
    """Return `count` numbers of feature maps: `width`, then twice as many each time, at most 8 × `width`."""
    return tuple(width * 2 ** min(step, 3) for step in range(count))


class VectorToPicture(nn.Module):
    """Projects a vector to a small map, and doubles its sides by transposed convolutions until it is a picture.

    Batch normalisation and ReLU stand before each doubling; nothing follows the last.

    Args:
        size: of the vector, D.
        features: numbers of feature maps, smallest map first; there are as many doublings.
        height: of the picture in pixels, a multiple of 2 ** len(features); so is `width`.
    """

    def __init__(self, size: int, features: Sequence[int], *, channels: int, height: int, width: int) -> None:
        super().__init__()
        first_map = (features[0], height >> len(features), width >> len(features))
        self.project = nn.Linear(size, first_map[0] * first_map[1] * first_map[2], bias=False)
        layers: list[nn.Module] = [nn.Unflatten(1, first_map)]
        for before, after in pairwise(features):
            layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True), doubling(before, after, bias=False)]
        layers += [nn.BatchNorm2d(features[-1]), nn.ReLU(inplace=True), doubling(features[-1], channels)]
        self.layers = nn.Sequential(*layers)

    def forward(self, vectors_BD: Tensor) -> Tensor:
        """Return pictures, (B, C, H, W), without bounds."""
        return self.layers(self.project(vectors_BD))
