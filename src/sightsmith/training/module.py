"""A learner as Lightning trains it: its losses, its optimisers in turn, and its validation."""

# ruff: noqa: ARG002 -- Lightning's signatures

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from lightning import LightningModule
from numpy.typing import NDArray
from torch import Tensor

from sightsmith.tasks.parts.learner import Batch, Learner

Validate = Callable[[NDArray[Any], NDArray[Any]], dict[str, float]]
"""From the answers and the targets of all validation items to figures by name."""


class Descent(LightningModule):
    """Gradient descent on a learner.

    With one optimiser Lightning steps it, and a step may use several batches; with more, each batch steps each of
    them in turn. Logs `train_loss` (their sum) and each figure of validation as `val_NAME`.

    Args:
        make_optimisers: makes the optimisers, in the order of `learner.OPTIMISERS`.
        validate: measures the answers to the validation items.
    """

    def __init__(
        self, learner: Learner, make_optimisers: Callable[[], list[torch.optim.Optimizer]], validate: Validate
    ) -> None:
        super().__init__()
        self.learner = learner
        self.automatic_optimization = len(learner.OPTIMISERS) == 1
        self._make_optimisers, self._validate = make_optimisers, validate
        self._answers: list[NDArray[Any]] = []
        self._targets: list[NDArray[Any]] = []

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return self._make_optimisers()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        if self.automatic_optimization:
            loss = self.learner.loss(batch, next(iter(self.learner.OPTIMISERS)))
        else:
            loss = self._in_turn(batch)
        self.log("train_loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(batch[1]))
        return loss

    def _in_turn(self, batch: Batch) -> Tensor:
        total = torch.zeros((), device=self.device)
        for name, optimiser in zip(self.learner.OPTIMISERS, self.optimizers(), strict=True):
            optimiser.zero_grad()
            loss = self.learner.loss(batch, name)
            self.manual_backward(loss)
            optimiser.step()
            total = total + loss.detach()
        return total

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        feeds, targets = batch
        self._answers.append(self.learner.answer(feeds).float().cpu().numpy())
        self._targets.append(targets.cpu().numpy())

    def on_validation_epoch_end(self) -> None:
        figures = self._validate(np.concatenate(self._answers), np.concatenate(self._targets))
        self._answers, self._targets = [], []
        for name, value in figures.items():
            self.log(f"val_{name}", value)
