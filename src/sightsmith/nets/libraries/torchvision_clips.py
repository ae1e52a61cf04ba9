"""The nets of torchvision for clips by their own names, such as `r3d_18`.

Library: https://github.com/pytorch/vision, BSD-3-Clause; it names no licence for the weights, which were trained on
Kinetics-400. Papers: Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018,
arXiv:1711.11248 (R3D, MC3, R(2+1)D); Xie et al., "Rethinking Spatiotemporal Feature Learning" (S3D), ECCV 2018,
arXiv:1712.04851; Liu et al., "Video Swin Transformer", CVPR 2022, arXiv:2106.13230.
Deviations, so that clips of any length ≥ 1 are taken: the last pooling of S3D is a mean over all positions (theirs over
windows of 2×7×7, which is the same at 224×224 with up to 16 frames), and the pooling before does not drop the last one
of an odd number of maps; Swin is computed as in `parts/swin3d.py`, with the same numbers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it
from torchvision.models import get_model

from sightsmith.core.settings import from_mapping
from sightsmith.nets.parts.checks import smallest_input
from sightsmith.nets.parts.clip_classifier import CLIP_CLASSIFIER, ClipNet
from sightsmith.nets.parts.library_net import parameter_count, with_weights
from sightsmith.nets.parts.records import BuiltNet, NativeInput, NetInfo, describe_settings
from sightsmith.nets.parts.swin3d import swin3d
from sightsmith.nets.parts.torchvision_weights import LICENCE, WEIGHTS_LICENCE, fetch, origin, published


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """These nets have no settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Net:
    """The facts of a net that the library does not give."""

    paper: str
    make: Callable[[str, int], nn.Module]  # from its name and the number of classes
    head: str = "fc"  # name of the last layer
    least: int = 1  # pixels along a side


def _plain(name: str, outputs: int) -> nn.Module:
    net: nn.Module = get_model(name, weights=None, num_classes=outputs)
    return net


class _MeanOfMap(nn.Module):
    """The mean over all positions; `AdaptiveAvgPool3d` fixes the length of the clip in an exported graph of S3D."""

    def forward(self, features_BDThw: Tensor) -> Tensor:
        return features_BDThw.mean(dim=(2, 3, 4), keepdim=True)


class _PaddedConv3d(nn.Conv3d):
    """A convolution whose zeros are added before it.

    With `padding` of its own, kernel 7 and stride 2, the gradient of 5 frames corrupts memory in torch 2.15 on a
    processor.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 0, 0, 0, 3, 3)))


def _s3d(name: str, outputs: int) -> nn.Module:
    net: Any = _plain(name, outputs)
    net.avgpool = _MeanOfMap()
    first = net.features[0][1]
    weight = first[0].weight
    first[0] = _PaddedConv3d(weight.shape[1], weight.shape[0], (7, 1, 1), stride=(2, 1, 1), bias=False)
    first[0].weight = weight
    last = max(at for at, layer in enumerate(net.features) if isinstance(layer, nn.MaxPool3d))
    # The maps are ≥ 0, so one of zeros at the end changes no maximum, and completes the last pair of an odd number
    net.features[last] = nn.Sequential(nn.ConstantPad3d((0, 0, 0, 0, 0, 1), 0.0), net.features[last])
    return net


_RESIDUAL = _Net(paper="Tran et al., A Closer Look at Spatiotemporal Convolutions, arXiv:1711.11248", make=_plain)
_NETS = {
    "mc3_18": _RESIDUAL,
    "r2plus1d_18": _RESIDUAL,
    "r3d_18": _RESIDUAL,
    "s3d": _Net(
        paper="Xie et al., Rethinking Spatiotemporal Feature Learning, arXiv:1712.04851",
        make=_s3d,
        head="classifier.1",
        least=17,
    ),
    "swin3d_t": _Net(paper="Liu et al., Video Swin Transformer, arXiv:2106.13230", make=swin3d, head="head"),
}


class TorchvisionClipNet(ClipNet):
    """A net of torchvision, `model`, for grey (C = 1) or colour clips."""

    def __init__(self, model: nn.Module, head: str) -> None:
        super().__init__()
        self.model, self._head = model, head

    def forward(self, frames_BTCHW: Tensor) -> Tensor:
        colour_BT3HW = frames_BTCHW.expand(-1, -1, 3, -1, -1)
        logits_BK: Tensor = self.model(colour_BT3HW.transpose(1, 2))
        return logits_BK

    def features(self, frames_BTCHW: Tensor) -> Tensor:
        """Return what the last layers are given, (B, D), or (B, D, t, h, w) of S3D."""
        seen: list[Tensor] = []
        with self._last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])):
            self(frames_BTCHW)
        return seen[0]

    def classify(self, features: Tensor) -> Tensor:
        logits = self._last(features)
        return logits.flatten(2).mean(dim=2) if logits.ndim > 2 else logits

    def published(self) -> nn.Module:
        return self.model

    @property
    def _last(self) -> nn.Module:
        return self.model.get_submodule(self._head.partition(".")[0])

    def head_parts(self) -> tuple[str, ...]:
        return (f"model.{self._head}",)


def names() -> list[str]:
    return list(_NETS)


def knows(name: str) -> bool:
    return name in _NETS


def describe(name: str, *, count: bool = False) -> NetInfo:
    """Describe a net; `count` builds it (without memory for its weights) to count the parameters."""
    net, parameters = _NETS[name], None
    if count:
        parameters = parameter_count(lambda: net.make(name, len(published(name).meta["categories"])))
    return NetInfo(
        name=name,
        library="torchvision",
        paper=net.paper,
        licence=LICENCE,
        settings=describe_settings(Settings),
        native=_native(name),
        pretrained=((origin(name), WEIGHTS_LICENCE),),
        parameters=parameters,
        family=CLIP_CLASSIFIER,
    )


def build(
    name: str,
    settings: Mapping[str, Any],
    *,
    channels: int,  # noqa: ARG001 -- grey clips are shown to the net in colour
    classes: int,
    height: int,
    width: int,
    weights: str = "none",
) -> BuiltNet:
    """Build a net as `nets/build.py` does.

    Raises:
        SettingsError: any setting, or frames that are too small for the net.
        DataError: weights cannot be fetched (the message names the ways out), are damaged or another net's.
    """
    net, wanted = _NETS[name], from_mapping(Settings, settings, where=name)
    smallest_input(name, net.least, height, width)
    module = TorchvisionClipNet(net.make(name, classes), net.head)
    return with_weights(module, describe(name), wanted, weights, fetch)


def _native(name: str) -> NativeInput:
    """Return the input of the published weights, as torchvision's own preprocessing has it."""
    like = published(name).transforms()
    (side, _), shorter = like.crop_size, min(like.resize_size)
    return NativeInput(side, side, tuple(like.mean), tuple(like.std), side / shorter, "bilinear")
