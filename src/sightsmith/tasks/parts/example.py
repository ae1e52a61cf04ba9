"""A tiny instance of a task, which the contract tests fit, export and predict with."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sightsmith.core.preprocessing import Preprocessing
from sightsmith.inputs.picture import PIXELS
from sightsmith.nets.build import build_net
from sightsmith.tasks.parts.learner import Batch, Facts
from sightsmith.tasks.parts.pictures import picture_sizes


@dataclass(frozen=True, slots=True)
class Example:
    """The parts of a small learner, and a batch for it."""

    nets: dict[str, nn.Module]  # small nets by role
    facts: Facts  # of the data
    settings: Any  # of the task, without randomness, so that one batch can be overfitted
    batch: Batch  # as the training loader gives it


def picture_example(names: tuple[str, ...], pixels_NHWC: NDArray[np.uint8], targets: Tensor, settings: Any) -> Example:
    """Return an example of a task that sees pictures with one net."""
    height, width = pixels_NHWC.shape[1:3]
    facts = Facts(names=names, input_settings=Preprocessing(height=height, width=width), targets=targets.numpy())
    built = build_net("smallresnet", {"width": 8}, **picture_sizes(names, facts.input_settings))
    return Example({"net": built.module}, facts, settings, ({PIXELS: torch.from_numpy(pixels_NHWC)}, targets))
