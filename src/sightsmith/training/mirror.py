"""Whether a mirrored picture still shows the same thing: most photographs do, signs and letters do not.

It is measured: a quick net (HOG and ridge regression) learns from training pictures as they are, and answers validation
pictures as they are and mirrored. If things are seen from the left as often as from the right, it is right as often
on both. Pictures of a group, such as the frames of a track, are lost together, so errors are those of sums by group.

Shapes: N validation pictures, M pictures, C channels, H W height and width.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sightsmith.inputs import Reader
from sightsmith.inputs.picture import PIXELS
from sightsmith.nets.build import build_net
from sightsmith.nets.parts.fitted import FittedNet
from sightsmith.training.dataset import Subset
from sightsmith.training.task import TaskChoice

_NET, _SIDE = "hog_ridge", 40
_LEARNED, _ASKED = 2000, 1000  # Pictures of training and of validation, at most
_LOST = 0.1  # Mirroring matters if it costs more than this share of the right answers,
_ERRORS = 2.0  # and if what it costs exceeds what it gains by more standard errors than this


class Mirrored(NamedTuple):
    """Shares of right answers on the same validation pictures."""

    plain: float
    mirrored: float
    alike: bool  # whether mirroring does not matter

    def __str__(self) -> str:
        return f"{_NET} recognises {self.mirrored:.0%} of mirrored pictures, {self.plain:.0%} of the others"


def compare_mirrored(task: TaskChoice, train: Subset, val: Subset, read: Reader) -> Mirrored | None:
    """Return how well validation pictures are recognised as they are and mirrored; None if there is one stratum alone.

    Args:
        read: the input of the training, of pictures.
    """
    small = Reader(read.name, replace(read.settings, height=_SIDE, width=_SIDE))
    learned_M, asked_N = _drawn(len(train), _LEARNED), _drawn(len(val), _ASKED)
    strata, target_M = np.unique(train.strata_N[learned_M], return_inverse=True)
    if len(strata) < 2:
        return None
    names = tuple(map(str, strata))
    net = build_net(_NET, {}, **task.file.sizes(names, small.settings)).module
    if not isinstance(net, FittedNet):
        raise TypeError(f"{_NET} is not fitted in one step")
    net.fit(_images(train, learned_M, small), torch.from_numpy(target_M), names, quiet=True)
    images_NCHW, expected_N = _images(val, asked_N, small), val.strata_N[asked_N]
    with torch.inference_mode():
        plain_N, mirrored_N = (
            strata[net(shown_NCHW).argmax(dim=1).numpy()] == expected_N
            for shown_NCHW in (images_NCHW, images_NCHW.flip(3))
        )
    lost_N = plain_N.astype(np.int64) - mirrored_N
    error = (np.bincount(val.groups_N[asked_N], lost_N) ** 2).sum() ** 0.5
    matters = lost_N.sum() > max(_LOST * plain_N.sum(), _ERRORS * error)
    return Mirrored(float(plain_N.mean()), float(mirrored_N.mean()), not matters)


def _drawn(count: int, most: int) -> np.ndarray:
    return np.sort(np.random.default_rng(0).permutation(count)[:most])


def _images(subset: Subset, chosen_M: np.ndarray, read: Reader) -> Tensor:
    """Return the chosen pictures as computed features take them, (M, C, H, W) in 0…1."""
    pixels_MHWC = np.stack([read.feeds(subset.pictures[int(at)])[PIXELS] for at in chosen_M])
    return torch.from_numpy(pixels_MHWC).permute(0, 3, 1, 2).float() / 255
