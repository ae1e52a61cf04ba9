"""The optimiser and the learning-rate schedule.

Papers: Loshchilov and Hutter, "SGDR", ICLR 2017, arXiv:1608.03983 (cosine); Goyal et al., "Accurate, Large Minibatch
SGD", arXiv:1706.02677 (warm-up); He et al., "Bag of Tricks", CVPR 2019, arXiv:1812.01187 (no decay of biases).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The learning rate of each optimiser step, a function of the step alone."""

    peak: float  # Learning rate after the warm-up
    steps: int  # Optimiser steps of the whole training
    warmup: int  # Optimiser steps of the warm-up
    kind: Literal["cosine", "constant"] = "cosine"  # How it goes on after the warm-up

    def at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.peak * (step + 1) / (self.warmup + 1)
        if self.kind == "constant":
            return self.peak
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.peak * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


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
        {
            "params": parameters,
            "weight_decay": weight_decay if decayed else 0.0,
            "scale": head_scale if is_head else 1.0,
        }
        for (is_head, decayed), parameters in groups.items()
    ]


def make_optimizer(
    name: Literal["adamw", "sgd"],
    groups: list[dict[str, Any]],
    *,
    lr: float,
    momentum: float,
    nesterov: bool,
    fused: bool,
) -> torch.optim.Optimizer:
    """Make the optimiser; `lr` is overwritten at every step by the schedule."""
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=lr, fused=fused)
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov, fused=fused)
