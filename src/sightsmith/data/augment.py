"""Augmenting training pictures: one by one (TrivialAugment, RandAugment) or per batch (the rest).

Every random choice is a function of a seed that the caller derives from (run, epoch, picture or step), so that a
resumed training makes the same pictures.

Papers: Müller and Hutter, "TrivialAugment", ICCV 2021, arXiv:2103.10158. Cubuk et al., "RandAugment", CVPRW 2020,
arXiv:1909.13719. Zhong et al., "Random Erasing Data Augmentation", AAAI 2020, arXiv:1708.04896.
Shapes: B pictures or clips, T frames of a clip, H height, W width, C channels (1 or 3), X = T · C; pixels are uint8.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it
from torchvision.transforms import v2

_IN_PLACE = ("jitter", "hue", "decolour", "erase")
_CACHED_VALUES = 1_000_000  # Values of pixels that are computed at a time
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
    moments: bool = False
    """Show random moments of a clip, by its sampling."""
    crop_share: float = 1.0
    """Least share of the picture's area in a random crop; 1 cuts as at prediction."""
    rotate: float = 0.0
    """Greatest turn either way, in degrees; the edge is repeated into the gaps."""
    zoom: float = 0.0
    """Greatest change of scale: by a factor between 1 / (1 + zoom) and 1 + zoom."""
    jitter: float = 0.0
    """Greatest change of brightness, contrast, saturation: each by a factor between 1 / (1 + jitter) and 1 + jitter."""
    hue: float = 0.0
    """Greatest turn of the colours about the grey axis, either way, in turns: 1/3 makes red green."""
    decolour: float = 0.0
    """Probability of replacing each pixel's channels by their mean."""
    erase: float = 0.0
    """Probability of overwriting a random rectangle with noise."""
    mosaic: float = 0.0
    """Probability of a picture put together of parts of four, for targets that have places (`composition.py`)."""
    mixup: float = 0.0
    """Probability of blending two pictures, likewise."""

    @property
    def in_place(self) -> "Augmentation":
        """The variations that move nothing: of light, colour and noise."""
        return replace(Augmentation(), **{name: getattr(self, name) for name in _IN_PLACE})

    @property
    def moves(self) -> bool:
        """Whether a variation moves what is in a picture."""
        return self != self.in_place

    @property
    def per_picture(self) -> bool:
        """Tell whether a part needs pictures one by one."""
        return self.policy != "none" or self.crop_share < 1 or self.moments


_POLICIES: dict[str, Callable[[Tensor], Tensor]] = {"trivial": v2.TrivialAugmentWide(), "rand": v2.RandAugment()}


