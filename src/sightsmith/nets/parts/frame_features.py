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


class Cells(nn.Module):
    """The means of a map in a grid of cells, (N, D·G·G): what is where, coarsely.

    Cells have the bounds of torch's adaptive average pooling; a product of matrices can be exported for any sizes.
    """

    def __init__(self, grid: int, height: int, width: int) -> None:
        super().__init__()
        self.register_buffer("rows_Gh", _means(grid, height), persistent=False)
        self.register_buffer("columns_wG", _means(grid, width).T.contiguous(), persistent=False)
        self.rows_Gh: Tensor
        self.columns_wG: Tensor

    def forward(self, map_NDhw: Tensor) -> Tensor:
        return (self.rows_Gh @ map_NDhw @ self.columns_wG).flatten(1)


def _means(cells: int, length: int) -> Tensor:
    """Return the share of each of `length` places in each cell, (cells, length)."""
    means = torch.zeros(cells, length)
    for cell in range(cells):
        start, end = cell * length // cells, -(-(cell + 1) * length // cells)
        means[cell, start:end] = 1 / (end - start)
    return means


def without_head(net: ClassifierNet, *, channels: int, height: int, width: int) -> tuple[int, tuple[int, ...]]:
    """Remove the classifier of a net in place, and return how many features it gives, and the shape of its last map.

    The shape is (D, h, w), or empty for a net without a map.

    Raises SettingsError: it has no single vector of features before its classifier.
    """
    for name in net.head_parts():
        net.set_submodule(name, nn.Identity())
    training = net.training
    image_1CHW = torch.zeros(1, channels, height, width, device=next(net.parameters()).device)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            features = net.eval().features(image_1CHW)
            shape = tuple(net.classify(features).shape)
            seen = net.as_map(features)
    except CANNOT as error:
        raise SettingsError(
            _refusal(f"{error}".splitlines()[0] if f"{error}" else "it needs its classifier")
        ) from error
    if len(shape) != 2:
        raise SettingsError(_refusal(f"they have the shape {shape[1:]}"))
    net.train(training)
    return shape[1], tuple(seen.shape[1:]) if seen.ndim == 4 else ()


def _refusal(why: str) -> str:
    return (
        f"net.backbone: the net gives no single vector of features for a frame ({why}). Name another, such as "
        "smallresnet or resnet18."
    )
