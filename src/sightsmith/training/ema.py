"""A running average of the weights, which is steadier than the weights themselves: it is validated and kept.

Source: Polyak and Juditsky, 1992; the warm-up of the decay, (1 + n) / (10 + n), is TensorFlow's
`ExponentialMovingAverage(num_updates=…)`: without it a short training would average mostly its first steps.
"""

# ruff: noqa: ARG002 -- Lightning's signatures

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor


class RunningAverage(Callback):
    """Keeps average ← d·average + (1 − d)·weights after each optimiser step, d = min(decay, (1 + n) / (10 + n)).

    Buffers that are floats (batch norm's statistics) are averaged along; others are copied.

    Args:
        decay: the final d, in (0, 1).
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._updates = 0
        self._average: dict[str, Tensor] = {}
        self._pairs: tuple[list[Tensor], list[Tensor], list[tuple[Tensor, Tensor]]] = ([], [], [])
        self._aside: dict[str, Tensor] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start from the weights as they are, or from the average of the checkpoint that was loaded."""
        weights = pl_module.state_dict()
        started = self._average or weights
        self._average = {name: started[name].detach().to(tensor.device, copy=True) for name, tensor in weights.items()}
        floats = [name for name, tensor in weights.items() if tensor.is_floating_point()]
        others = [(self._average[name], tensor) for name, tensor in weights.items() if name not in set(floats)]
        self._pairs = ([self._average[name] for name in floats], [weights[name] for name in floats], others)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Move the average after an optimiser step (with accumulation, not every batch makes one)."""
        if trainer.global_step == self._updates:
            return
        self._updates = trainer.global_step
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        averages, weights, others = self._pairs
        with torch.no_grad():
            torch._foreach_lerp_(averages, weights, 1 - decay)
            for average, tensor in others:
                average.copy_(tensor)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._aside = {name: tensor.detach().clone() for name, tensor in pl_module.state_dict().items()}
        pl_module.load_state_dict(self._average)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._aside is not None:
            pl_module.load_state_dict(self._aside)
            self._aside = None

    def weights(self) -> dict[str, Tensor]:
        return self._average

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self._updates, "average": self._average}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._updates = state_dict["updates"]
        self._average = state_dict["average"]
