"""A tiny instance of a task, which the contract tests fit, export and predict with."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from sightsmith.tasks.parts.learner import Batch, Facts


@dataclass(frozen=True, slots=True)
class Example:
    """The parts of a small learner, and a batch for it."""

    nets: dict[str, nn.Module]  # small nets by role
    facts: Facts  # of the data
    settings: Any  # of the task, without randomness, so that one batch can be overfitted
    batch: Batch  # as the training loader gives it
