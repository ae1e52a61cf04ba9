"""Checkpoints while training: after each epoch, inside long ones, and when it is stopped."""

# ruff: noqa: ARG002 -- Lightning's signatures

import signal
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from sightsmith.core.errors import TrainingError
from sightsmith.training.callbacks import Record
from sightsmith.training.run import Run

_SAVE_EVERY = 900.0  # Seconds between two checkpoints inside a long epoch


class TrainingStoppedError(TrainingError):
    """Training was stopped by a signal; everything is saved."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class CheckpointWriter(Callback):
    """Checkpoints: after every epoch, every few minutes inside long ones, and when asked to stop by a signal.

    Args:
        record: looks at the losses before anything is saved.
    """

    def __init__(self, run: Run, record: Record) -> None:
        self._path, self._tell, self._record = run.work.last, run.tell, record
        self._signal: int | None = None
        self._previous: dict[int, Any] = {}
        self._saved = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Install the signal handlers (only the main thread can)."""
        self._saved = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._asked)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if asked to, or if the last checkpoint is old."""
        due = self._signal is not None or time.monotonic() - self._saved > _SAVE_EVERY
        between_steps = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        last = batch_idx + 1 == trainer.num_training_batches  # validation follows, and the epoch's own checkpoint
        if due and not last and between_steps:
            self._record.check_losses(trainer, batch_idx + 1)
            self._record.check_weights(trainer, pl_module)
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._give_back()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _asked(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            raise KeyboardInterrupt
        self._signal = number
        with suppress(OSError, RuntimeError):  # a closed terminal must not prevent saving
            self._tell("Stop requested: finishing the step and saving. Ask again to stop at once.")

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self._path)
        self._saved = time.monotonic()
        if self._signal is not None:
            raise TrainingStoppedError(
                f"stopped by {signal.Signals(self._signal).name} in epoch {trainer.current_epoch + 1}; everything is "
                f"saved in {self._path}. The same command with --resume goes on from there.",
                self._signal,
            )
