"""The net of a bundle in PyTorch, for the methods that look inside it. Imports torch.

Shapes: B batch, H W C height, width and channels of the input, D features, h w height and width of the last feature
map, K classes.
"""

import copy
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import SettingsError
from sightsmith.nets.parts.classifier import ClassifierNet
from sightsmith.runtime.torch_session import rebuild
from sightsmith.tasks.parts.normalise import Normalise


@dataclass(frozen=True, slots=True)
class TorchNet:
    """A net and what its input must go through.

    Attributes:
        net: in evaluation mode, fp32, on the CPU.
        name: the net's name.
        normalise: from pixels 0…255 to the net's input.
    """

    net: ClassifierNet
    name: str
    normalise: nn.Module

    @classmethod
    def of(cls, bundle: Bundle) -> Self:
        net = rebuild(bundle)["net"].requires_grad_(False)
        return cls(net, bundle.manifest.net.name, Normalise(bundle.manifest.definition.input_settings))

    def images(self, pixels_BHWC: NDArray[np.uint8]) -> Tensor:
        """Return the normalised input, (B, C, H, W) float32."""
        images_BCHW: Tensor = self.normalise(torch.tensor(pixels_BHWC))
        return images_BCHW

    def last_map(self, pixels_HWC: NDArray[np.uint8], class_index: int) -> tuple[Tensor, Tensor]:
        """Return the last feature map of one input and its gradient of the class's score, both (D, h, w).

        The score is the class's logit above the mean of all logits: softmax ignores what they share.

        Raises:
            SettingsError: the net has no single last feature map, or its answer does not depend on the map.
        """
        features = self.net.features(self.images(pixels_HWC[None]))
        if not isinstance(features, Tensor):
            raise SettingsError(self._no_map("keeps features of several scales"))
        features = features.detach().requires_grad_(True)
        logits_BK = self.net.classify(features)
        (slope,) = torch.autograd.grad(_above_mean(logits_BK, class_index).sum(), features)
        try:
            map_BDhw, slope_BDhw = self.net.as_map(features.detach()), self.net.as_map(slope)
        except RuntimeError as error:
            raise SettingsError(self._no_map("its last features do not lie on a grid")) from error
        if map_BDhw.ndim != 4 or not slope_BDhw.any():
            raise SettingsError(self._no_map("its answer does not depend on the positions of its last features"))
        return map_BDhw[0], slope_BDhw[0]

    def score(self, images_BCHW: Tensor, class_index: int) -> Tensor:
        """Return the class's logit above the mean of all logits, (B,)."""
        return _above_mean(self.net(images_BCHW), class_index)

    def answers(self, pixels_NHWC: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the probabilities (N, K), without temperature, and the class maps (N, K, h, w) of many inputs."""
        with torch.no_grad():
            logits_NK, map_NKhw = self.net.with_map(self.images(pixels_NHWC))
        return logits_NK.softmax(dim=1).numpy(), map_NKhw.numpy()

    def randomised(self, seed: int) -> Self:
        """Return the same architecture with its weights drawn anew."""
        net = copy.deepcopy(self.net)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for module in net.modules():
                reset = getattr(module, "reset_parameters", None)
                if callable(reset):
                    reset()
        return type(self)(net, self.name, self.normalise)

    def _no_map(self, why: str) -> str:
        return f"{self.name}: {why}, which this method needs. Use class_map, occlusion or integrated_gradients."


def _above_mean(logits_BK: Tensor, class_index: int) -> Tensor:
    return logits_BK[:, class_index] - logits_BK.mean(dim=1)
