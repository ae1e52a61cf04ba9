"""A net whose graph is wrong for other lengths than its example's: ONNX rounds a negative quotient towards 0."""

from dataclasses import dataclass

from torch import Tensor, nn

from sightsmith.nets.parts.clip_classifier import CLIP_CLASSIFIER, ClipNet

PAPER, LICENCE, FAMILY = "none", "Apache-2.0", CLIP_CLASSIFIER


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The net has no settings."""


class Net(ClipNet):
    """Its answer grows with the number of frames that a clip lacks of a multiple of five."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(channels, classes)

    def forward(self, frames_BTCHW: Tensor) -> Tensor:
        return self.classify(self.features(frames_BTCHW))

    def features(self, frames_BTCHW: Tensor) -> Tensor:
        return frames_BTCHW

    def classify(self, frames_BTCHW: Tensor) -> Tensor:
        frames = frames_BTCHW.shape[1]
        missing = -(-frames // 5) * 5 - frames
        return self.head(frames_BTCHW.mean(dim=(1, 3, 4))) * (1 + missing)

    def head_parts(self) -> tuple[str, ...]:
        return ("head",)


def build(settings: Settings, *, channels: int, classes: int, height: int, width: int) -> ClipNet:
    return Net(channels, classes)
