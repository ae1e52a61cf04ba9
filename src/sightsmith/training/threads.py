"""The number of threads that training computes with: given, kept, or found by trying."""

# ruff: noqa: ARG002 -- Lightning's signatures

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from sightsmith.core.machine import usable_cores
from sightsmith.core.threads import ThreadPolicy
from sightsmith.training.plan import Tell


@contextmanager
def compute_threads(asked: int | None) -> Iterator[None]:
    """Compute with as many threads as asked for, or as there are usable cores, as long as the block runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(asked or min(before, usable_cores()))
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Threads(Callback):
    """Adapts the number of threads to the load of the machine, unless it is fixed.

    The number changes the order of floating-point sums, and so the last bits of the weights. A resumed training
    therefore keeps the number of its checkpoint.

    Args:
        asked: the number that was asked for.
        fixed: keep the number that training starts with.
    """

    def __init__(self, asked: int | None, batch_size: int, tell: Tell, *, fixed: bool) -> None:
        self._asked, self._batch_size, self._tell = asked, batch_size, tell
        self._fixed = fixed or asked is not None or "OMP_NUM_THREADS" in os.environ
        self._policy: ThreadPolicy | None = None
        self._ended: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._fixed and pl_module.device.type == "cpu":
            self._policy = ThreadPolicy(torch.get_num_threads())

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._ended = None  # leaves validation out of the rate

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record the time of the step, including its batch, and set the threads for the next."""
        now, before = time.monotonic(), self._ended
        self._ended = now
        if self._policy is None or before is None:
            return
        line = self._policy.note(self._batch_size, max(now - before, 1e-9))
        if self._policy.threads != torch.get_num_threads():
            torch.set_num_threads(self._policy.threads)
        if line:
            self._tell(line)

    def state_dict(self) -> dict[str, Any]:
        return {"threads": torch.get_num_threads()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._fixed = True
        if self._asked is None and state_dict["threads"] != torch.get_num_threads():
            torch.set_num_threads(state_dict["threads"])
            self._tell(f"compute threads: {state_dict['threads']} (as before: a resumed training keeps its number)")
