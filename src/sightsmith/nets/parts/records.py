"""Records of a net before it is built, and of its weights afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from torch import nn

from sightsmith.core.settings import field_docs

CLASSIFIER = "classifier"  # Family of a net whose file names none
_TASKS: dict[str, str | None] = {
    CLASSIFIER: None,
    "detector": "detect",
    "clip_classifier": "classify_clips",
}  # By family; others bear the name of their task
ONLY_ROLE = "net"  # Role of a net whose file names none


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """One setting of a net."""

    name: str  # its key
    default: Any
    help: str  # its effect, in a sentence


@dataclass(frozen=True, slots=True)
class NativeInput:
    """The input that a net's published weights were trained on."""

    height: int  # in pixels
    width: int  # in pixels
    mean: tuple[float, ...]  # of each channel, pixels scaled to 0…1
    std: tuple[float, ...]  # of each channel, pixels scaled to 0…1
    crop_fraction: float  # the share of the largest fitting box that is kept, in (0, 1]
    interpolation: str  # "bilinear" or "bicubic"
    fixed: bool = False  # whether the net needs this size; else it accepts any


@dataclass(frozen=True, slots=True)
class NetInfo:
    """Facts of a net by its name."""

    name: str  # argument of `build_net`
    library: str  # "sightsmith", or the library of published nets that it comes from
    paper: str  # the paper, as a title or an arXiv number; empty if the library names none
    licence: str  # of the code
    settings: tuple[SettingInfo, ...] = ()
    native: NativeInput | None = None  # the input of its published weights, None for a net without
    # published weights by name with their licence, best first; empty if there are none
    pretrained: tuple[tuple[str, str], ...] = ()
    # with the published number of classes (our own nets: 10 classes of 32×32 RGB); None in a listing, in which
    # nothing is built
    parameters: int | None = None
    fitted: bool = False  # whether it is fitted in one step, not trained by gradient descent
    family: str = CLASSIFIER  # the tasks that train such nets name it for their roles
    roles: tuple[str, ...] = (ONLY_ROLE,)  # of its parts, each built by itself
    # settings of a training that suit the net, by name; they come before those that its task chooses
    recipe: Mapping[str, Any] = field(default_factory=dict)
    # likewise if it starts from trained weights; they come before those of `recipe`
    fine_tuning: Mapping[str, Any] = field(default_factory=dict)

    @property
    def own_task(self) -> str | None:
        """The task that trains it, None for a classifier, which many train."""
        return _TASKS.get(self.family, self.family)


@dataclass(frozen=True, slots=True)
class WeightsRecord:
    """Origin of the weights that training starts from."""

    origin: str  # "none" (random), a published name such as `timm/resnet18.a1_in1k`, or the file's name
    licence: str  # of the weights; "not stated" if unknown, "none" for random weights
    sha256: str = ""  # of the file, in hexadecimal; empty for random ones
    notes: tuple[str, ...] = ()  # sentences about weights that were skipped or adapted
    new_head: bool = True  # whether the classifier starts from random numbers
    random_backbone: bool = False  # whether a part before the head does


RANDOM_WEIGHTS = WeightsRecord(origin="none", licence="none", random_backbone=True)
"""The record of a net that starts from random numbers."""


@dataclass(frozen=True, slots=True)
class BuiltNet:
    """A net with the facts that its bundle records."""

    module: nn.Module  # the net itself, in training mode; a ClassifierNet if its family is `classifier`
    name: str  # rebuilds it, with `settings`
    # all its settings; with these, the same sizes and `weights="none"` an identical module is built
    settings: Mapping[str, Any]
    paper: str  # the paper it implements
    licence: str  # of the code
    weights: WeightsRecord  # origin of its weights
    native: NativeInput | None = None  # the input that its published weights expect, None for a net without
    fitted: bool = False  # whether it is fitted in one step, not trained by gradient descent
    holds: str = ""  # what of the training pictures its fitted tensors hold; empty if nothing


@cache
def describe_settings(cls: type) -> tuple[SettingInfo, ...]:
    """Return each setting of a dataclass with its default and its docstring."""
    docs = field_docs(cls)
    return tuple(SettingInfo(field.name, field.default, docs.get(field.name, "")) for field in fields(cls))
