"""The optimiser, the learning-rate schedule and the running average of the weights.

Papers: Loshchilov and Hutter, "SGDR", ICLR 2017, arXiv:1608.03983 (cosine); Goyal et al., "Accurate, Large Minibatch
SGD", arXiv:1706.02677 (warm-up); He et al., "Bag of Tricks", CVPR 2019, arXiv:1812.01187 (no decay of biases); Polyak
and Juditsky, 1992 (averaging). The warm-up of the average's decay, (1 + n) / (10 + n), is TensorFlow's
`ExponentialMovingAverage(num_updates=…)`: without it a short training would average mostly its first steps.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn

from sightsmith.training.run import Run

_FLAT, _LAST = 0.5, 0.05  # Of the flat schedule: the share of steps at the peak, and the last share of the peak


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The learning rate of each optimiser step, a function of the step alone."""

    peak: float  # Learning rate after the warm-up
    steps: int  # Optimiser steps of the whole training
    warmup: int  # Optimiser steps of the warm-up
    kind: Literal["cosine", "flat", "constant"] = "cosine"  # How it goes on after the warm-up

    def at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.peak * (step + 1) / (self.warmup + 1)
        if self.kind == "constant":
            return self.peak
        start, least = (max(self.warmup, self.steps * _FLAT), _LAST) if self.kind == "flat" else (self.warmup, 0.0)
        done = min(1.0, max(0.0, step - start) / max(1, self.steps - start))
        return self.peak * (least + (1 - least) * 0.5 * (1 + math.cos(math.pi * done)))


def parameter_groups(
    nets: Iterable[nn.Module], head: Iterable[nn.Parameter], weight_decay: float, head_scale: float
) -> list[dict[str, Any]]:
    """Split the parameters: decayed (matrices and filters) and not (biases, norms), of the backbone and of the head.

    Args:
        head_scale: how many times faster the head learns; each group keeps it as `scale`.
    """
    heads = {id(parameter) for parameter in head}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in (one for net in nets for one in net.parameters()):
        groups.setdefault((id(parameter) in heads, parameter.dim() > 1), []).append(parameter)
    return [
        {"params": group, "weight_decay": weight_decay if decayed else 0.0, "scale": head_scale if is_head else 1.0}
        for (is_head, decayed), group in groups.items()
    ]


def make_optimisers(run: Run) -> list[torch.optim.Optimizer]:
    """Make the optimisers of a learner; their learning rate is set at each step."""
    settings, plan, learner = run.settings, run.plan, run.learner
    decay, scale, fused = plan.weight_decay.value, plan.head_scale.value, plan.fused.value
    make: Any = partial(torch.optim.AdamW, betas=learner.BETAS)
    if settings.optimizer == "sgd":
        make = partial(torch.optim.SGD, momentum=settings.momentum, nesterov=settings.nesterov)
    return [
        make(parameter_groups(learner.nets_of(name), learner.head_parameters(name), decay, scale), lr=0.0, fused=fused)
        for name in learner.OPTIMISERS
    ]


class RunningAverage(WeightAveraging):
    """Keeps average ← d·average + (1 − d)·weights after each optimiser step, d = min(decay, (1 + n) / (10 + n)).

    It is steadier than the weights themselves, so it is validated and kept. The first step copies the weights.
    Floating-point buffers (batch norm's statistics) are averaged along; others are copied. `decay` is in (0, 1).
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
