"""Three ways to get a class map without gradients, each a part of an exported graph.

Shapes: B batch, D features, h w height and width of the feature map, K classes, E units of a dense layer.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it

Head = Callable[[Tensor], Tensor]  # From features (B, D, h, w) to logits (B, K)

_RECIPRO = (1 / 4, 1 / 2, 1 / 4)
"""Recipro-CAM's 3×3 mask is the outer product of this with itself: 1/4 at the centre, 1/8 beside, 1/16 diagonal."""


def by_position(head: Head, features_BDhw: Tensor) -> Tensor:
    """Apply a head to every position of the feature map as if it were the whole map.

    The head must accept a map of 1×1. Under average pooling and a linear layer the mean of the (B, K, h, w) logits over
    h w is the net's logits (CAM).
    """
    _, depth, height, width = features_BDhw.shape
    logits = head(features_BDhw.permute(0, 2, 3, 1).reshape(-1, depth, 1, 1))
    return logits.reshape(-1, height, width, logits.shape[-1]).permute(0, 3, 1, 2)


def by_masking(head: Head, features_BDhw: Tensor) -> Tensor:
    """Apply a head once per position, with all but that position's neighbourhood masked: Recipro-CAM.

    Source: Byun and Lee, "Recipro-CAM: Fast gradient-free visual explanations for convolutional neural networks",
    2022, arXiv:2209.14074, with its 3×3 Gaussian mask. Deviation: logits, (B, K, h, w), not softmax scores, so that
    classes compare. The head runs on h·w maps a picture.
    """
    _, depth, height, width = features_BDhw.shape
    masks_Phw = recipro_masks(height, width).to(features_BDhw)
    masked = features_BDhw[:, None] * masks_Phw[None, :, None]
    logits = head(masked.reshape(-1, depth, height, width))
    return logits.reshape(-1, height, width, logits.shape[-1]).permute(0, 3, 1, 2)


def by_masking_dense(dense_EDhw: Tensor, rest: Head, features_BDhw: Tensor) -> Tensor:
    """As `by_masking`, for a head that begins with a dense layer over the flattened map, which runs once a picture.

    A dense layer is linear, so its output for a masked map is the masked sum of each position's contribution: one
    product for the contributions, one 3×3 convolution for the sums.

    Args:
        dense_EDhw: weights of the dense layer, its flattened input unfolded to (D, h, w).
        rest: the rest of the head, the dense layer's bias included, from (N, E) to (N, K).
    """
    units, _, height, width = dense_EDhw.shape
    shares_BEhw = torch.einsum("bdhw,edhw->behw", features_BDhw, dense_EDhw)
    sums_BEhw = F.conv2d(shares_BEhw, _mask().to(features_BDhw).expand(units, 1, 3, 3), padding=1, groups=units)
    logits = rest(sums_BEhw.permute(0, 2, 3, 1).reshape(-1, units))
    return logits.reshape(-1, height, width, logits.shape[-1]).permute(0, 3, 1, 2)


def by_occlusion(
    net: Head, images_BCHW: Tensor, logits_BK: Tensor, colour: Tensor | float = 0.0, cells: int = 4
) -> Tensor:
    """Measure how far each class's logit falls when a cell of the picture is hidden: for all other nets.

    Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, arXiv:1311.2901.
    The net runs `cells`² times a picture.

    Args:
        logits_BK: the net's answer to the whole pictures.
        colour: of a hidden cell, (B, C, 1, 1); zero is the mean colour of normalised pictures.
        cells: cells along a side, ≥ 1.

    Returns:
        (B, K, cells, cells) in logits.
    """
    _, channels, height, width = images_BCHW.shape
    rows = torch.arange(height, device=images_BCHW.device) * cells // height
    columns = torch.arange(width, device=images_BCHW.device) * cells // width
    cell_HW = rows[:, None] * cells + columns
    seen_PHW = (cell_HW[None] != torch.arange(cells * cells, device=cell_HW.device)[:, None, None]).to(images_BCHW)
    hidden = (images_BCHW - colour)[:, None] * seen_PHW[None, :, None]
    hidden = hidden + (colour[:, None] if isinstance(colour, Tensor) else colour)
    without = net(hidden.reshape(-1, channels, height, width))
    without_BPK = without.reshape(-1, cells * cells, without.shape[-1])
    fall_BPK = logits_BK[:, None] - without_BPK
    return fall_BPK.permute(0, 2, 1).reshape(-1, without.shape[-1], cells, cells)


def recipro_masks(height: int, width: int) -> Tensor:
    """Return Recipro-CAM's masks, (height·width, height, width): mask p keeps the 3×3 neighbourhood of position p."""
    positions = torch.eye(height * width).reshape(height * width, 1, height, width)
    return F.conv2d(positions, _mask(), padding=1)[:, 0]


def _mask() -> Tensor:
    side = torch.tensor(_RECIPRO)
    return torch.outer(side, side)[None, None]
