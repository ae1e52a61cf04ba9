"""Scoring an explanation: how the class's probability changes as the marked places are erased and restored.

Papers: Petsiuk, Das and Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018,
arXiv:1806.07421 (deletion and insertion); Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018,
arXiv:1810.03292 (a map that is the same for random weights explains nothing).

Erased pixels get the picture's mean colour; insertion starts from the picture blurred. Both curves are the class's
probability over the share of pixels changed, in equal steps; the score is their mean (the area under the curve).

Shapes: S steps, P pixels, H W C the input's height, width and channels, h w the evidence's height and width. A clip and
its evidence have the T frames in front: its pixels are those of all frames.
"""

from collections.abc import Iterator
from itertools import chain
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.resampling import resample
from sightsmith.explanation.heat_map import blur
from sightsmith.explanation.record import Sanity
from sightsmith.explanation.subject import Subject
from sightsmith.kinds.parts.answer import Aspect
from sightsmith.runtime.backends import torch as torch_backend

_STEPS = 32
_RANDOM_MAPS = 4
_FINE = 0.75  # Half a cell's side, in pixels, up to which a map counts as full resolution
_BLUR = 1 / 10  # Standard deviation of insertion's starting blur, as a share of the longer side


def judge(
    model: Subject, method: ModuleType, pixels: NDArray[np.uint8], aspect: Aspect, raw: NDArray[np.float32]
) -> Sanity:
    """Score a map, and random maps of the same coarseness beside it.

    Args:
        method: the method's file.
        pixels: (H, W, C), or (T, H, W, C) of a clip.
        raw: the method's evidence.
    """
    deletion, insertion = scores(model, pixels, aspect, raw)
    rng = np.random.default_rng(0)
    cells = method.cells(pixels.shape) if hasattr(method, "cells") else (1,) * raw.ndim
    random = [scores(model, pixels, aspect, noise(rng, raw.shape, cells)) for _ in range(_RANDOM_MAPS)]
    random_deletion, random_insertion = (sum(column) / len(random) for column in zip(*random, strict=True))
    randomised, reason = randomisation(model, method, pixels, aspect, raw)
    return Sanity(
        deletion=deletion,
        insertion=insertion,
        random_deletion=random_deletion,
        random_insertion=random_insertion,
        randomised=randomised,
        not_randomised=reason,
    )


def noise(rng: np.random.Generator, shape: tuple[int, ...], cells: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a map of random numbers in 0…1, one for each cell of these sides along the axes."""
    values = rng.random([-(-length // side) for length, side in zip(shape, cells, strict=True)], np.float32)
    for axis, side in enumerate(cells):
        values = values.repeat(side, axis=axis)
    return values[tuple(map(slice, shape))]


def scores(model: Subject, pixels: NDArray[np.uint8], aspect: Aspect, raw: NDArray[np.floating]) -> tuple[float, float]:
    """Return the deletion score (lower is better) and the insertion score (higher is better), each in 0…1."""
    order_P = strongest_first(raw, pixels.shape[-3:-1])
    mean_C = pixels.reshape(-1, pixels.shape[-1]).mean(axis=0).round().astype(np.uint8)
    erased = _replace(pixels, np.broadcast_to(mean_C, pixels.shape), order_P)
    filled = _replace(_blurred(pixels), pixels, order_P)
    curves_S = model.scores(chain(erased, filled), aspect)
    half = len(curves_S) // 2
    return float(curves_S[:half].mean()), float(curves_S[half:].mean())


def _blurred(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the input with each frame blurred."""
    radius = _BLUR * max(pixels.shape[-3:-1])
    frames_THWC = pixels.reshape(-1, *pixels.shape[-3:]).astype(np.float32)
    blurred = [np.stack([blur(one_HW, radius) for one_HW in np.moveaxis(one, -1, 0)], axis=-1) for one in frames_THWC]
    return np.stack(blurred).round().astype(np.uint8).reshape(pixels.shape)


def randomisation(
    model: Subject, method: ModuleType, pixels: NDArray[np.uint8], aspect: Aspect, raw: NDArray[np.float32]
) -> tuple[float | None, str]:
    """Return the rank correlation, -1…1, of the evidence with that of the same net with random weights.

    The second value tells why there is none, or is empty.
    """
    if raw.size < 2:
        return None, "the map has a single position, so there are no ranks to compare"
    missing = torch_backend.missing()
    if missing is not None:
        return None, f"random weights need PyTorch: {missing}"
    other = method.explain(model.randomised(seed=0), pixels, aspect)
    if np.ptp(raw) == 0 or np.ptp(other) == 0:
        return None, "one of the two maps is the same everywhere"
    ranks = [np.argsort(np.argsort(values.ravel(), kind="stable")) for values in (raw, other)]
    return float(np.asarray(np.corrcoef(ranks))[0, 1]), ""


def strongest_first(raw: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.intp]:
    """Return the pixels of the input, flat, in falling order of their evidence; size is (H, W).

    A coarse map is blurred by half its cell: beside a sharp peak cubic interpolation undershoots, which would put the
    peak's neighbours last. In flat parts of the map, pixels nearer to a peak should come first.
    """
    height, width = size
    raw_Thw = raw.reshape(-1, *raw.shape[-2:])
    box = (0.0, 0.0, float(width), float(height))
    spread_THW = np.stack([resample(one_hw, box, (width, height)) for one_hw in raw_Thw])
    half_cell = max(height / raw.shape[-2], width / raw.shape[-1]) / 2
    if half_cell > _FINE:
        spread_THW = np.stack([blur(np.clip(one_HW, raw.min(), raw.max()), half_cell) for one_HW in spread_THW])
    return np.argsort(-spread_THW.ravel(), kind="stable")


def _replace(
    start: NDArray[np.uint8], end: NDArray[np.uint8], order_P: NDArray[np.intp]
) -> Iterator[NDArray[np.uint8]]:
    """Yield S inputs on the way from one to the other, pixels changing in order; first and last included."""
    end_PC = end.reshape(len(order_P), -1)
    for count in np.linspace(0, len(order_P), _STEPS + 1).round().astype(int):
        one_PC = start.reshape(len(order_P), -1).copy()
        one_PC[order_P[:count]] = end_PC[order_P[:count]]
        yield one_PC.reshape(start.shape)
