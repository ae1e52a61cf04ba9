"""What a method explains: a model in whatever backend, and its net in PyTorch for the methods that need gradients.

Shapes: N inputs, H W C height, width and channels of the net's input, K classes, h w a map's height and width.
"""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.errors import BackendError
from sightsmith.inputs.picture import PIXELS
from sightsmith.kinds.parts.aspects import Aspect
from sightsmith.runtime.backends import torch as torch_backend
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.session import default_batch

if TYPE_CHECKING:
    from sightsmith.explanation.gradients import TorchNet


class Subject:
    """A model as the methods see it.

    Attributes:
        predictor: the model; a net given beside it answers in its place.
    """

    def __init__(self, predictor: Predictor, net: "TorchNet | None" = None) -> None:
        self.predictor = predictor
        self._net = net

    def scores(self, pixels_NHWC: NDArray[np.uint8], aspect: Aspect) -> NDArray[np.float32]:
        """Return the score (N,) of an aspect for many inputs, a batch at a time."""
        step = default_batch(self.predictor.definition.graph.inputs)
        batches = (pixels_NHWC[at : at + step] for at in range(0, len(pixels_NHWC), step))
        if self._net is not None:
            return np.concatenate([self._net.answers(batch_NHWC)[0][:, aspect.index] for batch_NHWC in batches])
        feeds = ({PIXELS: batch_NHWC} for batch_NHWC in batches)
        outputs = self.predictor.stream(feeds, self.predictor.outputs[:1])
        return np.concatenate([self.predictor.kind.scores_of(self.predictor.decode(one), aspect) for one in outputs])

    def evidence(self, pixels_HWC: NDArray[np.uint8], aspect: Aspect) -> NDArray[np.float32]:
        """Return the evidence for an aspect at each position of one input, (h, w), that the graph itself gives.

        Raises:
            SettingsError: the model has no such output.
        """
        if self._net is not None:
            maps_Khw = self._net.answers(pixels_HWC[None])[1][0]
            return maps_Khw[aspect.index] - (maps_Khw.mean(axis=0) if len(maps_Khw) > 1 else 0)
        kind, outputs = self.predictor.kind, self.predictor.outputs
        feeds = {PIXELS: pixels_HWC[None]}
        (answer,) = self.predictor.decode(self.predictor.run(feeds, (outputs[0], kind.EVIDENCE)))
        evidence_hw: NDArray[np.float32] = kind.evidence_of(answer, aspect)
        return evidence_hw

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
