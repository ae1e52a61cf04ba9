"""Pooling the features of regions from a pyramid of maps, each from the map that suits its size.

Papers: He et al., "Mask R-CNN", ICCV 2017, arXiv:1703.06870 (RoIAlign); Lin et al., "Feature Pyramid Networks", CVPR
2017, arXiv:1612.03144 (equation 1: the map of a region).
Deviation: the usual code splits the regions by map, so the shapes depend on what is in the picture and no graph can
hold it. Here the maps lie below each other in one large map, from which all regions are pooled at once.

Shapes: B batch, D features, R regions of a picture, h w rows and columns of a map, L maps.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it
from torchvision.ops import roi_align

_SIZE, _LEVEL = 224, 4  # A region of 224 pixels is pooled from the map of stride 2⁴
_MARGIN = 2  # Rows below a map that repeat its last one, so that no sample mixes two maps


def pool_regions(
    maps: Sequence[Tensor], regions_BR4: Tensor, strides: Sequence[int], *, side: int, samples: int
) -> Tensor:
    """Return the features of regions, (B · R, D, side, side).

    Args:
        maps: finest first, each (B, D, h, w).
        regions_BR4: (left, top, right, bottom) in pixels of the input, inside it.
        strides: of the maps, powers of two, each twice the one before, or all the same.
        samples: in a row of each of the pooled cells.
    """
    places_BR = _maps_of(regions_BR4, strides)
    offsets_L, scales_L = regions_BR4.new_tensor(_offsets(maps)), regions_BR4.new_tensor([1 / one for one in strides])
    moved_BR4 = regions_BR4 * scales_L[places_BR][..., None]
    moved_BR4 = moved_BR4 + offsets_L[places_BR][..., None] * moved_BR4.new_tensor([0.0, 1.0, 0.0, 1.0])
    pictures_BR1 = torch.arange(regions_BR4.shape[0], device=regions_BR4.device, dtype=moved_BR4.dtype)[:, None, None]
    rows_BR5 = torch.cat([pictures_BR1.expand(-1, moved_BR4.shape[1], -1), moved_BR4], dim=2)
    pooled: Tensor = roi_align(_below_each_other(maps), rows_BR5.flatten(0, 1), (side, side), 1.0, samples)
    return pooled


def _maps_of(regions_BR4: Tensor, strides: Sequence[int]) -> Tensor:
    """Return the place of the map that suits each region, (B, R); of maps with one stride the first."""
    sides_BR = (regions_BR4[..., 2:] - regions_BR4[..., :2]).prod(dim=-1).clamp(min=1e-6).sqrt()
    first, last = round(math.log2(strides[0])), round(math.log2(strides[-1]))
    levels_BR = torch.floor(_LEVEL + torch.log2(sides_BR / _SIZE) + 1e-6)
    return levels_BR.clamp(first, last).long() - first


def _offsets(maps: Sequence[Tensor]) -> list[int]:
    heights = [one.shape[2] + _MARGIN for one in maps]
    return [sum(heights[:at]) for at in range(len(heights))]


def _below_each_other(maps: Sequence[Tensor]) -> Tensor:
    width = max(one.shape[3] for one in maps) + _MARGIN
    padded = [F.pad(one.float(), (0, _MARGIN, 0, _MARGIN), mode="replicate") for one in maps]
    return torch.cat([F.pad(one, (0, width - one.shape[3])) for one in padded], dim=2)
