"""The voting baseline: a picture net answers at each frame, and the clip's answer is the mean; order does not count.

    logits[k] = 1/T · Σ_t net(frame t)[k]

The logits are averaged, not the probabilities: Wang et al., "Temporal Segment Networks", ECCV 2016, arXiv:1608.00859,
section 3.2, found the mean of the scores before softmax best; a frame of which the net is unsure has small logits and
counts little; and the answer stays linear in the frames, so a frame's share of a logit is exact, as in a class map.

Shapes: B batch, T frames, C channels, H W height and width of a frame, K classes.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from sightsmith.nets.parts.classifier import ClassifierNet
from sightsmith.nets.parts.clip_classifier import CLIP_CLASSIFIER, ClipNet
from sightsmith.nets.parts.frame_features import each_frame

PAPER = "Wang et al., Temporal Segment Networks, arXiv:1608.00859"
LICENCE = "Apache-2.0"
FAMILY = CLIP_CLASSIFIER
FRAME_NET = "backbone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the net."""

    backbone: str = "auto"
    """The net that answers at each frame: any net for pictures, ours or timm's. auto: smallresnet for frames up to 64
    pixels, resnet18 for larger ones."""


class FramesNet(ClipNet):
    """The mean of a picture net's logits over the frames."""

    def __init__(self, net: ClassifierNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, frames_BTCHW: Tensor) -> Tensor:
        return each_frame(self.net, frames_BTCHW).mean(dim=1)

    def features(self, frames_BTCHW: Tensor) -> Any:
        """Return the picture net's last features of each frame, (B, T, D, h, w) or as the net has them."""
        features: Any = self.net.features(frames_BTCHW.flatten(0, 1))
        several = not isinstance(features, Tensor)  # of several scales
        return features if several else features.unflatten(0, frames_BTCHW.shape[:2])

    def classify(self, features: Any) -> Tensor:
        return each_frame(self.net.classify, features).mean(dim=1)

    def learned(self, features: Any) -> tuple[Tensor, Tensor]:
        """Return the answer to each frame: each of them must be right alone, which teaches more than their mean."""
        logits_BTK = each_frame(self.net.classify, features)
        frames = logits_BTK.shape[1]
        return logits_BTK, logits_BTK.new_full((frames,), 1 / frames)

    def published(self) -> nn.Module:
        return self.net.published()

    def head_parts(self) -> tuple[str, ...]:
        return tuple(f"net.{name}" for name in self.net.head_parts())


def build(
    settings: Settings,  # noqa: ARG001 -- the picture net comes built
    frame_net: ClassifierNet,
    *,
    channels: int,  # noqa: ARG001
    classes: int,  # noqa: ARG001
    height: int,  # noqa: ARG001
    width: int,  # noqa: ARG001
) -> ClipNet:
    """Build the net over a picture net."""
    return FramesNet(frame_net)
