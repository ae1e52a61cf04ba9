"""Callbacks of training: seeds, learning rate, and the record of the curve.

Everything that a later step depends on is either a function of (seed, epoch, step) or in the checkpoint, so a
training that was killed resumes exactly.
"""

# ruff: noqa: ARG002 -- Lightning's signatures

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from sightsmith.core.errors import TrainingError
from sightsmith.data.loading import Order, step_seed
from sightsmith.kinds.parts.metric import Metric
from sightsmith.training.checkpoints import save_tree
from sightsmith.training.curves import Curves, Epoch
from sightsmith.training.ema import RunningAverage
from sightsmith.training.optim import Schedule
from sightsmith.training.work_folder import BEST, LAST

_LOOK_EVERY = 25  # Steps between two checks of the loss on an accelerator, because each check waits for the device
_SANE_LR = 0.01  # The largest learning rate that is suggested after one that was too large


class Steps(Callback):
    """Before each step: the seed of its random numbers, its learning rate, and which parameters learn.

    Args:
        order: of the training pictures; its epoch is set here.
        schedule: the learning rate of each optimiser step.
        backbone: parameters that are frozen while only the head learns, like the statistics of their batch norms.
        clip: largest norm of the gradient; 0 for any.
    """

    def __init__(
        self,
        seed: int,
        order: Order,
        schedule: Schedule,
        backbone: list[nn.Parameter],
        *,
        freeze_epochs: int,
        clip: float,
    ) -> None:
        self._seed, self._order, self._schedule, self._clip = seed, order, schedule, clip
        self._backbone, self._freeze_epochs = backbone, freeze_epochs
        self._frozen: bool | None = None
        self._norms: list[nn.Module] = []
        self._batch = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._order.set_epoch(trainer.current_epoch)
        resting = {id(parameter) for parameter in self._backbone}
        self._norms = [
            module
            for module in pl_module.modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm)  # no public name for all of them
            and any(id(parameter) in resting for parameter in module.parameters(recurse=False))
        ]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._order.set_epoch(trainer.current_epoch + 1)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Set the seed and learning rate of the step, and freeze or unfreeze the backbone."""
        self._batch = batch_idx
        _seed(step_seed(self._seed, trainer.current_epoch, batch_idx, stream=1), pl_module.device)
        rate = self._schedule.at(steps_made(trainer))
        for optimiser in trainer.optimizers:
            for group in optimiser.param_groups:
                group["lr"] = rate * group["scale"]
        frozen = trainer.current_epoch < self._freeze_epochs
        if frozen != self._frozen:
            self._frozen = frozen
            for parameter in self._backbone:
                parameter.requires_grad_(not frozen)
            for norm in self._norms:
                norm.train(not frozen)

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
    """Seed the generators that a step draws from (torch.manual_seed formats a stack trace for each absent device)."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def _further(trainer: Trainer, metric: str) -> dict[str, float]:
    """Return the task's further validation figures."""
    known = {"val_loss", f"val_{metric}"}
    found = {name: value for name, value in trainer.callback_metrics.items() if name.startswith("val_")}
    return {name: float(found[name]) for name in sorted(found.keys() - known)}


def steps_made(trainer: Trainer) -> int:
    """Return the steps made so far, in each of which every optimiser took one."""
    return trainer.global_step // max(1, len(trainer.optimizers))


def loss_of(trainer: Trainer, outputs: Any) -> torch.Tensor:
    """Return the loss of a batch; Lightning hands it on divided by the batches of a step."""
    loss: torch.Tensor = outputs["loss"] * trainer.accumulate_grad_batches
    return loss


