"""Showing how training goes, on standard error: a bar on a terminal, and a line an epoch everywhere."""

# ruff: noqa: ARG002 -- Lightning's signatures

import math
import sys
import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from sightsmith.core.command import say
from sightsmith.core.progress import duration
from sightsmith.training.curves import Epoch

_REFRESH = 0.2  # Least seconds between two updates of the bar


def loss_of(trainer: Trainer, outputs: Any) -> torch.Tensor:
    """Return the loss of a batch; Lightning hands it on divided by the batches of a step."""
    loss: torch.Tensor = outputs["loss"] * trainer.accumulate_grad_batches
    return loss


class Console(Callback):
    """The bar of the running epoch, and the lines of finished ones."""

    def __init__(self, epochs: int, batch_size: int, unit: str, *, quiet: bool) -> None:
        self._epochs, self._batch_size, self._unit, self._quiet = epochs, batch_size, unit, quiet
        self._bar: Any = None
        self._task: Any = None
        self._epoch_started = self._shown = 0.0
        self._validation = self._validation_started = 0.0
        self._first_batch: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch_started = time.monotonic()
        if self._quiet or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[how]}"))
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("", total=None, how="")
        self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._first_batch is None:
            self._first_batch = batch_idx
        now = time.monotonic()
        if self._bar is None or now - self._shown < _REFRESH:
            return
        self._shown = now
        rate = (batch_idx + 1 - self._first_batch) * self._batch_size / max(now - self._epoch_started, 1e-9)
        left = self._left(trainer, batch_idx + 1, rate, (self._epochs - trainer.current_epoch) * self._validation)
        self._bar.update(
            self._task,
            description=f"epoch {trainer.current_epoch + 1}/{self._epochs}",
            completed=batch_idx + 1,
            total=int(trainer.num_training_batches),
            how=f"loss {float(loss_of(trainer, outputs)):.3f}  {rate:,.0f} {self._unit}  {left}",
        )

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validation_started = time.monotonic()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the time of validation, because the bar's rate covers training only."""
        self._validation = time.monotonic() - self._validation_started

    def epoch(self, trainer: Trainer, epoch: Epoch) -> None:
        """Print the line of a finished epoch."""
        self._epoch_started, self._first_batch = time.monotonic(), None
        if self._quiet:
            return
        place = f"{epoch.number:>{len(str(self._epochs))}}/{self._epochs}"
        losses = "  ".join(f"{name} loss {value:.4f}" for name, value in epoch.train_losses.items())
        losses = losses or f"loss {epoch.train_loss:.4f}"
        if not math.isnan(epoch.val_loss):
            losses += f"  val loss {epoch.val_loss:.4f}"
        score = f"val {epoch.metric} {epoch.score:.4f}{' *' if epoch.best else '  '}"
        left = self._left(trainer, int(trainer.num_training_batches), epoch.rate)
        further = "".join(
            f"{name.removesuffix('_accuracy').replace('_', ' ')} {value:.4f}  " for name, value in epoch.further.items()
        )
        line = f"epoch {place}  {losses}  {score}  {further}{epoch.rate:,.0f} {self._unit}  {left}"
        if self._bar is None:
            say(line)
        else:
            self._bar.console.print(line, highlight=False)

    def _left(self, trainer: Trainer, batches: int, rate: float, further: float = 0.0) -> str:
        """Return the time left in words, at this rate, after `batches` of the epoch, plus `further` seconds."""
        left = (self._epochs - trainer.current_epoch) * int(trainer.num_training_batches) - batches
        return f"{duration(left * self._batch_size / max(rate, 1e-9) + further)} left"

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
