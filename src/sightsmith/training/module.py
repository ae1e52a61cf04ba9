"""A learner as Lightning trains it: its losses, its optimisers in turn, and its validation."""

# ruff: noqa: ARG002 -- Lightning's signatures

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from lightning import LightningModule
from numpy.typing import NDArray
from torch import Tensor

from sightsmith.tasks.parts.learner import Batch
from sightsmith.training.run import Run


class Descent(LightningModule):
    """Gradient descent on a learner.

    With one optimiser Lightning steps it, and a step may use several batches; with more, each batch steps each of
    them in turn. Logs `train_loss` (their sum) and each figure of validation as `val_NAME`.

    Args:
        make_optimisers: makes the optimisers, in the order of the learner's `OPTIMISERS`.
        prepare: prepares the learner for a validation.
    """

    def __init__(
        self, run: Run, make_optimisers: Callable[[], list[torch.optim.Optimizer]], prepare: Callable[[], None]
    ) -> None:
        super().__init__()
        self.learner = run.learner
        self.automatic_optimization = len(run.learner.OPTIMISERS) == 1
        self._make_optimisers, self._prepare = make_optimisers, prepare
        # a lambda, because the running average copies this module, and a bound method would be copied with its task
        self._validation: Any = lambda answers, targets: run.task.validation(answers, targets)
        self._warning: Any = lambda answers, targets: run.task.warning(answers, targets)
        self.losses: dict[str, Tensor] = {}  # of the last step by optimiser, if there are several
        self.warning = ""  # what was wrong with the model by its last validation; empty if nothing was
        self._validated: list[tuple[NDArray[Any], NDArray[Any]]] = []

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
            with self.learner.only(name):
                loss = self.learner.loss(batch, name)
                self.manual_backward(loss)
            optimiser.step()
            self.losses[name] = loss.detach()
            total = total + self.losses[name]
        return total

    def on_validation_epoch_start(self) -> None:
        self._prepare()  # here the running average's weights, which are kept, are in place already

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._validated.append((self.learner.measured(batch).float().cpu().numpy(), batch[1].cpu().numpy()))

    def on_validation_epoch_end(self) -> None:
        answers, targets = map(np.concatenate, zip(*self._validated, strict=True))
        self._validated = []
        self.warning = self._warning(answers, targets)
        self.log_dict({f"val_{name}": value for name, value in self._validation(answers, targets).items()})
