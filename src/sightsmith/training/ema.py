"""A running average of the weights, which is steadier than the weights themselves: it is validated and kept.

Source: Polyak and Juditsky, 1992; the warm-up of the decay, (1 + n) / (10 + n), is TensorFlow's
`ExponentialMovingAverage(num_updates=…)`: without it a short training would average mostly its first steps.
"""

from functools import partial

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class RunningAverage(WeightAveraging):
    """Keeps average ← d·average + (1 − d)·weights after each optimiser step, d = min(decay, (1 + n) / (10 + n)).

    The first step copies the weights. Floating-point buffers (batch norm's statistics) are averaged along; others are
    copied. `decay` is in (0, 1).
    """

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=partial(_move, decay))

    def weights(self) -> dict[str, Tensor]:
        """Return the averages by the names of the weights, once training has started."""
        if self._average_model is None:
            return {}
        weights: dict[str, Tensor] = self._average_model.module.state_dict()
        return weights


def _move(decay: float, averages: list[Tensor], weights: list[Tensor], updates: Tensor | int) -> None:
    """Move averages of one type in place, after `updates` earlier ones."""
    now = int(updates) + 1
    if averages[0].is_floating_point():
        torch._foreach_lerp_(averages, weights, 1 - min(decay, (1 + now) / (10 + now)))
    else:
        torch._foreach_copy_(averages, weights)
