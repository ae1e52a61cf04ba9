"""Callbacks of training: seeds, learning rate, the record of the curve, and checkpoints.

Everything that a later step depends on is either a function of (seed, epoch, step) or in the checkpoint, so a
training that was killed resumes exactly.
"""

# ruff: noqa: ARG002 -- Lightning's signatures

import math
import shutil
import signal
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from sightsmith.core.errors import TrainingError
from sightsmith.data.loading import Order, step_seed
from sightsmith.kinds.parts.metric import Metric
from sightsmith.training.checkpoints import save_tree
from sightsmith.training.console import Console, loss_of
from sightsmith.training.curves import Curves, Epoch
from sightsmith.training.module import Descent
from sightsmith.training.optim import RunningAverage, Schedule
from sightsmith.training.run import Run

_LOOK_EVERY = 25  # Steps between two checks of the loss on an accelerator, because each check waits for the device
_LOWER = 4  # By which the learning rate is divided that is suggested after a warning that stays
_SANE_LR = 0.01  # The largest learning rate that is suggested after one that was too large
_PATIENCE = 5  # Epochs that a warning may stay, and more until
_PATIENCE_STEPS = 1000  # so many steps were made: nets that have hardly learned yet give rise to warnings too
_SAVE_EVERY = 900.0  # Seconds between two checkpoints inside a long epoch


