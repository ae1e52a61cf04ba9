"""What a method explains: a model in whatever backend, and its net in PyTorch for the methods that need gradients.

Shapes: N inputs, H W C height, width and channels of the net's input, K classes, h w a map's height and width.
"""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.errors import BackendError
from sightsmith.inputs.picture import PIXELS
from sightsmith.runtime.backends import torch as torch_backend
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.session import default_batch

if TYPE_CHECKING:
    from sightsmith.explanation.gradients import TorchNet

CLASS_MAP = "class_map"


class Subject:
    """A model as the methods see it.

    Attributes:
        predictor: the model; a net given beside it answers in its place.
    """

    def __init__(self, predictor: Predictor, net: "TorchNet | None" = None) -> None:
        self.predictor = predictor
        self._net = net

    def probabilities(self, pixels_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities (N, K) of many inputs, a batch at a time."""
        step = default_batch(self.predictor.definition.graph.inputs)
        batches = (pixels_NHWC[at : at + step] for at in range(0, len(pixels_NHWC), step))
        if self._net is not None:
            return np.concatenate([self._net.answers(batch_NHWC)[0] for batch_NHWC in batches])
        feeds = ({PIXELS: batch_NHWC} for batch_NHWC in batches)
        answers = map(self.predictor.decode, self.predictor.stream(feeds, self.predictor.outputs[:1]))
        return np.stack([answer.scores_K for batch in answers for answer in batch])

    def class_maps(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the class maps (K, h, w) of one input, in logits.

        Raises:
            SettingsError: the model has no such output.
        """
        if self._net is not None:
            return self._net.answers(pixels_HWC[None])[1][0]
        maps_Khw: NDArray[np.float32] = self.predictor.run({PIXELS: pixels_HWC[None]}, (CLASS_MAP,))[CLASS_MAP][0]
        return maps_Khw

    @cached_property
    def net(self) -> "TorchNet":
        """The net in PyTorch, fp32, rebuilt from the bundle's weights.

        Raises:
            BackendError: PyTorch is not installed.
        """
        if self._net is not None:
            return self._net
        reason = torch_backend.missing()
        if reason is not None:
            raise BackendError(f"this method needs PyTorch: {reason}. class_map and occlusion work without it.")
        from sightsmith.explanation.gradients import TorchNet

        return TorchNet.of(self.predictor.bundle)

    def randomised(self, seed: int) -> "Subject":
        """Return the same model with the weights of its PyTorch net drawn anew."""
        return Subject(self.predictor, self.net.randomised(seed))
