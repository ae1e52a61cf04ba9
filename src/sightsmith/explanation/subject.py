"""The subject of an explanation: a model in any backend, and its net in PyTorch for methods that need gradients.

Shapes: N inputs, H W C height, width and channels of the net's input, h w a map's height and width. An input is a
picture, (H, W, C), or a clip of T frames, (T, H, W, C).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import BackendError, SettingsError
from sightsmith.inputs import INPUTS
from sightsmith.kinds.parts.answer import Aspect
from sightsmith.nets.parts.reason import Reason
from sightsmith.runtime.backends import torch as torch_backend
from sightsmith.runtime.runner import Runner
from sightsmith.runtime.session import default_batch

if TYPE_CHECKING:
    from torch import nn

    from sightsmith.explanation.gradients import TorchNet


class Subject:
    """A model as the methods see it.

    Attributes:
        runner: the model.
        bundle: its bundle.
    """

    def __init__(self, runner: Runner, bundle: Bundle, nets: "Mapping[str, nn.Module] | None" = None) -> None:
        self.runner, self.bundle, self._nets = runner, bundle, nets

    @property
    def array(self) -> str:
        """Name of the array of the input that is explained."""
        name: str = INPUTS.module(self.runner.definition.input).VARIED
        return name

    def scores(self, inputs: Iterable[NDArray[np.uint8]], aspect: Aspect) -> NDArray[np.float32]:
        """Return the score (N,) of an aspect for many inputs, a batch at a time."""
        return self._each(inputs, lambda answer: answer.score_of(aspect))

    def strengths(self, inputs: Iterable[NDArray[np.uint8]], aspect: Aspect) -> NDArray[np.float32]:
        """Return the strength (N,) of an aspect, in the kind's unit, for many inputs, a batch at a time."""
        return self._each(inputs, lambda answer: answer.strength_of(aspect))

    def _each(self, inputs: Iterable[NDArray[np.uint8]], of: Callable[[Any], float]) -> NDArray[np.float32]:
        batches = _stacked(inputs, default_batch(self.runner.definition.graph.inputs))
        outputs = self.runner.stream(({self.array: batch} for batch in batches), self.runner.outputs[:1])
        return np.array([of(answer) for one in outputs for answer in self.runner.decode(one)], np.float32)

    def evidence(self, pixels_HWC: NDArray[np.uint8], aspect: Aspect) -> NDArray[np.float32]:
        """Return the evidence for an aspect at each position of one input, (h, w), that the graph itself gives.

        Raises SettingsError: the model has no such output.
        """
        if self.runner.kind.EVIDENCE is None:
            raise SettingsError(
                f"answers of the kind {self.runner.definition.kind} come without a map of their own. Use "
                f"{self.runner.kind.METHOD} or occlusion."
            )
        outputs = (self.runner.outputs[0], self.runner.kind.EVIDENCE)
        (answer,) = self.runner.decode(self.runner.run({self.array: pixels_HWC[None]}, outputs))
        evidence_hw: NDArray[np.float32] = answer.evidence(aspect.index)
        return evidence_hw

    @cached_property
    def net(self) -> "TorchNet":
        """The net in PyTorch, fp32, rebuilt from the bundle's weights.

        Raises:
            BackendError: PyTorch is not installed.
            SettingsError: the model is no classifier.
        """
        reason = torch_backend.missing()
        if reason is not None:
            raise BackendError(f"this method needs PyTorch: {reason}. class_map and occlusion work without it.")
        from sightsmith.explanation.gradients import TorchNet

        return TorchNet.of(self.bundle, self._nets)

    def reason(self, pixels: NDArray[np.uint8]) -> Reason | None:
        """Return why one input got its answer; None for nets that cannot be read, or without PyTorch."""
        if not self.bundle.manifest.net.fitted or torch_backend.missing() is not None:
            return None
        return self.net.reason(pixels, self.runner.definition.names, self.bundle.splits()["train"])

    def randomised(self, seed: int) -> "Subject":
        """Return the same model in PyTorch with its weights drawn anew."""
        from sightsmith.explanation.gradients import randomised_nets, runner_of

        nets = randomised_nets(self.bundle, seed)
        return Subject(runner_of(self.bundle, nets), self.bundle, nets)


def _stacked(inputs: Iterable[NDArray[np.uint8]], most: int) -> Iterator[NDArray[np.uint8]]:
    left = iter(inputs)
    while batch := list(islice(left, most)):
        yield np.stack(batch)
