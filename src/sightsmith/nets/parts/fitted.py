"""Nets of the classical line: features that are computed, and a head whose tensors scikit-learn fits.

They are modules in torch operations like any other net, so they are exported, proved, explained and served without
scikit-learn, and without pickle.

Shapes: N pictures, C channels, H W height and width, D features, K classes, h w cells of the map.
"""

import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sightsmith.core.errors import SettingsError, TrainingError
from sightsmith.core.machine import free_memory
from sightsmith.core.progress import track
from sightsmith.nets.parts.classifier import ClassifierNet
from sightsmith.nets.parts.maps import by_occlusion
from sightsmith.nets.parts.reason import Reason

_BATCH = 256  # Pictures whose features are computed at once
_PIXEL_BYTES = 6  # Of a value of a picture in `fit`: a byte, twice while batches are joined, and a float32
_FEATURE_BYTES = 8  # Of a feature in `fit`: a float32, twice while batches are joined


@dataclass(frozen=True, slots=True)
class Names:
    """Names for sentences: of the features, in order, and of the classes."""

    features: tuple[str, ...]
    classes: tuple[str, ...]


class Extractor(nn.Module):
    """Features of pictures: a module from (N, C, H, W) in 0…1 to (N, D)."""

    HOLDS: ClassVar[str] = ""  # what of the training pictures its tensors hold

    def names(self, classes: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 -- extractors override it
        """Return a name of each feature, in order and different from each other; none if they cannot be told apart."""
        return ()

    def note(self) -> str:
        """Return a sentence that tells how to read the names; empty if they need none."""
        return ""

    def fit(self, images_NCHW: Tensor, targets_N: Tensor, classes: int) -> None:
        """Learn from the training pictures what the features need; most need nothing."""


class FittedModule(nn.Module):
    """A module whose tensors are fitted: their shapes follow from the training data."""

    def keep(self, **tensors: Any) -> None:
        """Set fitted tensors, arrays or tensors by name."""
        for name, values in tensors.items():
            tensor = torch.as_tensor(values)
            tensor = tensor.float() if tensor.is_floating_point() else tensor.long()
            self.register_parameter(name, nn.Parameter(tensor.contiguous(), requires_grad=False))
        self.prepare()

    def prepare(self) -> None:
        """Derive the numbers that the graph needs as constants, after fitting and after loading."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        own = {name: state_dict[prefix + name] for name in self._parameters if prefix + name in state_dict}
        self.keep(**{name: torch.zeros_like(tensor) for name, tensor in own.items()})
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self.prepare()


class Head(FittedModule):
    """From features (N, D) to a score for each class, (N, K): the larger, the likelier."""

    HOLDS: ClassVar[str] = ""  # as of an extractor

    @abstractmethod
    def fit(self, features_ND: Tensor, targets_N: Tensor, names: Names) -> None:
        """Fit the tensors to the features of the training pictures."""

    def reason(self, features_1D: Tensor, names: Names, keys: Sequence[str]) -> Reason | None:  # noqa: ARG002 -- as below
        """Return why one picture got its answer, None if it cannot be read.

        Args:
            keys: of the training pictures, in the order in which `fit` had their features.
        """
        return None

    def sentences(self, names: Names) -> list[str]:  # noqa: ARG002 -- heads that can be read override this
        """Return what was fitted in words, empty if it cannot be read."""
        return []


class Projection(FittedModule):
    """Principal component analysis: features minus their mean, on the directions in which they vary most.

    Source: Pearson, "On lines and planes of closest fit to systems of points in space", 1901.
    """

    def __init__(self, size: int, inputs: int) -> None:
        super().__init__()
        self.size = size
        self.keep(mean_D=torch.zeros(inputs), directions_PD=torch.zeros(size, inputs))
        self.mean_D: Tensor
        self.directions_PD: Tensor

    def fit(self, features_ND: Tensor) -> None:
        from sklearn.decomposition import PCA

        if self.size > min(features_ND.shape):
            raise TrainingError(
                f"net.pca must be at most the features and the training pictures, {min(features_ND.shape)} here, got "
                f"{self.size}."
            )
        found = PCA(self.size, random_state=0).fit(features_ND.numpy())
        self.keep(mean_D=found.mean_, directions_PD=found.components_)

    def forward(self, features_ND: Tensor) -> Tensor:
        return (features_ND - self.mean_D) @ self.directions_PD.T


class FittedNet(ClassifierNet):
    """Features and a fitted head; the class map is by occlusion.

    Args:
        extractors: their features are put one after the other.
        pca: directions that the features are projected on, 0 for none.
        sizes: (channels, height, width) of the pictures.
    """

    def __init__(self, extractors: Iterable[Extractor], head: Head, pca: int, sizes: tuple[int, int, int]) -> None:
        super().__init__()
        self.parts = list(extractors)
        self.extractors, self.head = nn.ModuleList(self.parts), head
        self.requires_grad_(False).eval()
        self.sizes = sizes
        self.projection: nn.Module = Projection(pca, sum(self.counts())) if pca else nn.Identity()

    def train(self, mode: bool = True) -> "FittedNet":  # noqa: ARG002 -- torch's own signature
        """Stay in evaluation mode: nothing here differs while training."""
        return super().train(False)

    def fit(self, images_NCHW: Tensor, targets_N: Tensor, classes: Sequence[str], *, quiet: bool = False) -> None:
        """Fit everything to the training pictures, (N, C, H, W) as `forward` takes them."""
        if len(absent := set(range(len(classes))) - set(targets_N.tolist())):
            raise TrainingError(f"{len(absent)} of the classes have no picture to train on, which this net needs.")
        for extractor in self.parts:
            extractor.fit(images_NCHW, targets_N, len(classes))
        batches: Iterable[Tensor] = track(
            torch.split(images_NCHW, _BATCH), "Features", -(-len(images_NCHW) // _BATCH), quiet=quiet
        )
        features_ND = torch.cat([self.features(batch) for batch in batches])
        if isinstance(self.projection, Projection):
            self.projection.fit(features_ND)
        self.head.fit(self.projection(features_ND), targets_N, self.names(classes))

    def require_memory(self, pictures: int) -> None:
        """Raise SettingsError if `fit` would take more memory than is free for so many pictures."""
        features, free = sum(self.counts()), free_memory()
        need = pictures * (_PIXEL_BYTES * math.prod(self.sizes) + _FEATURE_BYTES * features)
        if need > free:
            raise SettingsError(
                f"train: {pictures:,} pictures of {self.sizes[1]}×{self.sizes[2]} pixels with {features:,} features "
                f"each take at least {need / 2**30:,.1f} GiB of memory at once, and {free / 2**30:,.1f} GiB are free. "
                "Lower --size, choose settings with fewer features (`sightsmith models NET` lists them), or train on "
                "fewer pictures."
            )

    def counts(self) -> list[int]:
        """Return how many features each extractor gives."""
        device = next(self.head.parameters()).device
        with torch.inference_mode():
            return [extractor(torch.zeros(1, *self.sizes, device=device)).shape[1] for extractor in self.parts]

    def names(self, classes: Sequence[str]) -> Names:
        """Return names of the head's inputs, numbered if they have none of their own, and of the classes."""
        if isinstance(self.projection, Projection):
            return Names(tuple(f"component {at + 1}" for at in range(self.projection.size)), tuple(classes))
        found: list[str] = []
        for extractor, count in zip(self.parts, self.counts(), strict=True):
            own = extractor.names(classes)
            found += own or [f"feature {at + 1}" for at in range(len(found), len(found) + count)]
        return Names(tuple(found), tuple(classes))

    def notes(self) -> tuple[str, ...]:
        """Return sentences that tell how to read the names."""
        if isinstance(self.projection, Projection):
            return ("component: a direction of most variation of the features, the first has the most.",)
        return tuple(filter(None, (extractor.note() for extractor in self.parts)))

    def sentences(self, classes: Sequence[str]) -> list[str]:
        """Return what the head learned in words, empty if it cannot be read."""
        return self.head.sentences(self.names(classes))

    def reason(self, images_1CHW: Tensor, classes: Sequence[str], keys: Sequence[str]) -> Reason | None:
        """Return why one picture got its answer, as `Head.reason`."""
        with torch.inference_mode():
            reason = self.head.reason(self.measured(images_1CHW), self.names(classes), keys)
        if reason is None or not reason.steps:
            return reason
        return replace(reason, notes=self.notes(), sentences=(*reason.sentences, *self.notes()))

    def measured(self, images_NCHW: Tensor) -> Tensor:
        """Return the head's inputs (N, D): the features, projected if that was asked for."""
        reduced_ND: Tensor = self.projection(self.features(images_NCHW))
        return reduced_ND

    def features(self, images_NCHW: Tensor) -> Tensor:
        """Return the features (N, D)."""
        return torch.cat([extractor(images_NCHW) for extractor in self.parts], dim=1)

    def classify(self, features_ND: Tensor) -> Tensor:
        """Return a score for each class, (N, K)."""
        return self.head(self.projection(features_ND))

    def with_map(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores (N, K) and by how much each falls when a cell is hidden, (N, K, h, w)."""
        scores_NK = self(images_NCHW)
        mean_NC11 = images_NCHW.mean(dim=(2, 3), keepdim=True)
        return scores_NK, by_occlusion(self, images_NCHW, scores_NK, mean_NC11)

    def head_parts(self) -> tuple[str, ...]:
        return ("head", "projection")
