"""Layers that several nets are made of."""

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
