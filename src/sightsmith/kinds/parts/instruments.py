"""What a kind of answer measures with besides the answers and the truths: other nets, and what training saw.

Shapes: N pictures, H W C height, width and channels, D features.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.counts import first_few
from sightsmith.core.errors import SettingsError

_NAMED = 8  # Classes listed in a message

Pixels = NDArray[np.uint8]  # (H, W, C) of one picture, C is 1 or 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureNet:
    """A net whose features are measured."""

    name: str  # stands beside every figure
    sha256: str  # of its weights; figures of other weights do not compare
    about: str  # a sentence on its licence and its training
    features_of: Callable[[Iterable[Pixels]], NDArray[np.float32]]  # from N pictures of any size to (N, D)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recogniser:
    """A trained model that says what is in a picture."""

    name: str
    definition: str  # digest of its definition
    kind: str  # of its answers
    names: tuple[str, ...]  # that it tells apart
    answers: Callable[[Sequence[Pixels]], list[Any]]  # its answers to N pictures


class Distributions(Protocol):
    """The distributions of the latents of N pictures."""

    @property
    def mean_ND(self) -> NDArray[np.float32]: ...
    @property
    def kl_ND(self) -> NDArray[np.float32]: ...  # from N(0, 1), in nats


class Coder(Protocol):
    """An encoder and the decoder of its latents; targets are the classes of the pictures, none without classes."""

    def encode(self, pictures: Sequence[Pixels], targets: Sequence[int]) -> Distributions: ...
    def decode(self, latents_ND: NDArray[np.float32], targets: Sequence[int]) -> Iterable[Pixels]: ...


def require_names(recogniser: Recogniser, names: Sequence[str]) -> None:
    """Raise SettingsError if a model cannot tell whether pictures are of the classes that were asked for, by name."""
    if not names:
        raise SettingsError(
            "classifier: the model cannot be asked for a class, so none can be recognised. Leave it out."
        )
    if recogniser.kind != "labels":
        raise SettingsError(
            f"classifier: {recogniser.name} answers with {recogniser.kind}, and one class a picture is needed. Name a "
            "bundle of the task classify."
        )
    missing = [name for name in names if name not in recogniser.names]
    if missing:
        raise SettingsError(
            f"classifier: {recogniser.name} does not know {first_few([*map(repr, missing)], _NAMED)}, which the model "
            "can be asked for. Name one that was trained on all of its classes."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruments:
    """What `measure` of a kind with `truth_of` is given; none of it has to be at hand."""

    trained: Sequence[Any] = ()  # the truths of the training samples, if the data is the model's own
    asked: Sequence[int] = ()  # the target of each sample, which the model was asked for if it knows names
    features: FeatureNet | None = None  # None for the kind's own
    recogniser: Recogniser | None = None
    make: Callable[[Sequence[Any]], list[Any]] | None = None  # the model's answers to other items
    coder: Coder | None = None  # of a model that has an encoder
    no_coder: str = ""  # why it is not at hand, if the model has one


NO_INSTRUMENTS = Instruments()
