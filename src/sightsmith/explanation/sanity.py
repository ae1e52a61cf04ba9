"""Scoring an explanation: how the class's probability changes as the marked places are erased and restored.

Papers: Petsiuk, Das and Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018,
arXiv:1806.07421 (deletion and insertion); Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018,
arXiv:1810.03292 (a map that is the same for random weights explains nothing).

Erased pixels get the picture's mean colour; insertion starts from the picture blurred. Both curves are the class's
probability over the share of pixels changed, in equal steps; the score is their mean (the area under the curve).

Shapes: S steps, H W C the input's height, width and channels, h w the evidence's height and width.
"""

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
    model: Subject, method: ModuleType, pixels_HWC: NDArray[np.uint8], aspect: Aspect, raw_hw: NDArray[np.float32]
) -> Sanity:
    """Score a map, and random maps of the same coarseness beside it.

    Args:
        method: the method's file.
        raw_hw: the method's evidence.
    """
    deletion, insertion = scores(model, pixels_HWC, aspect, raw_hw)
    rng = np.random.default_rng(0)
    maps = [noise(rng, raw_hw.shape, getattr(method, "CELL", 0.0)) for _ in range(_RANDOM_MAPS)]
    random = [scores(model, pixels_HWC, aspect, one_hw) for one_hw in maps]
    random_deletion, random_insertion = (sum(column) / len(random) for column in zip(*random, strict=True))
    randomised, reason = randomisation(model, method, pixels_HWC, aspect, raw_hw)
    return Sanity(
        deletion=deletion,
        insertion=insertion,
        random_deletion=random_deletion,
        random_insertion=random_insertion,
        randomised=randomised,
        not_randomised=reason,
    )


def noise(rng: np.random.Generator, shape: tuple[int, ...], cell: float) -> NDArray[np.float32]:
    """Return a map of random numbers in 0…1, one per square of side `cell` × longer side; 0: one per value."""
    side = max(1, round(cell * max(shape)))
    height, width = shape
    cells_hw = rng.random((-(-height // side), -(-width // side)), np.float32)
    return cells_hw.repeat(side, axis=0).repeat(side, axis=1)[:height, :width]


def scores(
    model: Subject, pixels_HWC: NDArray[np.uint8], aspect: Aspect, raw_hw: NDArray[np.floating]
) -> tuple[float, float]:
    """Return the deletion score (lower is better) and the insertion score (higher is better), each in 0…1."""
    order_P = strongest_first(raw_hw, pixels_HWC.shape[:2])
    mean_C = pixels_HWC.reshape(-1, pixels_HWC.shape[2]).mean(axis=0).round().astype(np.uint8)
    blank_HWC = np.broadcast_to(mean_C, pixels_HWC.shape)
    radius = _BLUR * max(pixels_HWC.shape[:2])
    channels = [blur(pixels_HWC[..., channel].astype(np.float32), radius) for channel in range(pixels_HWC.shape[2])]
    blurred_HWC = np.stack(channels, axis=-1).round().astype(np.uint8)
    steps_SHWC = np.concatenate([_replace(pixels_HWC, blank_HWC, order_P), _replace(blurred_HWC, pixels_HWC, order_P)])
    curves_S = model.scores(steps_SHWC, aspect)
    half = len(curves_S) // 2
    return float(curves_S[:half].mean()), float(curves_S[half:].mean())


def randomisation(
    model: Subject, method: ModuleType, pixels_HWC: NDArray[np.uint8], aspect: Aspect, raw_hw: NDArray[np.float32]
) -> tuple[float | None, str]:
    """Return the rank correlation, -1…1, of the evidence with that of the same net with random weights.

    The second value tells why there is none, or is empty.
    """
    if raw_hw.size < 2:
        return None, "the map has a single position, so there are no ranks to compare"
    missing = torch_backend.missing()
    if missing is not None:
        return None, f"random weights need PyTorch: {missing}"
    other_hw = method.explain(model.randomised(seed=0), pixels_HWC, aspect)
    if np.ptp(raw_hw) == 0 or np.ptp(other_hw) == 0:
        return None, "one of the two maps is the same everywhere"
    ranks = [np.argsort(np.argsort(values.ravel(), kind="stable")) for values in (raw_hw, other_hw)]
    return float(np.asarray(np.corrcoef(ranks))[0, 1]), ""


def strongest_first(raw_hw: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.intp]:
    """Return the pixels of the input, flat, in falling order of their evidence; size is (H, W).

    A coarse map is blurred by half its cell: beside a sharp peak cubic interpolation undershoots, which would put the
    peak's neighbours last. In flat parts of the map, pixels nearer to a peak should come first.
    """
    height, width = size
    spread_HW = resample(raw_hw, (0.0, 0.0, float(width), float(height)), (width, height))
    half_cell = max(height / raw_hw.shape[0], width / raw_hw.shape[1]) / 2
    if half_cell > _FINE:
        spread_HW = blur(np.clip(spread_HW, raw_hw.min(), raw_hw.max()), half_cell)
    return np.argsort(-spread_HW.ravel(), kind="stable")


def _replace(start_HWC: NDArray[np.uint8], end_HWC: NDArray[np.uint8], order_P: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Return S pictures on the way from one to the other, pixels changing in order; first and last included."""
    counts = np.linspace(0, len(order_P), _STEPS + 1).round().astype(int)
    steps_SPC = np.repeat(start_HWC.reshape(1, len(order_P), -1), len(counts), axis=0)
    end_PC = end_HWC.reshape(len(order_P), -1)
    for one_PC, count in zip(steps_SPC, counts, strict=True):
        one_PC[order_P[:count]] = end_PC[order_P[:count]]
    return steps_SPC.reshape(-1, *start_HWC.shape)
