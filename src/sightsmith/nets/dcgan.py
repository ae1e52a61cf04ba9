"""A generator and a discriminator of convolutions, the GAN that other GANs are measured against.

    generator:      z [⊕ embedding of the label] → linear, [norm, ReLU, transposed conv]ⁿ, tanh
    discriminator:  conv, LeakyReLU, [conv, norm, LeakyReLU]ⁿ⁻¹ → φ,  logit = w·φ + b [+ v_label·φ]

Each transposed convolution doubles the sides and each convolution halves them, n times between the picture and a map of
4×4 (7×7 for pictures of 28×28).

Papers: Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
ICLR 2016, arXiv:1511.06434, section 3 (layers) and 4 (initial weights of the generator, slope .2); Goodfellow et al.,
"Generative Adversarial Nets", NeurIPS 2014, arXiv:1406.2661; labels by Mirza & Osindero, "Conditional Generative
Adversarial Nets", arXiv:1411.1784 (generator), and Miyato & Koyama, "cGANs with Projection Discriminator", ICLR 2018,
arXiv:1802.05637 (discriminator, figure 1d: ψ is linear here).
Deviations: kernels of 4×4 (theirs 5×5), which leave no checkerboard; instance normalisation in the discriminator
(theirs: by batches; Ulyanov et al., arXiv:1607.08022), so that the logit of a picture does not depend on its batch;
half the feature maps by default (theirs: width 128); feature maps stop growing at 8 × width; φ is flattened for the
projection (theirs is summed over the positions).

Shapes: B batch, D size of the noise, C channels, H W height and width of the picture.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from sightsmith.core.errors import SettingsError
from sightsmith.nets.parts.blocks import VectorToPicture, doubled, halving
from sightsmith.nets.parts.checks import at_least
from sightsmith.nets.parts.condition import Condition, require_labels

PAPER = "Radford et al., Unsupervised Representation Learning with Deep Convolutional GANs, arXiv:1511.06434"
LICENCE = "Apache-2.0"
FAMILY = "gan"
ROLES = ("generator", "discriminator")

_STD = 0.02  # of the initial weights (section 4)
_SLOPE = 0.2  # of LeakyReLU below 0 (section 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of both nets."""

    noise_size: int = 100
    """Random numbers that a picture is made from, ≥ 1."""
    width: int = 64
    """Feature maps at half the picture's side; each halving of the sides doubles them, up to 8 times as many. ≥ 1."""
    embedding: int = 32
    """Numbers that a label is embedded in for the generator, if there are labels. ≥ 1."""

    def __post_init__(self) -> None:
        for name in ("noise_size", "width", "embedding"):
            at_least(f"dcgan.{name}", getattr(self, name), 1)


class Generator(nn.Module):
    """Makes pictures from noise.

    Attributes:
        noise_size: D, the random numbers of a picture.
    """

    def __init__(self, settings: Settings, *, channels: int, classes: int, side: int) -> None:
        super().__init__()
        self.noise_size = settings.noise_size
        self.condition = Condition(classes, settings.embedding)
        self.picture = VectorToPicture(
            settings.noise_size + self.condition.size,
            doubled(settings.width, _halvings(side))[::-1],
            channels=channels,
            height=side,
            width=side,
        )
        self.picture.apply(_initialise)

    def forward(self, noise_BD: Tensor, labels_B: Tensor | None = None) -> Tensor:
        """Make pictures.

        Args:
            noise_BD: drawn from N(0, 1), float32.
            labels_B: int64 in [0, classes); None for a net without classes.

        Returns:
            (B, C, H, W) in [−1, 1]: 0 is mid-grey.

        Raises:
            ValueError: labels are missing, or given to a net without classes.
        """
        return self.picture(self.condition(noise_BD, labels_B)).tanh()


class Discriminator(nn.Module):
    """Tells real pictures from made ones."""

    def __init__(self, settings: Settings, *, channels: int, classes: int, side: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = channels
        for after in doubled(settings.width, _halvings(side)):
            normed = [nn.InstanceNorm2d(after, affine=True)] if layers else []  # raw pictures keep their contrast
            layers += [halving(before, after, bias=not normed), *normed, nn.LeakyReLU(_SLOPE, inplace=True)]
            before = after
        self.features = nn.Sequential(*layers, nn.Flatten())
        size = before * (side >> _halvings(side)) ** 2
        self.head = nn.Linear(size, 1)
        self.projection = nn.Embedding(classes, size) if classes else None
        if self.projection is not None:
            nn.init.normal_(self.projection.weight, std=_STD)  # torch's N(0, 1) would drown the head

    def forward(self, images_BCHW: Tensor, labels_B: Tensor | None = None) -> Tensor:
        """Judge pictures.

        Args:
            images_BCHW: in [−1, 1], float32.
            labels_B: int64 in [0, classes), the labels that the pictures claim; None for a net without classes.

        Returns:
            (B,) logits: their sigmoid is the probability that the picture is real (and of its label).

        Raises:
            ValueError: labels are missing, or given to a net without classes.
        """
        require_labels(self.projection, labels_B)
        features_BD = self.features(images_BCHW)
        logits_B = self.head(features_BD).squeeze(1)
        return logits_B if self.projection is None else logits_B + (self.projection(labels_B) * features_BD).sum(1)


def build(
    settings: Settings, *, role: str, channels: int, classes: int, height: int, width: int
) -> Generator | Discriminator:
    """Build the net of a role; `classes` 0 is without labels.

    Raises SettingsError: the picture is not a square of 28 pixels or of a power of two from 16.
    """
    if height != width or not (height == 28 or (height >= 16 and height.bit_count() == 1)):
        raise SettingsError(
            f"dcgan makes square pictures with a side of 16, 28, 32, 64, 128 or a higher power of two, not {width}×"
            f"{height} pixels. Choose one of them, such as --size {_nearest(max(height, width))}."
        )
    net = Generator if role == "generator" else Discriminator
    return net(settings, channels=channels, classes=classes, side=height)


def _halvings(side: int) -> int:
    """Return how often a picture is halved to a map of 4×4, or of 7×7 from 28×28."""
    return 2 if side == 28 else side.bit_length() - 3


def _nearest(side: int) -> int:
    powers = (2**exponent for exponent in range(4, max(5, side.bit_length() + 1)))
    return min((28, *powers), key=lambda allowed: abs(allowed - side))


def _initialise(module: nn.Module) -> None:
    for name, parameter in module.named_parameters(recurse=False):
        if name == "bias":
            nn.init.zeros_(parameter)
        else:
            nn.init.normal_(parameter, mean=1.0 if isinstance(module, nn.BatchNorm2d) else 0.0, std=_STD)
