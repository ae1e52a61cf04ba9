"""A small convolutional net, as in introductory deep-learning courses.

    picture (C, H, W) → conv 3×3, 32 → ReLU → pool 2 → conv 3×3, 64 → ReLU → pool 2 → dense 128 → ReLU → dense K

Paper: LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998, whose LeNet-5 this follows with
ReLU, padding (so that a map halves exactly) and dropout before the last layer.

The operators, which `tests/nets/test_smallcnn.py` checks against plain loops (x input, w weights, b bias, s stride,
everything outside the map is 0):

- Convolution layer, which is a discrete cross-correlation (the kernel is not flipped):
  y[o, i, j] = b[o] + Σ_c Σ_u Σ_v w[o, c, u, v] · x[c, i·s + u − 1, j·s + v − 1],  u, v = 0, 1, 2.
- Max pooling:      y[c, i, j] = max  over u, v in {0, 1} of x[c, 2i + u, 2j + v].
- Average pooling:  y[c, i, j] = ¼ Σ_u Σ_v x[c, 2i + u, 2j + v].
- Rectifier:        y = max(0, x).
- Dense layer:      y[o] = b[o] + Σ_i w[o, i] · x[i].
- Cross-entropy of logits z and the true class t:  L = −log(e^z[t] / Σ_k e^z[k]) = −z[t] + log Σ_k e^z[k].

Large pictures: if the second pooling leaves a map above `grid` positions along a side it is averaged down to
`grid`, so that the dense layer does not grow with the picture.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from sightsmith.nets.parts.checks import at_least, between, smallest_input
from sightsmith.nets.parts.classifier import ClassifierNet
from sightsmith.nets.parts.maps import by_masking_dense

PAPER = "LeCun et al., Gradient-Based Learning Applied to Document Recognition, Proc. IEEE 1998"
LICENCE = "Apache-2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the small convolutional net."""

    pool: Literal["max", "avg"] = "max"
    """How 2×2 positions become one: their maximum or their mean."""
    width: int = 32
    """Feature maps of the first convolution; the second has twice as many. ≥ 1."""
    hidden: int = 128
    """Units of the dense layer, ≥ 1."""
    dropout: float = 0.25
    """Share of the dense layer's units that are dropped while training, in [0, 1)."""
    grid: int = 8
    """Positions along a side that the dense layer sees at most; larger maps are averaged down. ≥ 1."""

    def __post_init__(self) -> None:
        for name in ("width", "hidden", "grid"):
            at_least(f"smallcnn.{name}", getattr(self, name), 1)
        between("smallcnn.dropout", self.dropout)


class SmallCNN(ClassifierNet):
    """Two convolutions with pooling and two dense layers."""

    def __init__(self, settings: Settings, *, channels: int, classes: int, height: int, width: int) -> None:
        super().__init__()
        maps = 2 * settings.width
        pooled = height // 4, width // 4
        grid = min(pooled[0], settings.grid), min(pooled[1], settings.grid)
        self.conv1 = nn.Conv2d(channels, settings.width, 3, padding=1)
        self.conv2 = nn.Conv2d(settings.width, maps, 3, padding=1)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2) if settings.pool == "max" else nn.AvgPool2d(2)
        self.shrink = nn.Identity() if grid == pooled else nn.AdaptiveAvgPool2d(grid)
        self.dense = nn.Linear(maps * grid[0] * grid[1], settings.hidden)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(settings.hidden, classes)

    def features(self, images_BCHW: Tensor) -> Tensor:
        x = self.pool(self.relu(self.conv1(images_BCHW)))
        x = self.pool(self.relu(self.conv2(x)))
        return self.shrink(x)

    def classify(self, features_BDhw: Tensor) -> Tensor:
        return self.head(self.dropout(self.relu(self.dense(features_BDhw.flatten(1)))))

    def class_map(self, features_BDhw: Tensor) -> Tensor:
        """Return the logits with only one position's neighbourhood unmasked (Recipro-CAM), (B, K, h, w).

        The dense layer has different weights per position, so it cannot be applied to one position alone.
        """
        weights_EDhw = self.dense.weight.reshape(-1, *features_BDhw.shape[1:])
        return by_masking_dense(weights_EDhw, self._after_dense, features_BDhw)

    def head_parts(self) -> tuple[str, ...]:
        return ("head",)

    def _after_dense(self, sums_NE: Tensor) -> Tensor:
        return self.head(self.dropout(self.relu(sums_NE + self.dense.bias)))


def build(settings: Settings, *, channels: int, classes: int, height: int, width: int) -> ClassifierNet:
    """Build the net. Raises SettingsError: the input is smaller than 8×8."""
    smallest_input("smallcnn", 8, height, width)
    return SmallCNN(settings, channels=channels, classes=classes, height=height, width=width)
