"""GAN: a generator learns to make pictures that a discriminator cannot tell from real ones.

Papers: Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014, arXiv:1406.2661, with the non-saturating loss of
its section 3; the penalty R₁ of Mescheder et al., ICML 2018, arXiv:1801.04406, at some steps alone, as Karras et al.,
CVPR 2020, arXiv:1912.04958, appendix B. The running average of the generator's weights is what is kept.

Shapes: B batch, N pictures, C channels, H W height and width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sightsmith.core.errors import SettingsError
from sightsmith.inputs import seed
from sightsmith.inputs.parts.survey import Survey
from sightsmith.tasks.parts import making
from sightsmith.tasks.parts.adversarial import discriminator_loss, generator_loss, gradient_penalty
from sightsmith.tasks.parts.example import Example
from sightsmith.tasks.parts.learner import Batch, Facts
from sightsmith.tasks.parts.making import (
    INPUT,
    KIND,
    OUTPUTS,
    PROGRAMS,
    READS,
    VALIDATED,
    VARIED,
    MakingGraph,
    MakingLearner,
    pixels_of,
)

NETS = {"generator": "gan", "discriminator": "gan"}
KEPT = ("generator",)

names, sizes, witnesses = making.names, making.sizes, making.witnesses
__all__ = ["INPUT", "KIND", "OUTPUTS", "PROGRAMS", "READS", "VALIDATED", "VARIED", "names", "sizes", "witnesses"]

_SIDES = (16, 28, 32, 64, 128)
_PENALISED = 0.25  # Probability of a step with the penalty, which is then as much larger; it costs a third of a step


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    labels: bool = True
    """Whether a class can be asked for, if the data has several."""
    r1: float = 0.2
    """γ, the weight of the discriminator's gradient penalty on real pictures, ≥ 0; 0 is without."""

    def __post_init__(self) -> None:
        if not 0 <= self.r1 < float("inf"):
            raise SettingsError(f"task.r1 must be ≥ 0, got {self.r1!r}")


class GanLearner(MakingLearner):
    OPTIMISERS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "discriminator": ("discriminator",),
        "generator": ("generator",),
    }
    BETAS = (0.5, 0.999)  # Radford et al., arXiv:1511.06434, section 4

    def __init__(self, nets: Mapping[str, nn.Module], facts: Facts, settings: Settings) -> None:
        super().__init__(nets, facts)
        self.r1 = settings.r1

    def measured(self, batch: Batch) -> Tensor:
        """Return the features of real pictures and of as many made ones, (B, 2·F)."""
        return self.both(batch, int(self.nets["generator"].noise_size))  # type: ignore[arg-type]

    def make(self, noise_BD: Tensor, labels_B: Tensor | None) -> Tensor:
        return to_levels(self.nets["generator"](noise_BD, labels_B)).permute(0, 2, 3, 1)

    def loss(self, batch: Batch, optimiser: str) -> Tensor:
        """Return the loss of one of the two nets on a batch; the generator's uses new noise."""
        pixels_BHWC, labels_B = pixels_of(batch[0]), self.conditions(batch[1])
        generator, discriminator = self.nets["generator"], self.nets["discriminator"]
        noise_BD = torch.randn(len(pixels_BHWC), int(generator.noise_size), device=pixels_BHWC.device)  # type: ignore[arg-type]
        if optimiser == "generator":
            return generator_loss(discriminator(generator(noise_BD, labels_B), labels_B).float())
        with torch.no_grad():
            made_BCHW = generator(noise_BD, labels_B)
        penalised = self.r1 > 0 and float(torch.rand(())) < _PENALISED
        real_BCHW = (pixels_BHWC.permute(0, 3, 1, 2).float() / 127.5 - 1).requires_grad_(penalised)
        real_B, made_B = discriminator(real_BCHW, labels_B), discriminator(made_BCHW, labels_B)
        loss = discriminator_loss(real_B.float(), made_B.float())
        return loss + self.r1 / _PENALISED * gradient_penalty(real_B, real_BCHW) if penalised else loss


class GanGraph(MakingGraph):
    """The generator as it is served."""

    ROLE = "generator"

    def levels(self, made_NCHW: Tensor) -> Tensor:
        return to_levels(made_NCHW)


def to_levels(images_NCHW: Tensor) -> Tensor:
    """Return pictures of −1…1 in levels 0…255."""
    return (images_NCHW + 1) * 127.5


def defaults(survey: Survey) -> dict[str, Any]:
    """Return what is chosen for open settings: DCGAN's recipe, and the smallest side it has that shows the pictures.

    Steps have fewer pictures and five times the learning rate of Radford et al. (section 4): on Fashion-MNIST the FD of
    validation fell fastest by them (benchmarks/README.md, "Generation").
    """
    side = next((side for side in _SIDES if side >= survey.side), _SIDES[-1])
    recipe = {"model": "dcgan", "size": side, "lr": 1e-3, "weight_decay": 0.0, "warmup_epochs": 0.0, "batch_size": 32}
    return recipe | making.AS_THEY_ARE


def deployed(read: Any, names: tuple[str, ...], nets: Mapping[str, nn.Module]) -> seed.Settings:
    """Return how a seed becomes the generator's arrays."""
    return making.deployed(read, names, nets["generator"])


def validation(answers_NF: NDArray[Any], targets_N: NDArray[Any], settings: Settings) -> dict[str, float]:
    """Return the Fréchet distance `fd` of made pictures from the validation's."""
    return making.distance(answers_NF)


warning = making.collapse


def example(rng: np.random.Generator) -> Example:
    """Return small nets, and twelve pictures."""
    return making.example(rng, "dcgan", NETS, Settings())


learner, graph = GanLearner, GanGraph
