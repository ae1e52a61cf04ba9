"""VAE: an encoder describes a picture by a distribution of latents, and a decoder makes the picture of them.

Paper: Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014, arXiv:1312.6114. The loss is the negative
evidence lower bound (ELBO): the expected −log p(picture | latents) plus β times the KL divergence of the latents'
distribution from the normal one. A new picture is the decoder's of latents from a mixture of normal distributions that
is fitted to those of training pictures (`nets/parts/mixture.py`), as good as the weights are, before each validation.

Shapes: B batch, N pictures, D latents, C channels, H W height and width.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sightsmith.core.errors import SettingsError
from sightsmith.inputs import seed
from sightsmith.inputs.parts.survey import Survey
from sightsmith.tasks.parts import elbo, making
from sightsmith.tasks.parts.coding import Coder
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

NETS = {"decoder": "vae", "encoder": "vae"}

names, sizes, witnesses = making.names, making.sizes, making.witnesses
__all__ = ["INPUT", "KIND", "OUTPUTS", "PROGRAMS", "READS", "VALIDATED", "VARIED", "names", "sizes", "witnesses"]

_SIDES = (16, 128)
_TERMS = 3  # columns beside the features: ln p(x|z), KL, dimensions of a picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    labels: bool = True
    """Whether a class can be asked for, if the data has several."""
    likelihood: Literal["logistic", "bernoulli"] = "logistic"
    """Of the pixels. logistic: of 256 levels, with bits/dim; bernoulli: of black and white; on grey levels it is a loss
    and no likelihood, so bits/dim are left out."""
    beta: float = 1.0
    """β, the weight of the KL divergence, ≥ 0; any but 1 is no bound on the likelihood."""
    free_bits: float = 0.0
    """λ in nats, ≥ 0: no latent gains from a mean KL below it, so that none is given up."""

    def __post_init__(self) -> None:
        for name in ("beta", "free_bits"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise SettingsError(f"task.{name} must be ≥ 0, got {getattr(self, name)!r}")


class VaeLearner(MakingLearner):
    OPTIMISERS: ClassVar[Mapping[str, tuple[str, ...]]] = {"both": ("encoder", "decoder")}
    PREPARED_BY = 5_000

    def __init__(self, nets: Mapping[str, nn.Module], facts: Facts, settings: Settings) -> None:
        super().__init__(nets, facts)
        self.settings = settings

    @property
    def graph_settings(self) -> dict[str, Any]:
        return {"likelihood": self.settings.likelihood}

    @property
    def decoder(self) -> Any:
        return self.nets["decoder"]

    def measured(self, batch: Batch) -> Tensor:
        """Return the features of real pictures and of as many made ones, and the terms of the ELBO, (B, 2·F + 3)."""
        pixels_BHWC = pixels_of(batch[0])
        noise_BD = self.noise_for(pixels_BHWC, self.decoder.latent_size)
        likelihood_B, kl_BD = self._terms(pixels_BHWC, self.conditions(batch[1]), noise_BD)
        size_B = torch.full_like(likelihood_B, pixels_BHWC[0].numel())
        terms_B3 = torch.stack([likelihood_B, kl_BD.sum(dim=1), size_B], dim=1).float().cpu()
        return torch.cat([self.both(batch, self.decoder.noise_size), terms_B3], dim=1)

    def make(self, noise_BD: Tensor, labels_B: Tensor | None) -> Tensor:
        return _levels(self.settings.likelihood, self.decoder(noise_BD, labels_B)).permute(0, 2, 3, 1)

    def loss(self, batch: Batch, optimiser: str) -> Tensor:  # noqa: ARG002 -- there is one
        """Return the negative ELBO of a batch, a scalar in nats a picture; divided by the pixels, as rates expect."""
        pixels_BHWC = pixels_of(batch[0])
        noise_BD = torch.randn(len(pixels_BHWC), self.decoder.latent_size, device=pixels_BHWC.device)
        likelihood_B, kl_BD = self._terms(pixels_BHWC, self.conditions(batch[1]), noise_BD)
        loss = elbo.elbo_loss(likelihood_B, kl_BD, beta=self.settings.beta, least=self.settings.free_bits)
        return loss / pixels_BHWC[0].numel()

    def prepare(self, batches: Iterable[Batch]) -> None:
        """Fit the mixture that new pictures start from to the latents of training pictures."""
        if self.decoder.mixture is None:
            return
        encoder = self.nets["encoder"]
        encoded = [
            (*_encoded(encoder, _images(pixels_of(feeds)), self.conditions(labels_B)), labels_B)
            for feeds, labels_B in batches
        ]
        means_ND, log_variances_ND, labels_N = (torch.cat(parts).cpu() for parts in zip(*encoded, strict=True))
        self.decoder.mixture.fit(means_ND, log_variances_ND, self.conditions(labels_N))

    def _terms(self, pixels_BHWC: Tensor, labels_B: Tensor | None, noise_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Return ln p(x|z), (B,), for one sample of latents, and the KL divergence of each latent, (B, D), float32."""
        images_BCHW = _images(pixels_BHWC)
        mean_BD, log_variance_BD = _encoded(self.nets["encoder"], images_BCHW, labels_B)
        latents_BD = elbo.reparameterise(mean_BD, log_variance_BD, noise_BD)
        decoded_BCHW = self.decoder.decode(latents_BD, labels_B).float()
        scales_C = self.decoder.log_scales_C.float()
        likelihood_B = elbo.log_likelihood(self.settings.likelihood, images_BCHW, decoded_BCHW, scales_C)
        return likelihood_B, elbo.kl_divergence(mean_BD, log_variance_BD)


