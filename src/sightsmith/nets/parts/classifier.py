"""The base of every net that classifies: from a picture to a logit for each class, and a map of its evidence.

Shapes: B batch, C channels, H W height and width of the input, D features, h w height and width of the last feature
map, K classes.
"""

from abc import abstractmethod

from torch import Tensor

from sightsmith.nets.parts.headed import HeadedNet
from sightsmith.nets.parts.maps import by_position


class ClassifierNet(HeadedNet):
    """A classifier made of a backbone (`features`) and a head (`classify`); it knows no task.

    A net gives `features`, `classify` and `head_parts`; the rest follows. Inputs are normalised floats.
    """

    @abstractmethod
    def features(self, images_BCHW: Tensor) -> Tensor:
        """Return the last features, (B, D, h, w) unless the net overrides `class_map` too."""

    @abstractmethod
    def classify(self, features_BDhw: Tensor) -> Tensor:
        """Return the logits (B, K) of the last features."""

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the logits (B, K)."""
        return self.classify(self.features(images_BCHW))

    def head_input(self, images_BCHW: Tensor) -> Tensor:
        """Return what the first part of the head is given, (B, D): of a map the mean over its positions."""
        seen: list[Tensor] = []
        first = self.get_submodule(self.head_parts()[0])
        with first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])):
            self(images_BCHW)
        return seen[0] if seen[0].ndim == 2 else seen[0].flatten(2).mean(dim=2)

    def with_map(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (B, K) of `forward` and the class map (B, K, h, w), from one pass of the backbone."""
        features_BDhw = self.features(images_BCHW)
        return self.classify(features_BDhw), self.class_map(features_BDhw)

    def class_map(self, features_BDhw: Tensor) -> Tensor:
        """Return each class's evidence at each position, (B, K, h, w), in logits.

        This is the head applied to every position alone. Under a head of average pooling and one linear layer it is
        the class activation map (Zhou et al., CVPR 2016, arXiv:1512.04150), and its mean over the positions is the
        logits.
        """
        return by_position(self.classify, features_BDhw)

    def as_map(self, features: Tensor) -> Tensor:
        """Return the last features, or their gradient, laid out as (B, D, h, w)."""
        return features

    def attention(self, images_BCHW: Tensor) -> Tensor | None:  # noqa: ARG002 -- nets that attend override this
        """Return the attention of each position, (B, h, w) ≥ 0, sum 1; None for a net without attention."""
        return None
