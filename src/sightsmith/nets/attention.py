"""A convolutional net with attention over the positions of its feature map.

Papers: Luong, Pham and Manning, "Effective Approaches to Attention-based Neural Machine Translation", EMNLP 2015,
arXiv:1508.04025 (dot and general scores); Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762 (query,
key, value; the division by √D).

One query, made of the mean of the features f[p] (D numbers each), attends to all P = h·w positions:

    q = W_q · (1/P) Σ_p f[p],     k[p] = W_k · f[p],     v[p] = W_v · f[p]
    score[p] = q · k[p] / √D                  ("dot")
    score[p] = qᵀ · W_a · k[p] / √D           ("general")
    a[p] = e^score[p] / Σ_r e^score[r],       context = Σ_p a[p] · v[p],       logits = W · context + b

Deviations: Luong's dot score has no √D; without it the weights saturate at the start of training. The query of a
picture is the mean of its features, whereas Luong's is a decoder's state. The head is one linear layer on the context
(no concatenation with the query), so that a position's share of a logit is exact: its class map,

    map[k, p] = P · a[p] · (W[k] · v[p]) + b[k],     has the logits as its mean over the positions.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sightsmith.nets.parts.blocks import conv_norm_act
from sightsmith.nets.parts.checks import at_least, smallest_input
from sightsmith.nets.parts.classifier import ClassifierNet

PAPER = "Luong et al., Effective Approaches to Attention-based Neural Machine Translation, arXiv:1508.04025"
LICENCE = "Apache-2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    score: Literal["dot", "general"] = "general"
    """Score of query and key: their dot product, or with a learned matrix between them."""
    width: int = 32
    """Feature maps of the first convolution; the features attended to are four times as many. ≥ 1."""

    def __post_init__(self) -> None:
        at_least("attention.width", self.width, 1)


class AttentionNet(ClassifierNet):
    """Four convolutions, attention over the positions, a linear head."""

    def __init__(self, settings: Settings, *, channels: int, classes: int) -> None:
        super().__init__()
        width, depth = settings.width, 4 * settings.width
        self.backbone = nn.Sequential(
            conv_norm_act(channels, width),
            conv_norm_act(width, 2 * width),
            nn.MaxPool2d(2),
            conv_norm_act(2 * width, depth),
            nn.MaxPool2d(2),
            conv_norm_act(depth, depth),
        )
        self.query, self.key, self.value = (nn.Linear(depth, depth, bias=False) for _ in range(3))
        self.general = nn.Linear(depth, depth, bias=False) if settings.score == "general" else nn.Identity()
        self.head = nn.Linear(depth, classes)

    def features(self, images_BCHW: Tensor) -> Tensor:
        return self.backbone(images_BCHW)

    def classify(self, features_BDhw: Tensor) -> Tensor:
        weights_BP, values_BPD = self._attend(features_BDhw)
        return self.head((weights_BP[:, None] @ values_BPD)[:, 0])

    def class_map(self, features_BDhw: Tensor) -> Tensor:
        """Return each position's exact share of the logits, (B, K, h, w); the mean over h w is the logits."""
        weights_BP, values_BPD = self._attend(features_BDhw)
        height, width = features_BDhw.shape[-2:]
        scaled_BPD = values_BPD * weights_BP[..., None] * (height * width)
        return self.head(scaled_BPD).transpose(1, 2).reshape(features_BDhw.shape[0], -1, height, width)

    def attention(self, images_BCHW: Tensor) -> Tensor:
        features_BDhw = self.features(images_BCHW)
        weights_BP, _ = self._attend(features_BDhw)
        return weights_BP.reshape(-1, *features_BDhw.shape[-2:])

    def head_parts(self) -> tuple[str, ...]:
        return ("head",)

    def _attend(self, features_BDhw: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights (B, P) and the values (B, P, D)."""
        features_BPD = features_BDhw.flatten(2).transpose(1, 2)
        query_BD = self.query(features_BPD.mean(dim=1))
        keys_BPD = self.general(self.key(features_BPD))
        scores_BP = (keys_BPD @ query_BD[..., None])[..., 0] / keys_BPD.shape[-1] ** 0.5
        return torch.softmax(scores_BP, dim=1), self.value(features_BPD)


def build(settings: Settings, *, channels: int, classes: int, height: int, width: int) -> ClassifierNet:
    """Build the net. Raises SettingsError: the input is smaller than 8×8."""
    smallest_input("attention", 8, height, width)
    return AttentionNet(settings, channels=channels, classes=classes)
