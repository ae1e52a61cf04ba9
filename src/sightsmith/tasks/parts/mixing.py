"""Mixing the pictures of a batch: mixup and CutMix, as functions of torch's global CPU generator.

Papers: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, arXiv:1710.09412 (λ, α and the mixed
loss are the paper's); Yun et al., "CutMix", ICCV 2019, arXiv:1905.04899 (λ is corrected to the actual area of the box).

Shapes: B batch; images are pictures (B, C, H, W) or clips (B, T, C, H, W).
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Mixed:
    """A batch, each item mixed with a partner."""

    images: Tensor  # the mixed items
    partner_B: Tensor | None = None  # index of each picture's partner in the batch; None if nothing was mixed
    share: float = 1.0  # share of a picture's own target in its loss, in [0, 1]; the partner's is the rest


def mix(images: Tensor, mixup: float, cutmix: float) -> Mixed:
    """Mix a batch by mixup or CutMix; if both are on, choose one at random.

    Args:
        images: normalised; not changed.
        mixup: α of mixup's Beta(α, α), ≥ 0; 0 is off.
        cutmix: α of CutMix's Beta(α, α), ≥ 0; 0 is off.
    """
    if not (mixup or cutmix) or len(images) < 2:
        return Mixed(images)
    by_mixup = bool(mixup) and (not cutmix or bool(torch.rand(()) < 0.5))
    alpha = mixup if by_mixup else cutmix
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    partner_B = torch.randperm(len(images)).to(images.device)
    if by_mixup:
        return Mixed(images.lerp(images[partner_B], 1 - share), partner_B, share)
    return _cut(images, partner_B, share)


def _cut(images: Tensor, partner_B: Tensor, share: float) -> Mixed:
    height, width = images.shape[-2:]
    side = (1 - share) ** 0.5
    top, bottom = _span(height, side)
    left, right = _span(width, side)
    mixed = images.clone()
    mixed[..., top:bottom, left:right] = images[partner_B][..., top:bottom, left:right]
    return Mixed(mixed, partner_B, 1 - (bottom - top) * (right - left) / (height * width))


def _span(length: int, side: float) -> tuple[int, int]:
    """Return start and end of a cut of `side` × length, with its centre anywhere in the picture."""
    middle = int(torch.randint(length, ()))
    half = side * length / 2
    return max(0, round(middle - half)), min(length, round(middle + half))
