"""Mixing the pictures of a batch: mixup and CutMix, as functions of torch's global CPU generator.

Papers: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, arXiv:1710.09412 (λ, α and the mixed
loss are the paper's); Yun et al., "CutMix", ICCV 2019, arXiv:1905.04899 (λ is corrected to the actual area of the box).

Shapes: B batch, C channels, H W height and width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Mixed:
    """A batch, each picture mixed with a partner."""

    images_BCHW: Tensor  # the mixed pictures
    partner_B: Tensor | None = None  # index of each picture's partner in the batch; None if nothing was mixed
    share: float = 1.0  # share of a picture's own target in its loss, in [0, 1]; the partner's is the rest


def mix(images_BCHW: Tensor, mixup: float, cutmix: float) -> Mixed:
    """Mix a batch by mixup or CutMix; if both are on, choose one at random.

    Args:
        images_BCHW: normalised pictures; not changed.
        mixup: α of mixup's Beta(α, α), ≥ 0; 0 is off.
        cutmix: α of CutMix's Beta(α, α), ≥ 0; 0 is off.
    """
    if not (mixup or cutmix) or len(images_BCHW) < 2:
        return Mixed(images_BCHW)
    by_mixup = bool(mixup) and (not cutmix or bool(torch.rand(()) < 0.5))
    alpha = mixup if by_mixup else cutmix
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    partner_B = torch.randperm(len(images_BCHW)).to(images_BCHW.device)
    if by_mixup:
        return Mixed(images_BCHW.lerp(images_BCHW[partner_B], 1 - share), partner_B, share)
    return _cut(images_BCHW, partner_B, share)


def _cut(images_BCHW: Tensor, partner_B: Tensor, share: float) -> Mixed:
    height, width = images_BCHW.shape[-2:]
    side = (1 - share) ** 0.5
    top, bottom = _span(height, side)
    left, right = _span(width, side)
    mixed_BCHW = images_BCHW.clone()
    mixed_BCHW[..., top:bottom, left:right] = images_BCHW[partner_B][..., top:bottom, left:right]
    return Mixed(mixed_BCHW, partner_B, 1 - (bottom - top) * (right - left) / (height * width))


def _span(length: int, side: float) -> tuple[int, int]:
    """Return start and end of a cut of `side` × length, with its centre anywhere in the picture."""
    middle = int(torch.randint(length, ()))
    half = side * length / 2
    return max(0, round(middle - half)), min(length, round(middle + half))
