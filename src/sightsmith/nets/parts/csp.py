"""Blocks of one-stage detectors: a backbone of cross-stage partial blocks, and a path aggregation neck.

Papers: Wang et al., "CSPNet", CVPRW 2020, arXiv:1911.11929 (half of the maps skip the blocks); Wang et al., "Designing
Network Design Strategies Through Gradient Path Analysis", arXiv:2211.04800 (every block's output is kept); He et al.,
"Spatial Pyramid Pooling", ECCV 2014, arXiv:1406.4729; Liu et al., "Path Aggregation Network", CVPR 2018,
arXiv:1803.01534.

Shapes: B batch, C channels, H W height and width of the picture, h w of a feature map.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it

_EPS, _MOMENTUM = 1e-3, 0.03  # of batch normalisation: steps have few pictures, and their statistics are noisy


def conv(channels: int, features: int, side: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Return a convolution of `side` × `side`, batch normalisation and SiLU; stride 1 keeps the size."""
    return nn.Sequential(
        nn.Conv2d(channels, features, side, stride, side // 2, groups=groups, bias=False),
        nn.BatchNorm2d(features, eps=_EPS, momentum=_MOMENTUM),
        nn.SiLU(inplace=True),
    )


class Block(nn.Module):
    """Two 3×3 convolutions, f; x + f(x) if `shortcut`, else f(x)."""

    def __init__(self, features: int, *, shortcut: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(conv(features, features, 3), conv(features, features, 3))
        self.shortcut = shortcut

    def forward(self, x_BChw: Tensor) -> Tensor:
        return x_BChw + self.layers(x_BChw) if self.shortcut else self.layers(x_BChw)


class Stage(nn.Module):
    """A cross-stage partial stage: half of the maps go through the blocks, and every block's output is kept."""

    def __init__(self, channels: int, features: int, depth: int, *, shortcut: bool = True) -> None:
        super().__init__()
        half = features // 2
        self.skip = conv(channels, half)  # two convolutions: halves of the maps of one are no whole memory, and slower
        self.enter = conv(channels, half)
        self.blocks = nn.ModuleList(Block(half, shortcut=shortcut) for _ in range(depth))
        self.join = conv((2 + depth) * half, features)

    def forward(self, x_BChw: Tensor) -> Tensor:
        kept = [self.skip(x_BChw), self.enter(x_BChw)]
        for block in self.blocks:
            kept.append(block(kept[-1]))
        return self.join(torch.cat(kept, dim=1))


class Pooling(nn.Module):
    """Joins maxima over 5×5, 9×9 and 13×13 positions, by three 5×5 poolings in a row."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.narrow = conv(features, features // 2)
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)
        self.join = conv(features // 2 * 4, features)

    def forward(self, x_BChw: Tensor) -> Tensor:
        kept = [self.narrow(x_BChw)]
        for _ in range(3):
            kept.append(self.pool(kept[-1]))
        return self.join(torch.cat(kept, dim=1))


class Backbone(nn.Module):
    """Stages that halve the picture five times; gives the maps of strides 8, 16 and 32.

    Args:
        widths: feature maps at strides 2, 4, 8, 16 and 32.
        depths: blocks at strides 4, 8, 16 and 32.
    """

    def __init__(self, channels: int, widths: Sequence[int], depths: Sequence[int]) -> None:
        super().__init__()
        self.features = tuple(widths[2:])
        self.stem = conv(channels, widths[0], 3, 2)
        self.stages = nn.ModuleList(
            nn.Sequential(conv(before, after, 3, 2), Stage(after, after, depth))
            for before, after, depth in zip(widths, widths[1:], depths, strict=False)
        )
        self.pooling = Pooling(widths[-1])

    def forward(self, images_BCHW: Tensor) -> list[Tensor]:
        """Return the maps, finest first, each (B, C, h, w)."""
        maps = [self.stem(images_BCHW)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return [*maps[2:-1], self.pooling(maps[-1])]


class Neck(nn.Module):
    """Passes coarse maps down to fine ones, and the result up again, so that each position knows both scales.

    Args:
        channels: of the maps, finest first.
        widths: feature maps of each result.
        depth: blocks of each stage.
    """

    def __init__(self, channels: Sequence[int], widths: Sequence[int], depth: int) -> None:
        super().__init__()
        top = len(widths) - 1
        self.inputs = nn.ModuleList(
            nn.Identity() if before == after else conv(before, after)
            for before, after in zip(channels, widths, strict=True)
        )
        self.down = nn.ModuleList(
            Stage(widths[level] + widths[level + 1], widths[level], depth, shortcut=False)
            for level in reversed(range(top))
        )
        self.halve = nn.ModuleList(conv(width, width, 3, 2) for width in widths[:-1])
        self.up = nn.ModuleList(
            Stage(widths[level] + widths[level + 1], widths[level + 1], depth, shortcut=False) for level in range(top)
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Return as many maps of the same sizes, with `widths` feature maps."""
        maps = [layer(one) for layer, one in zip(self.inputs, maps, strict=True)]
        lowered = [maps[-1]]
        for stage, finer in zip(self.down, maps[-2::-1], strict=True):
            coarse = F.interpolate(lowered[0], scale_factor=2.0, mode="nearest")
            lowered.insert(0, stage(torch.cat([coarse, finer], dim=1)))
        raised = [lowered[0]]
        for halve, stage, coarser in zip(self.halve, self.up, lowered[1:], strict=True):
            raised.append(stage(torch.cat([halve(raised[-1]), coarser], dim=1)))
        return raised
