"""The backbone of any timm net as the maps of strides 8, 16 and 32, for detectors.

Shapes: B batch, C channels, H W height and width of the picture.
"""

from typing import Any

import timm
import torch
from torch import Tensor, nn

from sightsmith.core.errors import SettingsError
from sightsmith.core.names import did_you_mean

_CANNOT = (RuntimeError, TypeError, ValueError, AssertionError, AttributeError, KeyError, IndexError)
"""What nets without such maps raise when they are asked for them."""


class TimmFeatures(nn.Module):
    """Gives the maps of the asked strides, finest first, each (B, C, h, w).

    Attributes:
        features: feature maps of each.
    """

    def __init__(self, net: Any, features: tuple[int, ...]) -> None:
        super().__init__()
        self.net, self.features = net, features

    def forward(self, images_BCHW: Tensor) -> list[Tensor]:
        return list(self.net(images_BCHW))


def timm_features(name: str, channels: int, strides: tuple[int, ...], *, height: int, width: int) -> TimmFeatures:
    """Build the backbone of a timm net with random weights.

    Raises SettingsError: timm has no such net, or its maps do not have these strides in an input of this size.
    """
    if not timm.is_model(name):
        raise SettingsError(f"yolo.backbone: unknown net {name!r}. {did_you_mean(name, timm.list_models())}")
    try:
        every: Any = timm.create_model(name, features_only=True, in_chans=channels)
        reductions = every.feature_info.reduction()
        places = [len(reductions) - 1 - reductions[::-1].index(stride) for stride in strides]
        net: Any = timm.create_model(name, features_only=True, in_chans=channels, out_indices=places)
        sides = _sides(net, channels, height, width)
    except _CANNOT as error:
        raise SettingsError(_refusal(name, strides, f"{error}".splitlines()[0] if f"{error}" else "no maps")) from error
    if sides != [(height // stride, width // stride) for stride in strides]:
        raise SettingsError(_refusal(name, strides, f"its maps of {width}×{height} pixels have the sides {sides}"))
    return TimmFeatures(net, tuple(net.feature_info.channels()))


def _sides(net: Any, channels: int, height: int, width: int) -> list[tuple[int, int]]:
    """Return the (rows, columns) of the maps, which must be laid out (B, C, h, w)."""
    training = net.training
    device = next(net.parameters()).device
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        maps = net.eval()(torch.zeros(1, channels, height, width, device=device))
    net.train(training)
    if [one.shape[1] for one in maps] != net.feature_info.channels():
        raise ValueError("its maps have the channels last")
    return [(one.shape[2], one.shape[3]) for one in maps]


def _refusal(name: str, strides: tuple[int, ...], why: str) -> str:
    wanted = ", ".join(map(str, strides))
    return (
        f"yolo.backbone: {name} gives no maps of the strides {wanted} ({why}). Name a convolutional net, such as "
        "resnet18 or mobilenetv3_large_100, or leave it out."
    )
