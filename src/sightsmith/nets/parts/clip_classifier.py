"""The base of every net that classifies clips: from frames to a logit for each class.

Shapes: B batch, T frames of a clip, C channels, H W height and width of a frame, K classes.
"""

from abc import abstractmethod
from typing import Any

from torch import Tensor

from sightsmith.nets.parts.headed import HeadedNet

CLIP_CLASSIFIER = "clip_classifier"  # Name of the family

State = tuple[Tensor, ...]  # Tensors with the clip as their first axis, as the arrays of a graph have it


class ClipNet(HeadedNet):
    """A classifier of clips of any length ≥ 1; it knows no task. Inputs are normalised floats.

    A net whose answer after a frame depends on that frame and on what it kept of those before may answer frame by
    frame: `begin` once, then `step` for each frame. After the last one the logits are those of `forward`.

    Attributes:
        streams: whether it can; `begin` and `step` of the others raise NotImplementedError.
    """

    streams = False

    @abstractmethod
    def forward(self, frames_BTCHW: Tensor) -> Tensor:
        """Return the logits (B, K)."""

    @abstractmethod
    def features(self, frames_BTCHW: Tensor) -> Any:
        """Return the numbers that `classify` makes the logits of, first axis B; no part of the head computes them."""

    @abstractmethod
    def classify(self, features: Any) -> Tensor:
        """Return the logits (B, K) of the features."""

    def learned(self, features: Any) -> tuple[Tensor, Tensor]:
        """Return what the loss of training is of: answers (B, S, K), and the share of each, (S,), whose sum is 1.

        By default that is the answer to the whole clip alone.
        """
        logits_BK = self.classify(features)
        return logits_BK[:, None], logits_BK.new_ones(1)

    def begin(self, batch: int) -> State:
        """Return the state before the first frame of `batch` clips."""
        raise NotImplementedError(f"{type(self).__name__} reads a clip as a whole")

    def step(self, images_BCHW: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the logits (B, K) after one more frame of each clip, and the state after it."""
        raise NotImplementedError(f"{type(self).__name__} reads a clip as a whole")