def _images(pixels_BHWC: Tensor) -> Tensor:
    """Return pixels of 0…255 as pictures of 0…1, (B, C, H, W)."""
    return pixels_BHWC.permute(0, 3, 1, 2).float() / 255


def _encoded(encoder: nn.Module, images_BCHW: Tensor, labels_B: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the mean and the log-variance of the latents, (B, D) float32."""
    mean_BD, log_variance_BD = encoder(images_BCHW, labels_B)
    return mean_BD.float(), log_variance_BD.float()


def _levels(likelihood: elbo.Likelihood, decoded_BCHW: Tensor) -> Tensor:
    """Return the decoder's output in levels 0…255, (B, C, H, W)."""
    return 255 * elbo.expected_picture(likelihood, decoded_BCHW.float())


class VaeGraph(MakingGraph):
    """The decoder as it is served."""

    ROLE = "decoder"

    def levels(self, made_NCHW: Tensor) -> Tensor:
        return _levels(self.settings["likelihood"], made_NCHW)


class VaeCoder(Coder):
    """The encoder, and the decoder of its latents."""

    def __init__(self, nets: Mapping[str, nn.Module], settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.nets, self.settings = nn.ModuleDict(nets), settings
        self.eval()

    def encode(self, pixels_BHWC: Tensor, labels_B: Tensor | None) -> tuple[Tensor, Tensor]:
        return _encoded(self.nets["encoder"], _images(pixels_BHWC), labels_B)

    def decode(self, latents_BD: Tensor, labels_B: Tensor | None) -> Tensor:
        decoder: Any = self.nets["decoder"]
        return _levels(self.settings["likelihood"], decoder.decode(latents_BD, labels_B)).permute(0, 2, 3, 1)


def defaults(survey: Survey) -> dict[str, Any]:
    """Return what is chosen for open settings: the net, a side that it has, and no augmentation."""
    side = min(_SIDES[1], max(_SIDES[0], -(-survey.side // 4) * 4))
    return {"model": "vae", "size": side, "weight_decay": 0.0, **making.AS_THEY_ARE}


def deployed(read: Any, names: tuple[str, ...], nets: Mapping[str, nn.Module]) -> seed.Settings:
    """Return how a seed becomes the decoder's arrays."""
    return making.deployed(read, names, nets["decoder"])


def validation(answers_NF: NDArray[Any], targets_N: NDArray[Any], settings: Settings) -> dict[str, float]:
    """Return the Fréchet distance `fd`, the ELBO and its parts in nats a picture, and `bits_per_dim` if defined."""
    likelihood_N, kl_N, size_N = answers_NF[:, -_TERMS:].T.astype(np.float64)
    bound = float((likelihood_N - kl_N).mean())
    parts = {"elbo": bound, "reconstruction": float(likelihood_N.mean()), "kl": float(kl_N.mean())}
    if settings.likelihood == "logistic":
        parts["bits_per_dim"] = -bound / (float(size_N.mean()) * float(np.log(2)))
    return making.distance(answers_NF[:, :-_TERMS]) | parts


def warning(answers_NF: NDArray[Any], targets_N: NDArray[Any]) -> str:
    """Return a warning if the made pictures hardly differ from each other."""
    return making.collapse(answers_NF[:, :-_TERMS], targets_N)


def example(rng: np.random.Generator) -> Example:
    """Return small nets, and twelve pictures of black and white."""
    return making.example(rng, "vae", NETS, Settings(likelihood="bernoulli", beta=0.1))


learner, graph, coder = VaeLearner, VaeGraph, VaeCoder
