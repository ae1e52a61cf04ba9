"""Regression: a number for a picture, such as an age, a weight or a count.

Paper of the default loss: Huber, "Robust Estimation of a Location Parameter", 1964. The net learns numbers of mean 0
and standard deviation 1; its answers are scaled back inside the exported graph.

Shapes: B batch, N pictures, h w height and width of the evidence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it

from sightsmith.core.errors import SettingsError
from sightsmith.kinds.parts.answer import Aspect
from sightsmith.tasks.parts.example import Example, picture_example
from sightsmith.tasks.parts.learner import Batch, Calibration, Facts, Feeds
from sightsmith.tasks.parts.pictures import PictureGraph, PictureLearner, picture_sizes

INPUT, KIND, PROGRAMS = "picture", "number", ("once",)
NETS = {"net": "classifier"}
OUTPUTS = ("number", "class_map")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    loss: Literal["huber", "l1", "l2"] = "huber"
    """huber: squared for small errors and linear for large ones; l1: absolute error; l2: squared error."""
    huber_delta: float = 1.0
    """Error from which the Huber loss is linear, in standard deviations of the numbers; > 0."""
    coverage: float = 0.9
    """Share of new numbers that should lie in the prediction interval, in (0, 1)."""
    calibration_fraction: float = 0.15
    """Share of the samples without a split of their own that calibrate the prediction interval instead of training, in
    [0, 0.5]; 0 makes none."""

    def __post_init__(self) -> None:
        if not 0 < self.huber_delta < float("inf"):
            raise SettingsError(f"task.huber_delta must be > 0, got {self.huber_delta!r}")
        if not 0 < self.coverage < 1:
            raise SettingsError(f"task.coverage must be in (0, 1), got {self.coverage!r}")
        if not 0 <= self.calibration_fraction <= 0.5:
            raise SettingsError(f"task.calibration_fraction must be in [0, 0.5], got {self.calibration_fraction!r}")


class RegressLearner(PictureLearner):
    """A regressor being trained; it scales the numbers by their mean and standard deviation in the training data."""

    def __init__(self, nets: Mapping[str, nn.Module], facts: Facts, settings: Settings) -> None:
        super().__init__(nets, facts, settings)
        targets_N = np.zeros(1) if facts.targets is None else facts.targets.astype(np.float64)
        self.mean, self.scale = float(targets_N.mean()), float(targets_N.std()) or 1.0

    @property
    def graph_settings(self) -> dict[str, Any]:
        return {"mean": self.mean, "scale": self.scale}

    def answer(self, feeds: Feeds) -> Tensor:
        """Return the numbers (B, 1) in their unit."""
        return super().answer(feeds) * self.scale + self.mean

    def loss(self, batch: Batch, optimiser: str) -> Tensor:  # noqa: ARG002 -- there is one
        """Return the training loss of a batch; targets are numbers (B,)."""
        feeds, targets_B = batch
        answers_B, wanted_B = super().answer(feeds)[:, 0], (targets_B.float() - self.mean) / self.scale
        if self.settings.loss == "huber":
            return F.huber_loss(answers_B, wanted_B, delta=self.settings.huber_delta)
        return (F.l1_loss if self.settings.loss == "l1" else F.mse_loss)(answers_B, wanted_B)


def calibration(settings: Settings, learner: RegressLearner | None = None) -> Calibration:
    """Return how the prediction interval is calibrated: on samples held out for it, never on validation."""
    options = {"coverage": settings.coverage, "scale": 1.0 if learner is None else learner.scale}
    return Calibration(share=settings.calibration_fraction, held_out=True, options=options)


def validation(
    answers_N1: NDArray[np.floating], targets_N: NDArray[np.floating], settings: Settings
) -> dict[str, float]:
    """Return the mean absolute error `mae` and the root mean squared error `rmse`, in the unit of the numbers."""
    off_N = answers_N1[:, 0].astype(np.float64) - targets_N
    return {"mae": float(np.abs(off_N).mean()), "rmse": float(np.sqrt((off_N**2).mean()))}


def score(answers_B1: Tensor, aspect: Aspect) -> Tensor:
    """Return the answer itself, (B,)."""
    return answers_B1[:, 0]


class RegressGraph(PictureGraph):
    """The graph that is served: it scales the standardised numbers, and their evidence, to their unit."""

    def finish(self, answers_NK: Tensor) -> Tensor:
        return answers_NK * self.settings["scale"] + self.settings["mean"]

    def finish_map(self, map_NKhw: Tensor) -> Tensor:
        return map_NKhw * self.settings["scale"]


def example(rng: np.random.Generator) -> Example:
    """Return a small regressor, and six pictures whose brightness is their number."""
    levels_B = np.linspace(20, 220, 6)
    noise = rng.integers(-20, 20, (6, 12, 12, 3))
    pixels = (levels_B[:, None, None, None] + noise).clip(0, 255).astype(np.uint8)
    targets_B = torch.from_numpy((levels_B / 10).astype(np.float32))
    return picture_example((), pixels, targets_B, Settings(loss="l2"))


learner, graph, sizes = RegressLearner, RegressGraph, picture_sizes
