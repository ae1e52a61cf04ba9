"""A tiny instance of a task, which the contract tests fit, export and predict with."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from sightsmith.core.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True)
class Example:
    """What it takes to build a small task, and a batch for it.

    Attributes:
        net: a small net that the task can train.
        classes: names of the classes.
        preprocessing: of the batch's pictures.
        settings: of the task, with nothing random in them, so that one batch can be learned by heart.
        batch: what the training loader gives: pictures (B, C, H, W) uint8 and their targets.
    """

    net: nn.Module
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    settings: Any
    batch: tuple[Tensor, Tensor]
