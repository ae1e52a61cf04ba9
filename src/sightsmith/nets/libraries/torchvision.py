"""The detectors of torchvision by their own names, such as `fasterrcnn_resnet50_fpn_v2`.

Library: https://github.com/pytorch/vision, BSD-3-Clause; it names no licence for the weights, which were trained on
COCO. Papers: Ren et al., "Faster R-CNN", NeurIPS 2015, arXiv:1506.01497; Lin et al., "Focal Loss for Dense Object
Detection" (RetinaNet), ICCV 2017, arXiv:1708.02002; Howard et al., "Searching for MobileNetV3" (SSDLite), ICCV 2019,
arXiv:1905.02244.
Deviations: every layer is trained, and batch normalisation is not frozen, because training may start from random
numbers; group normalisation can replace it. Class 0 of the library, the background, is inside the net alone.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torchvision
from torch import nn
from torchvision.models import detection, get_model
from torchvision.models.detection.ssd import SSD
from torchvision.ops import FrozenBatchNorm2d

from sightsmith.core.errors import SettingsError
from sightsmith.core.settings import from_mapping
from sightsmith.nets.parts.checks import at_least
from sightsmith.nets.parts.detector import DETECTOR
from sightsmith.nets.parts.library_net import parameter_count, with_weights
from sightsmith.nets.parts.records import BuiltNet, NativeInput, NetInfo, describe_settings
from sightsmith.nets.parts.torchvision_net import OneStage, TorchvisionNet, TwoStage
from sightsmith.nets.parts.torchvision_weights import LICENCE, WEIGHTS_LICENCE, fetch, origin, published
from sightsmith.nets.parts.weights import State

_GROUPS = 32  # Most groups of group normalisation, as its paper has them
_FINE_TUNING = {"lr": 1e-4}  # As the library's own recipes for AdamW and 16 pictures in a step


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    norm: Literal["batch", "group"] = "batch"
    """Normalisation: over the batch, or over groups of feature maps of each picture, which suits batches of fewer than
    8 pictures; published weights need that over the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoStageSettings(Settings):
    proposals: int = 300
    """Regions of a picture that the second stage looks at, once trained; more find more objects in more time, and
    memory grows with their square. ≥ 1."""

    learned: int = 128
    """Regions of a picture that the second stage learns from in a step, chosen at random; the time of a step grows with
    them. ≥ 1."""

    def __post_init__(self) -> None:
        at_least("proposals", self.proposals, 1)
        at_least("learned", self.learned, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """What the nets of one paper have in common."""

    paper: str
    settings: type
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def wrap(self, model: nn.Module) -> TorchvisionNet:
        if self.settings is TwoStageSettings:
            return TwoStage(model)
        if isinstance(model, SSD):
            return OneStage(model, softmax=True, head="head.classification_head")
        return OneStage(model, softmax=False, head="head.classification_head.cls_logits")


_FAMILIES = {
    "fasterrcnn": _Family(paper="Ren et al., Faster R-CNN, arXiv:1506.01497", settings=TwoStageSettings),
    "retinanet": _Family(
        paper="Lin et al., Focal Loss for Dense Object Detection, arXiv:1708.02002", settings=Settings
    ),
    "ssdlite320": _Family(
        paper="Howard et al., Searching for MobileNetV3, arXiv:1905.02244",
        settings=Settings,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    ),
}
_SIDES = {"ssdlite320_mobilenet_v3_large": 320, "fasterrcnn_mobilenet_v3_large_320_fpn": 320}  # Of the others 800


def names() -> list[str]:
    return [name for name in torchvision.models.list_models(module=detection) if _family_name(name) in _FAMILIES]


def knows(name: str) -> bool:
    return name in names()


def describe(name: str, *, count: bool = False) -> NetInfo:
    """Describe a net; `count` builds it (without memory for its weights) to count the parameters."""
    family, parameters = _FAMILIES[_family_name(name)], None
    if count:
        parameters = parameter_count(lambda: _library_net(name, len(published(name).meta["categories"])))
    return NetInfo(
        name=name,
        library="torchvision",
        paper=family.paper,
        licence=LICENCE,
        settings=describe_settings(family.settings),
        native=_native(name),
        pretrained=((origin(name), WEIGHTS_LICENCE),),
        parameters=parameters,
        family=DETECTOR,
        fine_tuning=_FINE_TUNING,
    )


def build(
    name: str,
    settings: Mapping[str, Any],
    *,
    channels: int,  # noqa: ARG001 -- grey pictures are shown to the net in colour
    classes: int,
    height: int,  # noqa: ARG001 -- any size will do
    width: int,  # noqa: ARG001
    weights: str = "none",
) -> BuiltNet:
    """Build a net as `nets/build.py` does.

    Raises:
        SettingsError: a setting that the net does not take, or published weights with group normalisation.
        DataError: weights cannot be fetched (the message names the ways out), are damaged or another net's.
    """
    family = _FAMILIES[_family_name(name)]
    wanted: Settings = from_mapping(family.settings, settings, where=name)
    if weights == "pretrained" and wanted.norm != "batch":
        raise SettingsError(
            f"{name}: its published weights need net.norm = 'batch', got {wanted.norm!r}. Leave net.norm out, or use "
            "--weights none."
        )
    options = _regions(wanted) if isinstance(wanted, TwoStageSettings) else {}
    model = _library_net(name, classes + 1, **options)
    _replace_norms(model, wanted.norm)
    module = family.wrap(model)
    return with_weights(module, describe(name), wanted, weights, fetch, _renamed)


def _family_name(name: str) -> str:
    return name.partition("_")[0]


def _native(name: str) -> NativeInput:
    family, side = _FAMILIES[_family_name(name)], _SIDES.get(name, 800)
    return NativeInput(side, side, family.mean, family.std, 1.0, "bilinear")


def _library_net(name: str, outputs: int, **options: Any) -> nn.Module:
    net: nn.Module = get_model(name, weights=None, weights_backbone=None, num_classes=outputs, **options)
    return net


def _regions(settings: TwoStageSettings) -> dict[str, Any]:
    """Return the library's names of the settings; no region is left out for a low score."""
    return {
        "rpn_pre_nms_top_n_test": settings.proposals,
        "rpn_post_nms_top_n_test": settings.proposals,
        "rpn_score_thresh": 0.0,
        "box_batch_size_per_image": settings.learned,
    }


def _replace_norms(module: nn.Module, norm: str) -> None:
    """Replace frozen batch normalisation by one that learns, or any by group normalisation."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d | FrozenBatchNorm2d):
            count, eps = child.weight.numel(), child.eps
            if norm == "group":
                setattr(module, name, nn.GroupNorm(math.gcd(_GROUPS, count), count, eps))
            elif isinstance(child, FrozenBatchNorm2d):
                setattr(module, name, nn.BatchNorm2d(count, eps))
        else:
            _replace_norms(child, norm)


def _renamed(state: State) -> tuple[State, tuple[str, ...]]:
    """Rename the tensors of weights that the library published before 2022, which have a level less."""
    rules = (
        (r"^(rpn\.head\.conv)\.(weight|bias)$", r"\1.0.0.\2"),
        (r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$", r"\1.0.\2"),
    )
    renamed = {}
    for key, value in state.items():
        for pattern, new in rules:
            key = re.sub(pattern, new, key)
        # every second layer was an activation of its own
        key = re.sub(r"^(head\.\w+_head\.conv)\.(\d+)\.(weight|bias)$", _halved, key)
        renamed[key] = value
    return renamed, ()


def _halved(found: re.Match[str]) -> str:
    return f"{found[1]}.{int(found[2]) // 2}.0.{found[3]}"
