"""Augmenting training pictures: one by one (crops, TrivialAugment, RandAugment) or per batch (the rest).

Every random choice is a function of a seed that the caller derives from (run, epoch, picture or step), so that a
resumed training makes the same pictures.

Papers: Müller and Hutter, "TrivialAugment", ICCV 2021, arXiv:2103.10158. Cubuk et al., "RandAugment", CVPRW 2020,
arXiv:1909.13719. Zhong et al., "Random Erasing Data Augmentation", AAAI 2020, arXiv:1708.04896. Szegedy et al.,
"Going Deeper with Convolutions", CVPR 2015, arXiv:1409.4842 (crops of random area and aspect).
Shapes: B pictures, H height, W width, C channels (1 or 3); pixels are uint8.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it
from torchvision.transforms import v2

from sightsmith.core.placement import Box

_ASPECTS = (3 / 4, 4 / 3)  # Least and greatest width : height of a random crop, relative to the input's own
_TRIES = 10
_ERASED_AREA = (0.02, 0.33)
_ERASED_ASPECT = (0.3, 3.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """The variations of training pictures."""

    policy: Literal["none", "trivial", "rand"] = "none"
    """Colour and geometry of single pictures, by torchvision."""
    flip: Literal["none", "horizontal", "both"] = "none"
    """Mirror with probability ½: left-right, or also top-bottom."""
    shift: float = 0.0
    """Greatest move along each axis, as a share of the side; the edge is repeated into the gap."""
    crop_share: float = 1.0
    """Least share of the picture's area in a random crop; 1 cuts as at prediction."""
    rotate: float = 0.0
    """Greatest turn either way, in degrees; the edge is repeated into the gaps."""
    zoom: float = 0.0
    """Greatest change of scale: by a factor between 1 / (1 + zoom) and 1 + zoom."""
    jitter: float = 0.0
    """Greatest change of brightness, contrast, saturation: each by a factor between 1 / (1 + jitter) and 1 + jitter."""
    erase: float = 0.0
    """Probability of overwriting a random rectangle with noise."""

    @property
    def per_picture(self) -> bool:
        """Tell whether a part needs pictures one by one."""
        return self.policy != "none" or self.crop_share < 1


def random_box(width: int, height: int, aspect: float, area: float, rng: np.random.Generator) -> Box:
    """Choose a part of a picture to show: of a given area, random aspect, anywhere inside.

    Args:
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        aspect: width : height of the input that the part will be resized to.
        area: of the part, as a share of the picture's, in (0, 1].

    Returns:
        (left, top, right, bottom) in pixels, inside the picture, at least one pixel each way.
    """
    aspects = aspect * np.exp(rng.uniform(math.log(_ASPECTS[0]), math.log(_ASPECTS[1]), _TRIES))
    across, down = np.sqrt(area * width * height * aspects), np.sqrt(area * width * height / aspects)
    fits = np.flatnonzero((across <= width) & (down <= height))
    if fits.size:
        box_width, box_height = max(1.0, float(across[fits[0]])), max(1.0, float(down[fits[0]]))
    else:  # a long thin picture: the largest part of the wanted aspect
        box_width, box_height = max(1.0, min(width, height * aspect)), max(1.0, min(height, width / aspect))
    left, top = rng.uniform(0, width - box_width), rng.uniform(0, height - box_height)
    return left, top, left + box_width, top + box_height


def policy(name: str) -> Callable[[Tensor], Tensor] | None:
    """Return torchvision's transform of a (C, H, W) uint8 picture for a policy, None for "none".

    It draws from torch's global generator, which the caller seeds.
    """
    if name == "none":
        return None
    transform: Callable[[Tensor], Tensor] = v2.TrivialAugmentWide() if name == "trivial" else v2.RandAugment()
    return transform


