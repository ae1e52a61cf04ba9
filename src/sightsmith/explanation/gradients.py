"""The net of a bundle in PyTorch, for the methods that look inside it. Imports torch.

Shapes: B batch, H W C height, width and channels of the input, of a clip with the T frames in front, D features, h w
height and width of the last feature map.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import SettingsError
from sightsmith.kinds.parts.answer import Aspect
from sightsmith.nets.parts.classifier import ClassifierNet
from sightsmith.nets.parts.clip_classifier import ClipNet
from sightsmith.nets.parts.fitted import FittedNet
from sightsmith.nets.parts.reason import Reason
from sightsmith.runtime.runner import Runner
from sightsmith.runtime.torch_session import TorchSession, rebuild
from sightsmith.tasks import TASKS
from sightsmith.tasks.parts.normalise import Normalise


@dataclass(frozen=True, slots=True)
class TorchNet:
    """A net with its normalisation and score."""

    net: ClassifierNet | ClipNet  # in evaluation mode, fp32, on the CPU
    name: str  # the net's name
    normalise: nn.Module  # from pixels 0…255 to the net's input
    score_of: Callable[[Tensor, Aspect], Tensor]  # the task's score of an aspect, from the net's answers (B, …) to (B,)

    @classmethod
    def of(cls, bundle: Bundle, nets: Mapping[str, nn.Module] | None = None) -> Self:
        manifest = bundle.manifest
        net = (nets or rebuild(bundle))["net"].requires_grad_(False)
        if not isinstance(net, ClassifierNet | ClipNet):
            raise SettingsError(
                f"{manifest.net.name}: this method looks inside classifiers alone. Use drise or occlusion."
            )
        settings = manifest.definition.input_settings
        normalise = Normalise(getattr(settings, "picture", settings))
        return cls(net, manifest.net.name, normalise, TASKS.module(manifest.task.name).score)

    @property
    def classifier(self) -> ClassifierNet:
        """The net, if it reads pictures. Raises SettingsError: it reads clips."""
        if not isinstance(self.net, ClassifierNet):
            raise SettingsError(self._no_map("reads clips, and has no map of one picture"))
        return self.net

    def images(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Return the normalised input, (B, C, H, W) float32, of clips (B, T, C, H, W)."""
        images: Tensor = self.normalise(torch.tensor(pixels))
        return images

    def last_map(self, pixels_HWC: NDArray[np.uint8], aspect: Aspect) -> tuple[Tensor, Tensor]:
        """Return the last feature map of one input and its gradient of the aspect's score, both (D, h, w).

        Raises SettingsError: the net has no single last feature map, or its answer does not depend on the map.
        """
        net = self.classifier
        features = net.features(self.images(pixels_HWC[None]))
        if not isinstance(features, Tensor):
            raise SettingsError(self._no_map("keeps features of several scales"))
        if features.ndim < 3:
            raise SettingsError(self._no_map("its last features are no grid"))
        features = features.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(self.score_of(net.classify(features), aspect).sum(), features)
        try:
            map_BDhw, slope_BDhw = net.as_map(features.detach()), net.as_map(slope)
        except RuntimeError as error:
            raise SettingsError(self._no_map("its last features are no grid")) from error
        if map_BDhw.ndim != 4 or not slope_BDhw.any():
            raise SettingsError(self._no_map("its answer does not depend on the positions of its last features"))
        return map_BDhw[0], slope_BDhw[0]

    def score(self, images: Tensor, aspect: Aspect) -> Tensor:
        """Return the aspect's score, (B,). Raises SettingsError: it has no gradient by the input, as that of a tree."""
        score_B = self.score_of(self.net(images), aspect)
        if images.requires_grad and not score_B.requires_grad:
            raise SettingsError(f"{self.name}: its answer has no gradient. Use class_map or occlusion.")
        return score_B

    def reason(self, pixels_HWC: NDArray[np.uint8], names: Sequence[str], keys: Sequence[str]) -> Reason | None:
        """Return why one input got its answer, if the net was fitted and can be read."""
        net = self.net
        return net.reason(self.images(pixels_HWC[None]), names, keys) if isinstance(net, FittedNet) else None

    def measured(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the features (D,) of one input by which a fitted net compares pictures."""
        if not isinstance(self.net, FittedNet):
            raise TypeError(f"{self.name} is not fitted in one step")
        with torch.inference_mode():
            return self.net.measured(self.images(pixels_HWC[None]))[0].numpy()

    def _no_map(self, why: str) -> str:
        return f"{self.name}: {why}, which this method needs. Use class_map, occlusion or integrated_gradients."


def randomised_nets(bundle: Bundle, seed: int) -> dict[str, nn.Module]:
    """Return the nets of a bundle by role, with new random weights."""
    nets = rebuild(bundle)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in (module for net in nets.values() for module in net.modules()):
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
    return nets


def runner_of(bundle: Bundle, nets: Mapping[str, nn.Module]) -> Runner:
    """Return a runner of copies of other nets in place of the bundle's own, in fp32."""
    definition, task = bundle.manifest.definition, bundle.manifest.task.name
    graph = next(iter(definition.graphs))
    # copies, because a session moves its nets to the graphics card and turns off their gradients
    return Runner(definition, {graph: TorchSession(task, copy.deepcopy(dict(nets)), definition, "fp32", graph=graph)})
