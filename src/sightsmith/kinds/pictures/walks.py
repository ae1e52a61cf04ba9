"""Pictures along lines: between seeds, and, of a model with an encoder, between real pictures and along single latents.

Source: Higgins et al., "β-VAE", ICLR 2017, section 4 (traversals of single latents).
Shapes: N pictures, P pairs of them, D latents, H W C height, width and channels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.inputs.seed import Seed
from sightsmith.kinds.parts.instruments import Coder, Pixels

ROWS, STEPS = 6, 9  # Lines that are drawn, and the pictures of each
_PAIRS = 24  # Pictures that are drawn beside their reconstructions
_REACH = 3.0  # A latent is moved from −3 to 3, in standard deviations of N(0, 1)
_SAME = 1e-10  # Mean squared error of equal pictures, of a range of 1, which makes PSNR 100 dB


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """Real pictures through the encoder and the decoder."""

    psnr: float  # of the reconstructions, in dB, the mean over the pictures
    pairs: list[Pixels]  # real pictures, each followed by its reconstruction
    between: list[Pixels]  # from one real picture to another, `STEPS` in a line
    latents: list[int]  # that tell most of a picture
    along: list[Pixels]  # the first real picture of `pairs` with one of them moved, `STEPS` in a line


def between_seeds(make: Callable[[Sequence[Any]], Sequence[Any]], classes: int) -> list[Pixels]:
    """Return pictures between two seeds, `STEPS` in each of `ROWS` lines; each line is of one class.

    Args:
        make: gives the answers of a generator, which have `pixels_HWC`, for seeds.
    """
    seeds = [
        Seed(seed=0, index=row, label=row % max(1, classes), other_seed=1, other_index=row, share=float(share))
        for row in range(ROWS)
        for share in np.linspace(0, 1, STEPS)
    ]
    return [answer.pixels_HWC for answer in make(seeds)]


def coded(coder: Coder, real: Sequence[Pixels], labels: Sequence[int]) -> Coded:
    """Encode real pictures, decode them, and what is between and beside them.

    Args:
        labels: the classes of the pictures, for a model that knows classes.
    """
    found = coder.encode(real, labels)
    means_ND, told_D = found.mean_ND, found.kl_ND.mean(axis=0)
    again = list(coder.decode(means_ND, labels))
    order = np.random.default_rng(0).permutation(len(real)).tolist()  # data is often sorted by class or person
    ends_P2 = np.array(_pairs(order, labels), dtype=np.int64).reshape(-1, 2)
    lines = np.linspace(means_ND[ends_P2[:, 0]], means_ND[ends_P2[:, 1]], STEPS, axis=1)
    latents = np.argsort(-told_D, kind="stable")[:ROWS].tolist()
    first = order[0]
    moved = np.tile(means_ND[first], (len(latents), STEPS, 1))
    for row, latent in enumerate(latents):
        moved[row, :, latent] = np.linspace(-_REACH, _REACH, STEPS)
    return Coded(
        psnr=float(np.mean([psnr(one, other) for one, other in zip(real, again, strict=True)])),
        pairs=[picture for at in order[:_PAIRS] for picture in (real[at], again[at])],
        between=_decoded(coder, lines, [labels[one] for one in ends_P2[:, 0]] if labels else []),
        latents=latents,
        along=_decoded(coder, moved, [labels[first]] * len(latents) if labels else []),
    )


def psnr(first_HWC: Pixels, second_HWC: Pixels) -> float:
    """Return the peak signal-to-noise ratio in dB, −10 log₁₀ of the mean squared error of a range of 1; at most 100."""
    error = float(np.mean(((first_HWC.astype(np.float64) - second_HWC) / 255) ** 2))
    return float(-10 * np.log10(max(error, _SAME)))


def _pairs(order: Sequence[int], labels: Sequence[int]) -> list[tuple[int, int]]:
    """Return up to `ROWS` pairs of pictures in an order, of one class each, and first of different ones."""
    waiting: dict[int, int] = {}
    turns: dict[int, int] = {}
    found = []
    for at in order:
        label = labels[at] if labels else 0
        if label in waiting:
            found.append((turns.get(label, 0), (waiting.pop(label), at)))
            turns[label] = turns.get(label, 0) + 1
        else:
            waiting[label] = at
    return [pair for _, pair in sorted(found)[:ROWS]]


def _decoded(coder: Coder, lines: NDArray[np.float32], labels: Sequence[int]) -> list[Pixels]:
    """Return the pictures of lines of latents, (rows, steps, D); `labels` are those of the lines."""
    latents_ND = np.ascontiguousarray(lines.reshape(-1, lines.shape[-1]), dtype=np.float32)
    return list(coder.decode(latents_ND, np.repeat(labels, STEPS).tolist()))
