"""The base of every net that finds objects: from a picture to boxes with scores and labels.

Shapes: B batch, C channels, H W height and width of the input, M objects of a picture's truth, K candidates.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from sightsmith.nets.parts.headed import HeadedNet

DETECTOR = "detector"  # The family's name
CANDIDATES = 1000  # Most candidates of a picture


class DetectorNet(HeadedNet):
    """A detector. It has its own loss, because how boxes are assigned to outputs is part of the architecture.

    Inputs are normalised floats; boxes are (left, top, right, bottom) in pixels of the input.

    Attributes:
        suppresses: whether an object gets several boxes, so that non-maximum suppression must follow.
        stride: pixels of the input that a position of the coarsest map stands for.
    """

    suppresses: bool = True
    stride: int = 32

    @abstractmethod
    def losses(self, images_BCHW: Tensor, targets_BM6: Tensor, step: int) -> dict[str, Tensor]:
        """Return the parts of the training loss by name, each a scalar; their sum is lowered.

        Args:
            targets_BM6: (left, top, right, bottom, label, ignored) of each object; rows with the label -1 fill up.
            step: steps that were made before, for nets that assign boxes otherwise at first.
        """

    @abstractmethod
    def detect(self, images_BCHW: Tensor) -> Tensor:
        """Return the candidates, best first, (B, K, 6): (left, top, right, bottom, score 0…1, label).

        K is the same for every picture, at most `CANDIDATES`; free places have the score 0. Nothing is suppressed, if
        the net needs non-maximum suppression: the kind of answer does that.
        """

    def forward(self, images_BCHW: Tensor) -> Tensor:
        return self.detect(images_BCHW)

    def resting_modules(self) -> Iterator[nn.Module]:
        """Yield the batch norms of the backbone: the others of its parts may compute losses in training mode alone."""
        backbone = {id(parameter) for parameter in self.backbone_parameters()}
        for module in self.modules():
            own = {id(parameter) for parameter in module.parameters(recurse=False)}
            # torch has no public name for all batch norms
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and not own.isdisjoint(backbone):
                yield module


def in_colour(images_BCHW: Tensor) -> Tensor:
    """Return pictures with three channels, for nets that take no grey ones."""
    return images_BCHW if images_BCHW.shape[1] == 3 else images_BCHW.expand(-1, 3, -1, -1)


def objects_to_learn(targets_M6: Tensor) -> Tensor:
    """Return the objects of a picture without filling, ignored and empty ones."""
    sides_M2 = targets_M6[:, 2:4] - targets_M6[:, :2]
    return targets_M6[(targets_M6[:, 4] >= 0) & (targets_M6[:, 5] == 0) & (sides_M2 > 0).all(dim=1)]


def answer_in_float32(layer: nn.Module) -> None:
    """Let a layer give float32 in half precision too: the 8 bits of a bfloat16 are too few to compute boxes."""
    layer.register_forward_hook(lambda module, inputs, found: _as_float32(found))  # noqa: ARG005 -- as torch calls it


def _as_float32(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: one.float() for name, one in found.items()}
    return tuple(map(_as_float32, found)) if isinstance(found, tuple | list) else found.float()