def apply_policy(transform: Callable[[Tensor], Tensor], pixels_HWC: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Apply a policy to one picture, drawing from a fresh generator of this seed."""
    picture_CHW = torch.from_numpy(np.array(pixels_HWC)).permute(2, 0, 1)
    grey = picture_CHW.shape[0] == 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        varied_CHW = transform(picture_CHW.expand(3, -1, -1) if grey else picture_CHW)
    kept_CHW = varied_CHW[:1] if grey else varied_CHW
    return np.ascontiguousarray(kept_CHW.permute(1, 2, 0).numpy())


def vary_batch(pixels_BHWC: Tensor, plan: Augmentation, generator: torch.Generator) -> Tensor:
    """Shift, flip, rotate, zoom, jitter and erase the pictures of a batch, each at random.

    Args:
        pixels_BHWC: uint8, on any device.
        generator: on the processor, seeded by the caller.

    Returns:
        The varied pictures, same shape, type and device; the argument is left as it was.
    """
    if plan.shift > 0:
        pixels_BHWC = _shifted(pixels_BHWC, plan.shift, generator)
    if plan.flip != "none":
        pixels_BHWC = _mirrored(pixels_BHWC, 2, generator)
    if plan.flip == "both":
        pixels_BHWC = _mirrored(pixels_BHWC, 1, generator)
    if plan.rotate > 0 or plan.zoom > 0:
        pixels_BHWC = _warped(pixels_BHWC, plan.rotate, plan.zoom, generator)
    if plan.jitter > 0:
        pixels_BHWC = _relit(pixels_BHWC, plan.jitter, generator)
    if plan.erase > 0:
        pixels_BHWC = _erased(pixels_BHWC, plan.erase, generator)
    return pixels_BHWC


def _shifted(pixels_BHWC: Tensor, shift: float, generator: torch.Generator) -> Tensor:
    count, height, width, _ = pixels_BHWC.shape
    pictures_B11 = torch.arange(count)[:, None, None]
    rows_BH1 = _moved(count, height, shift, generator)[:, :, None]
    columns_B1W = _moved(count, width, shift, generator)[:, None, :]
    device = pixels_BHWC.device
    return pixels_BHWC[pictures_B11.to(device), rows_BH1.to(device), columns_B1W.to(device)]


def _moved(count: int, side: int, shift: float, generator: torch.Generator) -> Tensor:
    """Return (B, side): for each picture and position along one axis, the source position of its pixel."""
    furthest = round(shift * side)
    offsets_B1 = torch.randint(-furthest, furthest + 1, (count, 1), generator=generator)
    return (torch.arange(side)[None] + offsets_B1).clamp_(0, side - 1)


def _mirrored(pixels_BHWC: Tensor, axis: int, generator: torch.Generator) -> Tensor:
    chosen_B = torch.rand(len(pixels_BHWC), generator=generator) < 0.5
    chosen_B111 = chosen_B[:, None, None, None].to(pixels_BHWC.device)
    return torch.where(chosen_B111, pixels_BHWC.flip(axis), pixels_BHWC)


def _warped(pixels_BHWC: Tensor, rotate: float, zoom: float, generator: torch.Generator) -> Tensor:
    """Turn and scale about the middle, bilinearly."""
    count, height, width, _ = pixels_BHWC.shape
    angle_B = math.radians(rotate) * _between(-1, 1, count, generator)
    scale_B = torch.exp(math.log1p(zoom) * _between(-1, 1, count, generator))
    cosine_B, sine_B = angle_B.cos() / scale_B, angle_B.sin() / scale_B
    # Both axes of the grid run from -1 to 1, so rotating a picture that is not square needs its aspect.
    aspect, zero_B = height / width, torch.zeros(count)
    matrix_B23 = torch.stack(
        [
            torch.stack([cosine_B, -sine_B * aspect, zero_B], dim=1),
            torch.stack([sine_B / aspect, cosine_B, zero_B], dim=1),
        ],
        dim=1,
    ).to(pixels_BHWC.device)
    images_BCHW = pixels_BHWC.permute(0, 3, 1, 2).float()
    grid_BHW2 = F.affine_grid(matrix_B23, list(images_BCHW.shape), align_corners=False)
    warped_BCHW = F.grid_sample(images_BCHW, grid_BHW2, padding_mode="border", align_corners=False)
    return warped_BCHW.permute(0, 2, 3, 1).round().to(torch.uint8).contiguous()


def _relit(pixels_BHWC: Tensor, jitter: float, generator: torch.Generator) -> Tensor:
    """Change saturation (about each pixel's grey), contrast (about each picture's mean) and brightness."""
    factors_3B = torch.exp(math.log1p(jitter) * _between(-1, 1, 3 * len(pixels_BHWC), generator)).view(3, -1)
    saturation_B, contrast_B, brightness_B = factors_3B[..., None, None, None].to(pixels_BHWC.device)
    values_BHWC = pixels_BHWC.float()
    if values_BHWC.shape[-1] > 1:
        grey_BHW1 = values_BHWC.mean(dim=3, keepdim=True)
        values_BHWC = torch.lerp(grey_BHW1, values_BHWC, saturation_B)
    mean_B111 = values_BHWC.mean(dim=(1, 2, 3), keepdim=True)
    values_BHWC = torch.lerp(mean_B111, values_BHWC, contrast_B) * brightness_B
    return values_BHWC.round_().clamp_(0, 255).to(torch.uint8)


def _between(low: float, high: float, count: int, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)


def _erased(pixels_BHWC: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    count, height, width, channels = pixels_BHWC.shape
    draws_5B = torch.rand(5, count, generator=generator)
    area_B = height * width * (_ERASED_AREA[0] + (_ERASED_AREA[1] - _ERASED_AREA[0]) * draws_5B[0])
    low, high = math.log(_ERASED_ASPECT[0]), math.log(_ERASED_ASPECT[1])
    aspect_B = torch.exp(low + (high - low) * draws_5B[1])
    down_B = (area_B * aspect_B).sqrt().round().clamp(1, height)
    across_B = (area_B / aspect_B).sqrt().round().clamp(1, width)
    inside_BH = _span(draws_5B[2], down_B, height)
    inside_BW = _span(draws_5B[3], across_B, width)
    chosen_B = draws_5B[4] < probability
    mask_BHW1 = (inside_BH[:, :, None] & inside_BW[:, None, :] & chosen_B[:, None, None])[..., None]
    noise_BHWC = torch.randint(0, 256, (count, height, width, channels), generator=generator, dtype=torch.uint8)
    device = pixels_BHWC.device
    return torch.where(mask_BHW1.to(device), noise_BHWC.to(device), pixels_BHWC)


def _span(draw_B: Tensor, length_B: Tensor, side: int) -> Tensor:
    """Return (B, side) bool: a run of `length` places at a random position inside."""
    start_B1 = (draw_B * (side - length_B + 1)).floor()[:, None]
    places_1S = torch.arange(side)[None]
    return (places_1S >= start_B1) & (places_1S < start_B1 + length_B[:, None])