def apply_policy(name: str, pixels: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Apply a policy other than "none" to a picture (H, W, C), or to the frames of a clip (T, H, W, C) alike.

    The draws depend on the seed alone.
    """
    images = torch.from_numpy(np.array(pixels)).movedim(-1, -3)  # (…, C, H, W)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        varied = _POLICIES[name](images.expand(*images.shape[:-3], 3, -1, -1))
    return np.ascontiguousarray(varied[..., : images.shape[-3], :, :].movedim(-3, -1).numpy())


def vary_batch(pixels: Tensor, plan: Augmentation, generator: torch.Generator) -> Tensor:
    """Shift, flip, rotate, zoom, jitter, turn hues, decolour and erase at random; the argument stays.

    Args:
        pixels: uint8, on any device: pictures (B, H, W, C), or clips (B, T, H, W, C), whose frames are varied alike.
        generator: on the processor, seeded by the caller.
    """
    if pixels.ndim == 4:
        return _erased_some(_relit_some(_moved_some(pixels, plan, generator), plan, generator), plan, generator)
    frames = pixels.shape[1]
    moved_BHWX = _moved_some(_across(pixels), plan, generator)
    relit_BTHWC = _relit_some(_down(_apart(moved_BHWX, frames)), plan, generator).view_as(pixels)
    return _apart(_erased_some(_across(relit_BTHWC), plan, generator), frames)


def _across(pixels_BTHWC: Tensor) -> Tensor:
    """Return the frames as channels of one picture, (B, H, W, T · C), so that all of them move alike."""
    return pixels_BTHWC.permute(0, 2, 3, 1, 4).flatten(3)


def _apart(pixels_BHWX: Tensor, frames: int) -> Tensor:
    """Return the frames that `_across` put together, (B, T, H, W, C)."""
    return pixels_BHWX.reshape(*pixels_BHWX.shape[:3], frames, -1).permute(0, 3, 1, 2, 4).contiguous()


def _down(pixels_BTHWC: Tensor) -> Tensor:
    """Return the frames below each other in one picture, (B, T · H, W, C), so that one light falls on all of them."""
    return pixels_BTHWC.flatten(1, 2)


def _moved_some(pixels_BHWC: Tensor, plan: Augmentation, generator: torch.Generator) -> Tensor:
    if plan.shift > 0:
        pixels_BHWC = _shifted(pixels_BHWC, plan.shift, generator)
    if plan.flip != "none":
        pixels_BHWC = _mirrored(pixels_BHWC, 2, generator)
    if plan.flip == "both":
        pixels_BHWC = _mirrored(pixels_BHWC, 1, generator)
    if plan.rotate > 0 or plan.zoom > 0:
        pixels_BHWC = _warped(pixels_BHWC, plan.rotate, plan.zoom, generator)
    return pixels_BHWC


def _relit_some(pixels_BHWC: Tensor, plan: Augmentation, generator: torch.Generator) -> Tensor:
    if plan.jitter > 0 or plan.hue > 0:
        pixels_BHWC = _relit(pixels_BHWC, plan.jitter, plan.hue, generator)
    if plan.decolour > 0:
        pixels_BHWC = _decoloured(pixels_BHWC, plan.decolour, generator)
    return pixels_BHWC


def _erased_some(pixels_BHWC: Tensor, plan: Augmentation, generator: torch.Generator) -> Tensor:
    return _erased(pixels_BHWC, plan.erase, generator) if plan.erase > 0 else pixels_BHWC


def _shifted(pixels_BHWC: Tensor, shift: float, generator: torch.Generator) -> Tensor:
    count, height, width, _ = pixels_BHWC.shape
    pictures_B = torch.arange(count, device=pixels_BHWC.device)
    rows_BH = _moved(count, height, shift, generator).to(pixels_BHWC.device)
    columns_BW = _moved(count, width, shift, generator).to(pixels_BHWC.device)
    return pixels_BHWC[pictures_B[:, None, None], rows_BH[:, :, None], columns_BW[:, None, :]]


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
    angle_B = math.radians(rotate) * _either_way(count, generator)
    scale_B = torch.exp(math.log1p(zoom) * _either_way(count, generator))
    cosine_B, sine_B = angle_B.cos() / scale_B, angle_B.sin() / scale_B
    # Both axes of the grid run from -1 to 1, so rotating a picture that is not square needs its aspect.
    aspect = height / width
    matrix_B23 = torch.zeros(count, 2, 3)
    matrix_B23[:, 0, 0] = matrix_B23[:, 1, 1] = cosine_B
    matrix_B23[:, 0, 1], matrix_B23[:, 1, 0] = -sine_B * aspect, sine_B / aspect
    images_BCHW = pixels_BHWC.permute(0, 3, 1, 2).float()
    grid_BHW2 = F.affine_grid(matrix_B23.to(pixels_BHWC.device), list(images_BCHW.shape), align_corners=False)
    warped_BCHW = F.grid_sample(images_BCHW, grid_BHW2, padding_mode="border", align_corners=False)
    return warped_BCHW.permute(0, 2, 3, 1).round().to(torch.uint8).contiguous()


def _relit(pixels_BHWC: Tensor, jitter: float, hue: float, generator: torch.Generator) -> Tensor:
    """Change hue and saturation (about each pixel's grey), contrast (about each picture's mean) and brightness.

    Each is linear in the channels, so together they are one matrix and one offset for a picture. Parts of the batch
    are computed one after another, so that their numbers stay in the processor's cache.
    """
    count, channels, device = len(pixels_BHWC), pixels_BHWC.shape[3], pixels_BHWC.device
    factors_3B = torch.exp(math.log1p(jitter) * _either_way(3 * count, generator)).view(3, -1)
    saturation_B, contrast_B, brightness_B = factors_3B[..., None, None]
    grey_CC = torch.full((channels, channels), 1 / channels)
    colour_BCC = saturation_B * (_turned_hues(hue, count, generator) - grey_CC) if channels > 1 else 0.0
    matrix_BCC = brightness_B * contrast_B * (grey_CC + colour_BCC)
    # Four pixels a row: products with matrices of 12 columns are three times as fast as with 3 columns
    pixels = math.gcd(4, pixels_BHWC.shape[1] * pixels_BHWC.shape[2])
    each_BpCpC = torch.einsum("pq,bdc->bpcqd", torch.eye(pixels), matrix_BCC)
    matrix_BRR = each_BpCpC.reshape(count, pixels * channels, pixels * channels).to(device)
    lift_B11 = (brightness_B * (1 - contrast_B)).to(device)
    relit_BHWC = torch.empty_like(pixels_BHWC)
    size = max(1, _CACHED_VALUES // pixels_BHWC[0].numel())
    rows = pixels_BHWC[0].numel() // (pixels * channels)
    for part in map(slice, range(0, count, size), range(size, count + size, size)):
        values_bPR = pixels_BHWC[part].reshape(-1, rows, pixels * channels).float()
        offset_b11 = values_bPR.mean(dim=(1, 2), keepdim=True) * lift_B11[part]
        values_bPR = torch.baddbmm(offset_b11, values_bPR, matrix_BRR[part])
        relit_BHWC[part] = values_bPR.round_().clamp_(0, 255).view_as(pixels_BHWC[part])
    return relit_BHWC


def _turned_hues(hue: float, count: int, generator: torch.Generator) -> Tensor:
    """Return matrices (B, 3, 3) that turn colours about the grey axis; the mean of the channels stays."""
    if hue == 0:
        return torch.eye(3).expand(count, 3, 3)
    angle_B1 = 2 * math.pi * hue * _either_way(count, generator)[:, None]
    thirds_3 = 2 * math.pi / 3 * torch.arange(3)
    first_B3 = (1 + 2 * torch.cos(angle_B1 + thirds_3)) / 3  # Rodrigues' rotation about (1, 1, 1), its first row
    return torch.stack([first_B3.roll(turn, dims=1) for turn in range(3)], dim=1)


def _decoloured(pixels_BHWC: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    chosen_B = torch.rand(len(pixels_BHWC), generator=generator) < probability
    grey_BHW1 = pixels_BHWC.float().mean(dim=3, keepdim=True).round_().to(torch.uint8)
    return torch.where(chosen_B[:, None, None, None].to(pixels_BHWC.device), grey_BHW1, pixels_BHWC)


def _either_way(count: int, generator: torch.Generator) -> Tensor:
    """Return (count,) in -1…1."""
    return 2 * torch.rand(count, generator=generator) - 1


def _erased(pixels_BHWC: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    count, height, width, channels = pixels_BHWC.shape
    draws_5B = torch.rand(5, count, generator=generator)
    least, most = _ERASED_AREA
    area_B = height * width * (least + (most - least) * draws_5B[0])
    low, high = map(math.log, _ERASED_ASPECT)
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
