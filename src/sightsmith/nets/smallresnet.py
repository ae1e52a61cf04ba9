"""A narrow residual net for small pictures (up to about 64 pixels), quick to train on a processor.

    conv C→w, [conv →2w, pool, residual × depth], [conv →4w, pool, residual × depth], conv 4w→4w, mean, linear

Papers: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385; the layout follows
David Page's ResNet-9 ("How to Train Your ResNet", 2018) and Keller Jordan, "94% on CIFAR-10 in 3.29 Seconds on a
Single GPU", arXiv:2404.00498.
Deviations: the last pooling is a mean over the map (theirs a maximum), so that the class map is exact, and a pooling
that would leave fewer than `smallest_map` positions along a side is left out.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from sightsmith.nets.parts.blocks import Activation, Residual, conv_norm_act
from sightsmith.nets.parts.checks import at_least, between, smallest_input
from sightsmith.nets.parts.classifier import ClassifierNet

PAPER = "He et al., Deep Residual Learning for Image Recognition, arXiv:1512.03385"
LICENCE = "Apache-2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the small residual net."""

    width: int = 32
    """Feature maps of the first convolution; each stage doubles them. ≥ 1."""
    stages: int = 2
    """Stages that halve the picture and double the feature maps, ≥ 1."""
    depth: int = 1
    """Residual blocks in each stage, ≥ 0."""
    stem_depth: int = 0
    """Residual blocks before the first stage, at full resolution: slow, but finer. ≥ 0."""
    tail: bool = True
    """One more convolution after the last stage."""
    activation: Activation = "relu"
    """Activation after each convolution: relu or silu."""
    dropout: float = 0.0
    """Share of the pooled features that are dropped while training, in [0, 1)."""
    smallest_map: int = 4
    """A pooling that would leave fewer positions along a side than this is left out. ≥ 1."""

    def __post_init__(self) -> None:
        for name, least in (("width", 1), ("stages", 1), ("depth", 0), ("stem_depth", 0), ("smallest_map", 1)):
            at_least(f"smallresnet.{name}", getattr(self, name), least)
        between("smallresnet.dropout", self.dropout)


class SmallResNet(ClassifierNet):
    """Residual stages under average pooling and a linear head."""

    def __init__(self, settings: Settings, *, channels: int, classes: int, smallest_side: int) -> None:
        super().__init__()
        features, act, side = settings.width, settings.activation, smallest_side
        layers: list[nn.Module] = [conv_norm_act(channels, features, act)]
        layers += [Residual(features, act) for _ in range(settings.stem_depth)]
        for _ in range(settings.stages):
            layers.append(conv_norm_act(features, 2 * features, act))
            features *= 2
            if side // 2 >= settings.smallest_map:
                layers.append(nn.MaxPool2d(2))
                side //= 2
            layers += [Residual(features, act) for _ in range(settings.depth)]
        if settings.tail:
            layers.append(conv_norm_act(features, features, act))
        self.backbone = nn.Sequential(*layers)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(features, classes)

    def features(self, images_BCHW: Tensor) -> Tensor:
        return self.backbone(images_BCHW)

    def classify(self, features_BDhw: Tensor) -> Tensor:
        return self.head(self.dropout(features_BDhw.mean(dim=(2, 3))))

    def head_parts(self) -> tuple[str, ...]:
        return ("head",)


def build(settings: Settings, *, channels: int, classes: int, height: int, width: int) -> ClassifierNet:
    """Build the net. Raises SettingsError: the input is smaller than 4×4."""
    smallest_input("smallresnet", 4, height, width)
    return SmallResNet(settings, channels=channels, classes=classes, smallest_side=min(height, width))
