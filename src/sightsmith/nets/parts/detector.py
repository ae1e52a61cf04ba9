"""The base of every net that finds objects: from a picture to boxes with scores and labels.

Shapes: B batch, C channels, H W height and width of the input, M objects of a picture's truth, K candidates.
"""

from abc import abstractmethod

from torch import Tensor

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