class Steps(Callback):
    """Before each step: the seed of its random numbers, its learning rate, and which parameters learn."""

    def __init__(self, run: Run, order: Order, schedule: Schedule) -> None:
        self._settings, self._order, self._schedule, self._clip = run.settings, order, schedule, run.plan.clip.value
        self._learner = run.learner
        self._frozen: bool | None = None
        self._batch = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._order.set_epoch(trainer.current_epoch)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._order.set_epoch(trainer.current_epoch + 1)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._batch = batch_idx
        _seed(step_seed(self._settings.seed, trainer.current_epoch, batch_idx, stream=1), pl_module.device)
        rate = self._schedule.at(steps_made(trainer))
        for optimiser in trainer.optimizers:
            for group in optimiser.param_groups:
                group["lr"] = rate * group["scale"]
        frozen = self._settings.freezes(trainer.current_epoch)
        if frozen != self._frozen:
            self._frozen = frozen
            self._learner.freeze(frozen=frozen)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Average the gradient over its batches, and clip it to the largest norm.

        Lightning divides by `accumulate_grad_batches` even if an epoch's last step has fewer, and its own clipping
        refuses fused optimisers in bf16.
        """
        whole = trainer.accumulate_grad_batches
        batches = self._batch % whole + 1
        if batches < whole:
            for parameter in pl_module.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(whole / batches)
        if self._clip:
            own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            nn.utils.clip_grad_norm_(own, self._clip)


def _seed(seed: int, device: torch.device) -> None:
    # torch.manual_seed would format a stack trace for each absent device
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def steps_made(trainer: Trainer) -> int:
    """Return the steps made so far, in each of which every optimiser took one."""
    return trainer.global_step // max(1, len(trainer.optimizers))


class Record(Callback):
    """Saves the curve and the best weights, and stops training if the loss is not finite or no longer improves.

    It also stops if what validation warns of, such as a mode collapse, stays for several epochs without a better score.

    Args:
        schedule: for the learning rates in the curve.
        average: of the weights, which is validated; None if the net's own are.
        console: shows each finished epoch.
    """

    def __init__(self, run: Run, schedule: Schedule, average: RunningAverage | None, console: Console) -> None:
        self._run, self._schedule, self._average, self._console = run, schedule, average, console
        self._metric: Metric = run.task.kind.METRIC
        self._curves = Curves(run.work.path)
        self._losses_S = torch.empty(0)
        self._optimisers = tuple(run.learner.OPTIMISERS) if len(run.learner.OPTIMISERS) > 1 else ()
        self._each_OS = torch.empty(len(self._optimisers), 0)  # losses by optimiser
        self._looked = self._first_step = self._better_epoch = 0
        self._warned = 0  # epochs in a row with a warning and without a better score
        self._told, self._patience = False, _PATIENCE
        self._epoch_started = 0.0
        self._best = self._metric.worst

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Allocate the losses of an epoch, keeping those from a mid-epoch checkpoint."""
        losses_S = torch.zeros(int(trainer.num_training_batches), device=pl_module.device)
        losses_S[: len(self._losses_S)] = self._losses_S.to(pl_module.device)
        self._looked = self._first_step = len(self._losses_S)
        self._losses_S = losses_S
        each_OS = torch.zeros(len(self._optimisers), len(losses_S), device=pl_module.device)
        each_OS[:, : self._each_OS.shape[1]] = self._each_OS.to(pl_module.device)
        self._each_OS = each_OS
        self._patience = max(_PATIENCE, math.ceil(_PATIENCE_STEPS * trainer.accumulate_grad_batches / len(losses_S)))
        self._curves.keep_until(trainer.current_epoch)
        self._epoch_started = time.monotonic()
        self._stop_if_patience_is_over(trainer, trainer.current_epoch)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: Descent, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record the loss and check it: at every step on the processor, every few steps elsewhere."""
        self._losses_S[batch_idx] = loss_of(trainer, outputs)
        for row, name in enumerate(self._optimisers):
            self._each_OS[row, batch_idx] = pl_module.losses[name]
        if pl_module.device.type == "cpu" or batch_idx - self._looked >= _LOOK_EVERY:
            self.check_losses(trainer, batch_idx + 1)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Descent) -> None:  # type: ignore[override]
        """Write the epoch into the curve, keep the weights if they are the best, and stop if patience is over."""
        self.check_losses(trainer, len(self._losses_S))
        self.check_weights(trainer, pl_module)
        epoch = self._finished(trainer)
        for name, title in (("loss", "loss"), (self._metric.name, self._metric.title)):
            if not math.isfinite(value := epoch.figures.get(name, 0.0)):
                raise self._ruined(trainer, f"the validation {title} became {value} in epoch {epoch.number}")
        better = self._metric.better(epoch.score, self._best)
        if better:
            self._better_epoch = epoch.number
        if epoch.best:
            self._best = epoch.score
            weights = pl_module.state_dict() if self._average is None else self._average.weights()
            save_tree({"epoch": epoch.number, "score": epoch.score, "weights": weights}, self._run.work.best)
        self._curves.add(epoch, self._losses_S.tolist())
        self._console.epoch(trainer, epoch)
        self._watch(epoch.number, pl_module.warning, better=better)
        self._looked = self._first_step = 0
        self._epoch_started = time.monotonic()
        self._stop_if_patience_is_over(trainer, epoch.number)

    def _watch(self, epoch: int, warning: str, *, better: bool) -> None:
        """Tell a new warning, and raise TrainingError if it stays; the checkpoint before it is kept until it passes."""
        most, work, title = self._patience, self._run.work, self._metric.title
        if warning and not self._told:
            stops = f"Training stops if it stays for {most} epochs without a better {title}"
            self._run.tell(f"warning: epoch {epoch}: {warning} {stops}.")
        self._told = bool(warning)
        if better or not warning:
            self._warned = 0
            work.good.unlink(missing_ok=True)
            return
        if not self._warned:
            shutil.copyfile(work.last, work.good)
        self._warned += 1
        if self._warned >= most:
            work.good.replace(work.last)
            raise TrainingError(
                f"{warning} It has stayed for {most} epochs, up to epoch {epoch}, without a better {title}. The "
                f"checkpoint before it, {work.last}, is good: go on from it with --resume and --lr "
                f"{self._schedule.peak / _LOWER:.2g}, or train again with another --seed."
            )

    def _finished(self, trainer: Trainer) -> Epoch:
        seconds = time.monotonic() - self._epoch_started
        pictures = (len(self._losses_S) - self._first_step) * self._run.plan.batch_size.value
        figures = {
            name.removeprefix("val_"): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val_")
        }
        return Epoch(
            number=trainer.current_epoch + 1,
            step=steps_made(trainer),
            lr=self._schedule.at(steps_made(trainer) - 1),
            train_loss=float(self._losses_S.double().mean()),
            train_losses=dict(zip(self._optimisers, self._each_OS.double().mean(dim=1).tolist(), strict=True)),
            figures=figures,
            metric=self._metric.name,
            best=not self._metric.better(self._best, figures[self._metric.name]),
            seconds=seconds,
            rate=pictures / max(seconds, 1e-9),
        )

    def check_losses(self, trainer: Trainer, until: int) -> None:
        """Raise TrainingError if one of the epoch's first `until` losses is not finite."""
        fresh_S = self._losses_S[self._looked : until]
        if bool(torch.isfinite(fresh_S).all()):
            self._looked = until
            return
        step = self._looked + int((~torch.isfinite(fresh_S)).nonzero()[0])
        place = f"in epoch {trainer.current_epoch + 1}, step {step + 1} of {len(self._losses_S)}"
        raise self._ruined(trainer, f"the loss became {float(self._losses_S[step])} {place}")

    def check_weights(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Raise TrainingError if a weight is not finite: such a state must not be saved.

        The loss is computed before a step changes the weights, so the last step before a checkpoint shows only here.
        """
        if not torch.stack([torch.isfinite(weight).all() for weight in pl_module.parameters()]).all():
            place = f"after a step of epoch {trainer.current_epoch + 1}"
            raise self._ruined(trainer, f"the weights are not finite {place}")

    def _ruined(self, trainer: Trainer, what: str) -> TrainingError:
        rate, last = trainer.optimizers[0].param_groups[0]["lr"], self._run.work.last
        way_out = f"--lr {min(self._schedule.peak / 10, _SANE_LR):.2g}, or with a --clip of 1 or less"
        if self._run.plan.precision.value == "bf16":
            way_out += ", or with --precision fp32"
        kept = "There was no checkpoint yet: train again with"
        if last.exists():
            kept = f"The checkpoint before it, {last}, is good: go on from it with --resume and"
        return TrainingError(f"{what}, at a learning rate of {rate:.3g}. {kept} {way_out}.")

    def _stop_if_patience_is_over(self, trainer: Trainer, epochs: int) -> None:
        patience = self._run.settings.patience
        if patience > 0 and self._better_epoch > 0 and epochs - self._better_epoch >= patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint: the best so far and the losses of the unfinished epoch."""
        return {
            "best": self._best,
            "better_epoch": self._better_epoch,
            "warned": self._warned,
            "losses": self._losses_S[: self._looked].cpu(),
            "each": self._each_OS[:, : self._looked].cpu(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._best, self._better_epoch = state_dict["best"], state_dict["better_epoch"]
        self._warned = state_dict["warned"]
        self._losses_S, self._each_OS = state_dict["losses"], state_dict["each"]


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
