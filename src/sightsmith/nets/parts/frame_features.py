"""A net for pictures that describes each frame of a clip by the numbers before its classifier.

Shapes: B batch, T frames, N = B·T, C channels, H W height and width of a frame, D features.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sightsmith.core.errors import SettingsError
from sightsmith.nets.parts.classifier import ClassifierNet
from sightsmith.nets.parts.timm_net import CANNOT


def each_frame(net: Callable[[Tensor], Tensor], frames: Tensor) -> Tensor:
    """Return what a net makes of all frames of all clips, (B, T, D), computed as one batch of pictures.

    Args:
        net: or a part of one, such as that after the features.
        frames: pictures (B, T, C, H, W), or features of them.
    """
    answers: Any = net(frames.flatten(0, 1))
    return answers.unflatten(0, frames.shape[:2])


def without_head(net: ClassifierNet, *, channels: int, height: int, width: int) -> int:
    """Remove the classifier of a net in place, and return how many features it gives, D.

    Raises SettingsError: it has no single vector of features before its classifier.
    """
    for name in net.head_parts():
        net.set_submodule(name, nn.Identity())
    training = net.training
    image_1CHW = torch.zeros(1, channels, height, width, device=next(net.parameters()).device)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            shape = tuple(net.eval()(image_1CHW).shape)
    except CANNOT as error:
        raise SettingsError(
            _refusal(f"{error}".splitlines()[0] if f"{error}" else "it needs its classifier")
        ) from error
    if len(shape) != 2:
        raise SettingsError(_refusal(f"they have the shape {shape[1:]}"))
    net.train(training)
    return shape[1]


def _refusal(why: str) -> str:
    return (
        f"net.backbone: the net gives no single vector of features for a frame ({why}). Name another, such as "
        "smallresnet or resnet18."
    )
