"""The encoder and the decoder of a variational autoencoder, made of convolutions.

    encoder:  [conv, norm, ReLU]ⁿ [⊕ embedding of the label] → linear → mean μ; linear → log-variance ln σ²
    decoder:  z [⊕ embedding of the label] → linear, [norm, ReLU, transposed conv]ⁿ
    new z:    noise → mixture of normal distributions, fitted to the latents of pictures

Each convolution halves the sides and each transposed one doubles them, n ≥ 2 times: as long as a side is even and at
least 4 positions remain.

Papers: Kingma & Welling, "Auto-Encoding Variational Bayes", ICLR 2014, arXiv:1312.6114: q(z|x) = N(μ, diag σ²) is
equation 9, p(x|z) appendix C; labels as Sohn et al., "Learning Structured Output Representation using Deep Conditional
Generative Models", NeurIPS 2015, but with the prior N(0, 1) for every label.
Deviations: convolutions with batch normalisation (theirs: one hidden layer); one scale for each channel is learned for
a likelihood that has one, as in Rybkin et al., "Simple and Effective VAE Training with Calibrated Decoders", ICML 2021,
arXiv:2006.13202 (theirs is shared by the channels); new pictures start from a fitted mixture (`parts/mixture.py`).

Shapes: B batch, D latents, C channels, H W height and width of the picture.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sightsmith.core.errors import SettingsError
from sightsmith.nets.parts.blocks import VectorToPicture, doubled, halving
from sightsmith.nets.parts.checks import at_least
from sightsmith.nets.parts.condition import Condition, require_labels
from sightsmith.nets.parts.mixture import Mixture

PAPER = "Kingma & Welling, Auto-Encoding Variational Bayes, arXiv:1312.6114"
LICENCE = "Apache-2.0"
FAMILY = "vae"
ROLES = ("encoder", "decoder")

_SMALLEST, _LARGEST, _STEP = 16, 128, 4  # of a side, in pixels
_SMALLEST_MAP = 4  # positions along a side
_FIRST_LOG_SCALE = -2.0  # e⁻² = .14 of the range from black to white: far wider than a trained decoder errs


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of both nets."""

    latent_size: int = 64
    """Latents, the random numbers that a picture is made from, ≥ 1."""
    width: int = 32
    """Feature maps at half the picture's side; each halving of the sides doubles them, up to 8 times as many. ≥ 1."""
    embedding: int = 32
    """Numbers that a label is embedded in, if there are labels. ≥ 1."""
    components: int = 40
    """Normal distributions that are fitted to the latents of pictures, and that new pictures start from; those of all
    classes together, each of which has one at least. 0: new pictures start from N(0, 1). ≥ 0."""

    def __post_init__(self) -> None:
        for name in ("latent_size", "width", "embedding"):
            at_least(f"vae.{name}", getattr(self, name), 1)
        at_least("vae.components", self.components, 0)


class Encoder(nn.Module):
    """Gives the distribution of the latents of a picture, q(z|x) = N(μ, diag σ²)."""

    def __init__(self, settings: Settings, *, channels: int, classes: int, height: int, width: int) -> None:
        super().__init__()
        count = _halvings(height, width)
        layers: list[nn.Module] = []
        before = channels
        for after in doubled(settings.width, count):
            layers += [halving(before, after, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
            before = after
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.condition = Condition(classes, settings.embedding)
        size = before * (height >> count) * (width >> count) + self.condition.size
        self.mean = nn.Linear(size, settings.latent_size)
        self.log_variance = nn.Linear(size, settings.latent_size)

    def forward(self, images_BCHW: Tensor, labels_B: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode pictures.

        Args:
            images_BCHW: in [0, 1], float32.
            labels_B: int64 in [0, classes); None for a net without classes.

        Returns:
            The mean μ (B, D) and the log-variance ln σ² (B, D) of the latents.

        Raises:
            ValueError: labels are missing, or given to a net without classes.
        """
        features_BF = self.condition(self.features(images_BCHW), labels_B)
        return self.mean(features_BF), self.log_variance(features_BF)


class Decoder(nn.Module):
    """Gives the distribution of the pixels from latents, p(x|z).

    Attributes:
        latent_size: D, the latents of a picture.
        mixture: what new latents are drawn from; None for N(0, 1).
        noise_size: numbers from N(0, 1) that a new picture is made from: D, or D + 1 for several components.
        log_scales_C: the logarithm of each channel's scale, in units of pixels in [0, 1]. A likelihood without a scale
            (Bernoulli) leaves it as it is.
    """

    def __init__(self, settings: Settings, *, channels: int, classes: int, height: int, width: int) -> None:
        super().__init__()
        self.latent_size = self.noise_size = settings.latent_size
        self.mixture = None
        if settings.components:
            groups = max(1, classes)
            self.mixture = Mixture(groups, max(1, settings.components // groups), settings.latent_size)
            self.noise_size = self.mixture.noise_size
        self.condition = Condition(classes, settings.embedding)
        self.picture = VectorToPicture(
            settings.latent_size + self.condition.size,
            doubled(settings.width, _halvings(height, width))[::-1],
            channels=channels,
            height=height,
            width=width,
        )
        self.log_scales_C = nn.Parameter(torch.full((channels,), _FIRST_LOG_SCALE))

    def forward(self, noise_BN: Tensor, labels_B: Tensor | None = None) -> Tensor:
        """Make new pictures: as `decode`, of (B, noise_size) numbers from N(0, 1)."""
        require_labels(self.condition.embedding, labels_B)
        return self.decode(noise_BN if self.mixture is None else self.mixture(noise_BN, labels_B), labels_B)

    def decode(self, latents_BD: Tensor, labels_B: Tensor | None = None) -> Tensor:
        """Decode latents.

        Args:
            latents_BD: float32, from the encoder's distribution.
            labels_B: int64 in [0, classes); None for a net without classes.

        Returns:
            (B, C, H, W) without bounds, as the likelihood takes it: logits of white for Bernoulli, locations in units
            of pixels in [0, 1] for the logistic.

        Raises:
            ValueError: labels are missing, or given to a net without classes.
        """
        return self.picture(self.condition(latents_BD, labels_B))


def build(settings: Settings, *, role: str, channels: int, classes: int, height: int, width: int) -> Encoder | Decoder:
    """Build the net of a role; `classes` 0 is without labels.

    Raises SettingsError: a side is not a multiple of 4 from 16 to 128.
    """
    if any(not _SMALLEST <= side <= _LARGEST or side % _STEP for side in (height, width)):
        larger = min(max(height, width), _LARGEST) // _STEP * _STEP
        raise SettingsError(
            f"vae makes pictures whose sides are multiples of {_STEP} from {_SMALLEST} to {_LARGEST} pixels, not "
            f"{width}×{height}. Choose such a side, as --size {max(larger, _SMALLEST)}."
        )
    net = Encoder if role == "encoder" else Decoder
    return net(settings, channels=channels, classes=classes, height=height, width=width)


def _halvings(height: int, width: int) -> int:
    """Return how often both sides can be halved and leave at least 4 positions."""
    halvings = 0
    while height % 2 == width % 2 == 0 and min(height, width) >= 2 * _SMALLEST_MAP:
        height, width, halvings = height // 2, width // 2, halvings + 1
    return halvings
