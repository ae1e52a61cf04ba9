"""The pace of a training, measured on a few steps, so that its length can be given in minutes.

The weights, the random numbers and the order of the batches are put back, so the training that follows is the same as
one with that number of epochs from the start.
"""

import copy
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import torch

from sightsmith.core.counts import many
from sightsmith.core.progress import duration
from sightsmith.training.choice import Choice
from sightsmith.training.optim import make_optimisers
from sightsmith.training.run import Run
from sightsmith.training.trainer import Loaders, prepare

_FIRST = 2  # Steps that are not measured: they allocate memory, and workers start
_FEWEST, _STEPS = 5, 30  # Steps that are measured
_SHARE = 0.02  # Of the asked time, after which no further step is measured
_VALIDATED = 5  # Batches of validation that are measured, at most
_MOST = 100_000  # Epochs
_LOOKS, _LOOKING = 10, 0.1  # Validations of a training, if so many take no more than this share of its time
_LEAST = 0.01  # Share of the pictures in an epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long an epoch of all pictures takes."""

    training: float  # seconds of its steps
    validation: float  # seconds after them
    steps: int  # that were measured
    spent: float  # seconds that measuring took

    def length(self, minutes: float, least: int) -> tuple[Choice, Choice]:
        """Return the epochs that fill the time that is left of some minutes, and the share of the pictures in each.

        There are at least `least` epochs, and ten if their validation takes little of the time.
        """
        left, whole = max(0.0, minutes * 60 - self.spent), self.training + self.validation
        looks = min(_LOOKS, math.floor(_LOOKING * left / self.validation))
        epochs = min(max(least, looks, math.ceil(left / whole)), _MOST)
        share = (left / epochs - self.validation) / self.training
        why = f"{minutes:g} min at {duration(whole)} for all pictures, measured on {many(self.steps, 'step')}"
        if share < _LEAST:
            why += f"; less than {_LEAST:.0%} of the pictures in each is no training"
        share = min(1.0, max(_LEAST, math.floor(share * 1e4) / 1e4))
        return Choice(epochs, why), Choice(share, "so that the epochs fill the time")


def measure_pace(run: Run, loaders: Loaders, minutes: float) -> Pace:
    """Time a few steps of training and of validation; nothing that was measured is kept."""
    started = time.monotonic()
    learner, device = run.learner, torch.device(run.plan.device.value)
    learner.to(device)
    before = copy.deepcopy(learner.state_dict())
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        learner.train()
        step_seconds = _train(run, loaders.train, until=started + minutes * 60 * _SHARE)
        learner.eval()
        validation_seconds = _prepare(run, loaders) + _validate(run, loaders.val)
    learner.load_state_dict(before)
    learner.train()  # Lightning leaves the mode as it finds it
    training = sum(step_seconds) / len(step_seconds) * len(loaders.train)
    spent = time.monotonic() - started
    return Pace(training=training, validation=validation_seconds, steps=len(step_seconds), spent=spent)


def _train(run: Run, batches: Iterable[Any], until: float) -> list[float]:
    """Return the seconds of each measured step with its batch; the learning rate is 0."""
    learner, optimisers = run.learner, make_optimisers(run)
    took: list[float] = []
    ended = time.monotonic()
    again = (batch for _ in count() for batch in batches)  # an epoch may have fewer
    for number, batch in enumerate(islice(again, _FIRST + _STEPS)):
        for name, optimiser in zip(learner.OPTIMISERS, optimisers, strict=True):
            with learner.only(name):
                with run.plan.autocast():
                    loss = learner.loss(batch, name)
                loss.backward()  # type: ignore[no-untyped-call]
            if (number + 1) % run.settings.accumulate == 0:
                if run.plan.clip.value:
                    torch.nn.utils.clip_grad_norm_(learner.parameters(), run.plan.clip.value)
                optimiser.step()
                optimiser.zero_grad()
            float(loss.detach())  # waits for an accelerator
        now = time.monotonic()
        took.append(now - ended)
        ended = now
        if len(took) >= _FIRST + _FEWEST and now > until:
            break
    learner.zero_grad()
    return took[_FIRST:]


def _prepare(run: Run, loaders: Loaders) -> float:
    """Return the seconds that preparing the learner takes."""
    started = time.monotonic()
    prepare(run, loaders)
    return time.monotonic() - started


def _validate(run: Run, batches: Any) -> float:
    """Return the seconds that validation would take, from its first batches."""
    few, seconds = min(_VALIDATED, len(batches)), 0.0
    ended = time.monotonic()
    with torch.inference_mode(), run.plan.autocast():
        for batch in islice(batches, few):
            seconds += time.monotonic() - ended
            run.learner.measured(batch)  # the first time, a learner may compute what it keeps for the next ones
            started = time.monotonic()
            run.learner.measured(batch).float().cpu()
            ended = time.monotonic()
            seconds += ended - started
    return seconds / few * len(batches)
