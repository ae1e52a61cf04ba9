"""Pictures with the corners of things in them, composed on a net's input: resized, cropped, mirrored, blended.

Torchvision moves pixels and corners with the same arguments, all of them whole pixels, so that both land on the same
place. A part of a picture is resized to a part of the input; letterbox, zoom, shift, crops and mosaic are such parts.

Papers: Bochkovskiy et al., "YOLOv4", arXiv:2004.10934 (mosaic). Zhang et al., "mixup", ICLR 2018, arXiv:1710.09412;
with boxes, "Bag of Freebies for Training Object Detection", arXiv:1902.04103 (the targets of both count in full).
Deviation: each part of a mosaic has its own scale, place and mirror, and a picture larger than its part shows any piece
of itself, not always the corner at the middle.
Shapes: M things in a picture, D columns of each: (left, top, right, bottom) in pixels, then what does not move;
H W C height, width and channels of pixels, uint8.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F  # noqa: N812 -- the field's own name for it

from sightsmith.core.placement import Box
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.data.augment import Augmentation
from sightsmith.inputs.parts.pixels import random_box

_LEAST_SIDE = 2.0  # Pixels of the input; a thing with less on a side is left out
_LEAST_SHARE = 0.1  # Of a thing's area; one with less inside is left out
_NEAREST_EDGE = 0.25  # Of the side: the middle of a mosaic is at least so far from each edge
_BLEND = 8.0  # α of the Beta distribution of the share of a blended picture: both stay visible

Spot = tuple[int, int, int, int]  # (left, top, right, bottom) of a part of the input, in its pixels


class Scene(NamedTuple):
    """A picture and the things in it."""

    pixels_HWC: NDArray[np.uint8]
    things_MD: Tensor  # float32; corners in pixels of this picture


def quarters(width: int, height: int, rng: np.random.Generator) -> list[Spot]:
    """Return the four parts of an input around a point at random."""
    x, y = (round(side * rng.uniform(_NEAREST_EDGE, 1 - _NEAREST_EDGE)) for side in (width, height))
    return [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]


def compose(
    placed: list[tuple[Scene, Spot]], settings: Preprocessing, vary: Augmentation, rng: np.random.Generator
) -> Scene:
    """Show each picture, varied, in its part of the input; what no picture covers is the fill of the settings."""
    pixels_HWC = np.full(settings.shape, settings.fill, dtype=np.uint8)
    things = [placed[0][0].things_MD[:0]]
    for scene, spot in placed:
        part = _part(scene, settings, vary, rng)
        frame = _frame(part, spot, settings, vary, rng)
        across, down = rng.random(2) < 0.5
        flips = vary.flip != "none" and across, vary.flip == "both" and down
        left, top, right, bottom = target = _covered(frame, spot)
        if left < right and top < bottom:
            shown = _cut(scene, _source(part.box, frame, target), (right - left, bottom - top), flips)
            pixels_HWC[top:bottom, left:right] = shown.pixels_HWC
            margins = [left, top, settings.width - right, settings.height - bottom]
            shown.things_MD[:, :4] = F.pad(_corners(shown), margins).as_subclass(Tensor)
            things.append(shown.things_MD)
    return Scene(pixels_HWC, torch.cat(things))


def blend(one: Scene, other: Scene, rng: np.random.Generator) -> Scene:
    """Lay a picture over another, half transparent; the things of both count."""
    pixels_HWC, over_HWC = (torch.from_numpy(scene.pixels_HWC).float() for scene in (one, other))
    blended_HWC = pixels_HWC.lerp_(over_HWC, float(rng.beta(_BLEND, _BLEND))).round_().to(torch.uint8)
    return Scene(blended_HWC.numpy(), torch.cat([one.things_MD, other.things_MD]))


class _Part(NamedTuple):
    """The part of a picture to show, in its pixels, and the size at which the net would see it, in those of the input.

    A box of a letterbox or a crop reaches outside the picture, or leaves some out; this is what of it is inside.
    """

    box: Box
    size: tuple[float, float]


def _part(scene: Scene, settings: Preprocessing, vary: Augmentation, rng: np.random.Generator) -> _Part:
    height, width = scene.pixels_HWC.shape[:2]
    if vary.crop_share < 1:
        aspect = width / height if settings.resize == "squash" else settings.width / settings.height
        box = random_box(width, height, aspect, rng.uniform(vary.crop_share, 1.0), rng)
    else:
        box = settings.box(width, height)
    left, top, right, bottom = max(box[0], 0.0), max(box[1], 0.0), min(box[2], width), min(box[3], height)
    across, down = settings.width / (box[2] - box[0]), settings.height / (box[3] - box[1])
    return _Part((left, top, right, bottom), ((right - left) * across, (bottom - top) * down))


def _frame(part: _Part, spot: Spot, settings: Preprocessing, vary: Augmentation, rng: np.random.Generator) -> Spot:
    """Choose where in the input the part would lie as a whole: of larger ones the spot shows any piece.

    A smaller one lies in the middle of the spot. Either is shifted then. It may reach outside the input.
    """
    zoom = math.exp(math.log1p(vary.zoom) * rng.uniform(-1, 1))
    draws_2, shifts_2 = rng.random(2), rng.uniform(-vary.shift, vary.shift, 2)
    ends = []
    for axis, side in enumerate((settings.width, settings.height)):
        room, length = spot[axis + 2] - spot[axis], max(1, round(part.size[axis] * zoom))
        where = draws_2[axis] if length > room else 0.5
        first = round(spot[axis] + (room - length) * where + shifts_2[axis] * side)
        ends.append((first, first + length))
    return ends[0][0], ends[1][0], ends[0][1], ends[1][1]


def _covered(frame: Spot, spot: Spot) -> Spot:
    """Return the pixels of the spot that the frame covers; without any, an edge is not before the opposite one."""
    return max(frame[0], spot[0]), max(frame[1], spot[1]), min(frame[2], spot[2]), min(frame[3], spot[3])


def _source(box: Box, frame: Spot, target: Spot) -> Spot:
    """Return the pixels of the picture, at least one each way, that the target shows of a box that fills the frame."""
    low, high = [], []
    for axis in (0, 1):
        scale = (box[axis + 2] - box[axis]) / (frame[axis + 2] - frame[axis])
        first, last = (box[axis] + (target[end] - frame[axis]) * scale for end in (axis, axis + 2))
        low.append(min(max(round(first), math.floor(box[axis])), math.ceil(box[axis + 2]) - 1))
        high.append(max(min(round(last), math.ceil(box[axis + 2])), low[axis] + 1))
    return low[0], low[1], high[0], high[1]


def _cut(scene: Scene, source: Spot, size: tuple[int, int], flips: tuple[bool, bool]) -> Scene:
    """Return a part of a scene at a size (width, height), mirrored across and down if `flips` says so."""
    left, top, right, bottom = source
    # Pixels without gaps stay in the layout (H, W, C) when resized, which is faster than through (C, H, W) and back
    cropped_HWC = np.ascontiguousarray(scene.pixels_HWC[top:bottom, left:right])
    image: Tensor = tv_tensors.Image(torch.from_numpy(cropped_HWC).permute(2, 0, 1))
    corners: Tensor = F.crop(_corners(scene), top, left, bottom - top, right - left)
    image, corners = (F.resize(one, [size[1], size[0]], antialias=True) for one in (image, corners))
    for flip, mirror in zip(flips, (F.horizontal_flip, F.vertical_flip), strict=True):
        image, corners = (mirror(image), mirror(corners)) if flip else (image, corners)
    return Scene(image.permute(1, 2, 0).numpy(), _clipped(scene.things_MD, corners))


def _corners(scene: Scene) -> tv_tensors.BoundingBoxes:
    """Return the corners as torchvision's type, which moves them with the pixels; it clips none by itself."""
    size = scene.pixels_HWC.shape[:2]
    return tv_tensors.BoundingBoxes(scene.things_MD[:, :4], format="XYXY", canvas_size=size, clamping_mode=None)


def _clipped(things_MD: Tensor, corners_M4: Tensor) -> Tensor:
    """Return the things with these corners, clipped to their canvas, without those of which too little is left."""
    inside_M4 = F.clamp_bounding_boxes(corners_M4, clamping_mode="hard")
    large_M = F.sanitize_bounding_boxes(inside_M4, min_size=_LEAST_SIDE)[1]
    inside_M4, whole_M4 = inside_M4.as_subclass(Tensor), corners_M4.as_subclass(Tensor)
    enough_M = _areas(inside_M4) >= _LEAST_SHARE * _areas(whole_M4)
    return torch.cat([inside_M4, things_MD[:, 4:]], dim=1)[large_M & enough_M]


def _areas(corners_M4: Tensor) -> Tensor:
    return (corners_M4[:, 2:] - corners_M4[:, :2]).prod(dim=1)