class Record(Callback):
    """Saves the curve and the best weights, and stops training if the loss is not finite or no longer improves.

    Args:
        folder: for the curve and the best weights.
        metric: picks the best epoch.
        patience: epochs without a better score after which training stops; 0 never stops it.
        schedule: for the learning rates in the curve.
        average: of the weights, which is validated; None if the net's own are.

    Attributes:
        tell: called with each finished epoch.
        best: the best score so far.
        best_epoch: the epoch that had it, from 1; 0 before the first.
    """

    def __init__(
        self,
        folder: Path,
        metric: Metric,
        patience: int,
        batch_size: int,
        schedule: Schedule,
        average: RunningAverage | None,
    ) -> None:
        self._curves = Curves(folder)
        self._best_path = folder / BEST
        self._metric, self._patience, self._batch_size = metric, patience, batch_size
        self._schedule, self._average = schedule, average
        self.tell: Callable[[Epoch], None] = lambda _: None
        self._losses_S = torch.empty(0)
        self._looked = 0
        self._epoch_started = 0.0
        self._first_step = 0
        self.best, self.best_epoch, self._better_epoch = metric.worst, 0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Allocate the losses of an epoch, keeping those from a mid-epoch checkpoint."""
        losses_S = torch.zeros(int(trainer.num_training_batches), device=pl_module.device)
        losses_S[: len(self._losses_S)] = self._losses_S.to(pl_module.device)
        self._looked = self._first_step = len(self._losses_S)
        self._losses_S = losses_S
        self._curves.keep_until(trainer.current_epoch)
        self._epoch_started = time.monotonic()
        if self._out_of_patience(trainer.current_epoch):
            trainer.should_stop = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record the loss and check it: at every step on the processor, every few steps elsewhere."""
        self._losses_S[batch_idx] = loss_of(trainer, outputs)
        if pl_module.device.type == "cpu" or batch_idx - self._looked >= _LOOK_EVERY:
            self.check_losses(trainer, batch_idx + 1)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the epoch into the curve, keep the weights if they are the best, and stop if patience is over."""
        self.check_losses(trainer, len(self._losses_S))
        self.check_weights(trainer, pl_module)
        number = trainer.current_epoch + 1
        score = float(trainer.callback_metrics[f"val_{self._metric.name}"])
        if not math.isfinite(score):
            raise self._ruined(trainer, f"the validation {self._metric.title} became {score} in epoch {number}")
        epoch = self._row(trainer, number, score)
        if self._metric.better(score, self.best):
            self._better_epoch = number
        if epoch.best:
            self.best, self.best_epoch = score, number
            weights = pl_module.state_dict() if self._average is None else self._average.weights()
            save_tree({"epoch": number, "score": score, "weights": weights}, self._best_path)
        self._curves.add(epoch, self._losses_S.tolist())
        self.tell(epoch)
        self._looked = self._first_step = 0
        self._epoch_started = time.monotonic()
        if self._out_of_patience(number):
            trainer.should_stop = True

    def _row(self, trainer: Trainer, number: int, score: float) -> Epoch:
        seconds = time.monotonic() - self._epoch_started
        val_loss = trainer.callback_metrics.get("val_loss")
        return Epoch(
            number=number,
            step=steps_made(trainer),
            lr=self._schedule.at(steps_made(trainer) - 1),
            train_loss=float(self._losses_S.double().mean()),
            val_loss=math.nan if val_loss is None else float(val_loss),
            score=score,
            metric=self._metric.name,
            best=not self._metric.better(self.best, score),
            further=_further(trainer, self._metric.name),
            seconds=seconds,
            rate=(len(self._losses_S) - self._first_step) * self._batch_size / max(seconds, 1e-9),
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
        """Raise TrainingError if a weight or the validation loss is not finite: such a state must not be saved.

        The loss is computed before a step changes the weights, so the last step before a checkpoint shows only here.
        """
        val_loss = trainer.callback_metrics.get("val_loss")
        finite = [torch.isfinite(weight).all() for weight in pl_module.parameters()]
        if bool(torch.stack(finite).all()) and (val_loss is None or math.isfinite(float(val_loss))):
            return
        raise self._ruined(trainer, f"the weights are not finite after a step of epoch {trainer.current_epoch + 1}")

    def _ruined(self, trainer: Trainer, what: str) -> TrainingError:
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        last = self._best_path.with_name(LAST)
        way_out = f"--lr {min(self._schedule.peak / 10, _SANE_LR):.2g}, or with a --clip of 1 or less"
        if "bf16" in str(trainer.precision):
            way_out += ", or with --precision fp32"
        kept = (
            f"The checkpoint before it, {last}, is good: go on from it with --resume and"
            if last.exists()
            else "There was no checkpoint yet: train again with"
        )
        return TrainingError(f"{what}, at a learning rate of {rate:.3g}. {kept} {way_out}.")

    def _out_of_patience(self, epochs: int) -> bool:
        return self._patience > 0 and epochs - self._better_epoch >= self._patience and self._better_epoch > 0

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint: the best so far and the losses of the unfinished epoch."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "better_epoch": self._better_epoch,
            "losses": self._losses_S[: self._looked].cpu(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]
        self._better_epoch = state_dict["better_epoch"]
        self._losses_S = state_dict["losses"]
