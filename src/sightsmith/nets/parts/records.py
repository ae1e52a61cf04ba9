"""What is known of a net before it is built, and of its weights once it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sightsmith.nets.parts.classifier import ClassifierNet


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """One setting of a net.

    Attributes:
        name: its key.
        default: the value it has where none is given.
        help: what it does, in a sentence.
    """

    name: str
    default: Any
    help: str


@dataclass(frozen=True, slots=True)
class NativeInput:
    """The input that a net's published weights were trained on.

    Attributes:
        height: in pixels.
        width: in pixels.
        mean: of each channel, pixels scaled to 0…1.
        std: of each channel, pixels scaled to 0…1.
        crop_fraction: the share of the largest fitting box that is kept, in (0, 1].
        interpolation: "bilinear" or "bicubic".
        fixed: the net must be built for one size (it is for any size where false).
    """

    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_fraction: float
    interpolation: str
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class NetInfo:
    """What is known of a net by its name.

    Attributes:
        name: what `build_net` takes.
        library: "sightsmith", or the library of published nets that it comes from.
        paper: the paper, as a title or an arXiv number; empty where the library names none.
        licence: of the code.
        settings: what can be set.
        native: the input of its published weights, None for a net without.
        pretrained: published weights by name with their licence, best first; empty where there are none.
        parameters: how many, with the published number of classes (our own nets: 10 classes of 32×32 RGB); None in
            a listing, where nothing is built.
    """

    name: str
    library: str
    paper: str
    licence: str
    settings: tuple[SettingInfo, ...] = ()
    native: NativeInput | None = None
    pretrained: tuple[tuple[str, str], ...] = ()
    parameters: int | None = None


@dataclass(frozen=True, slots=True)
class WeightsRecord:
    """Where the weights that training starts from come from.

    Attributes:
        origin: "none" (random), a published name such as `timm/resnet18.a1_in1k`, or the file's name.
        licence: of the weights; "not stated" where nobody says, "none" for random ones.
        sha256: of the file, in hexadecimal; empty for random ones.
        notes: what was left out or adapted, in sentences for people; nothing is dropped silently.
        new_head: whether the classifier starts from random numbers.
    """

    origin: str
    licence: str
    sha256: str = ""
    notes: tuple[str, ...] = ()
    new_head: bool = True


RANDOM_WEIGHTS = WeightsRecord(origin="none", licence="none")
"""The record of a net that starts from random numbers."""


@dataclass(frozen=True, slots=True)
class BuiltNet:
    """A net, and what its bundle needs to know of it.

    Attributes:
        module: the net itself, in training mode.
        name: what rebuilds it.
        settings: all its settings; with these, the same sizes and `weights="none"` an identical module is built.
        paper: the paper it implements.
        licence: of the code.
        weights: where its weights come from.
        native: the input that its published weights expect, None for a net without.
    """

    module: ClassifierNet
    name: str
    settings: Mapping[str, Any]
    paper: str
    licence: str
    weights: WeightsRecord
    native: NativeInput | None = None
