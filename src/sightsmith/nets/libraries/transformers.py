"""D-FINE and RT-DETRv2 of transformers: detectors whose answers need no non-maximum suppression.

Library: https://github.com/huggingface/transformers, Apache-2.0; its weights, trained on COCO, are Apache-2.0 too.
Papers: Peng et al., "D-FINE", ICLR 2025, arXiv:2410.13842; Lv et al., "RT-DETRv2", arXiv:2407.17140. Sizes are those of
the papers' own code (https://github.com/Peterande/D-FINE, https://github.com/lyuwenyu/RT-DETR, both Apache-2.0).
Deviation: batch normalisation of the backbone is not frozen, because training may start from random numbers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightsmith.core.errors import BackendError
from sightsmith.core.settings import from_mapping
from sightsmith.nets.parts.checks import at_least, multiples
from sightsmith.nets.parts.detector import DETECTOR
from sightsmith.nets.parts.downloads import CANNOT_FETCH, cannot_fetch, from_hub
from sightsmith.nets.parts.library_net import parameter_count, with_weights
from sightsmith.nets.parts.records import BuiltNet, NativeInput, NetInfo, describe_settings
from sightsmith.nets.parts.weights import State

if TYPE_CHECKING:
    from sightsmith.nets.parts.transformers_net import TransformersNet

LICENCE = "Apache-2.0"

_STRIDE = 32  # Of the coarsest map
_CLASSES = 80  # Of the published weights
_NATIVE = NativeInput(640, 640, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 1.0, "bilinear")
_RECIPE = {"lr": 1e-4, "weight_decay": 1e-4, "clip": 0.1}
"""Of RT-DETRv2's own code, for AdamW and 16 pictures in a step; that of D-FINE has 1e-4 to 2.5e-4 for 32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    queries: int = 300
    """Most objects that are looked for in a picture; of a small input at most as many as its maps have points. ≥ 1."""

    denoised: int = 100
    """Noisy copies of the true objects that a step of training also learns to mend, about so many a picture. ≥ 1."""

    def __post_init__(self) -> None:
        at_least("queries", self.queries, 1)
        at_least("denoised", self.denoised, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Net:
    """One size of an architecture."""

    kind: str  # the library's name of the architecture
    paper: str
    weights: str  # the repository of the published weights
    options: Mapping[str, Any]  # of the library's configuration


def _dfine(size: str, backbone: Mapping[str, Any], **options: Any) -> _Net:
    paper = "Peng et al., D-FINE, arXiv:2410.13842"
    wide = backbone["backbone_config"]["stage_out_channels"]
    usual = {"encoder_in_channels": wide[1:], "decoder_n_points": [3, 6, 3]}
    return _Net(
        kind="d_fine",
        paper=paper,
        weights=f"ustc-community/dfine-{size}-coco",
        options={**usual, **backbone, **options},
    )


def _hgnet(stem: list[int], middle: list[int], out: list[int], blocks: list[int], layers: int, **more: Any) -> dict:
    """Return the options of a backbone HGNetv2.

    Args:
        stem: channels of the picture and of the stem's two parts.
        middle, out: channels inside and after each of the four stages.
        blocks: of each stage; each has as many convolutions as `layers`.
    """
    options = {
        "model_type": "hgnet_v2",
        "stem_channels": stem,
        "stage_in_channels": [stem[-1], *out[:-1]],
        "stage_mid_channels": middle,
        "stage_out_channels": out,
        "hidden_sizes": out,
        "stage_num_blocks": blocks,
        "stage_numb_of_layers": [layers] * 4,
        "out_indices": [2, 3, 4],
    }
    return {"backbone_config": options | more}


def _rtdetr(depth: str, blocks: list[int], **options: Any) -> _Net:
    basic = {"layer_type": "basic", "hidden_sizes": [64, 128, 256, 512]} if depth in ("18", "34") else {}
    small = {"encoder_in_channels": [128, 256, 512], "hidden_expansion": 0.5} if basic else {}
    backbone = {"model_type": "rt_detr_resnet", "depths": blocks, "out_indices": [2, 3, 4], **basic}
    return _Net(
        kind="rt_detr_v2",
        paper="Lv et al., RT-DETRv2, arXiv:2407.17140",
        weights=f"PekingU/rtdetr_v2_r{depth}vd",
        options={"backbone_config": backbone, **small, **options},
    )


_SMALL_STAGES = ([3, 16, 16], [16, 32, 64, 128], [64, 256, 512, 1024], [1, 1, 2, 1], 3)
_NETS = {
    "dfine_n": _dfine(
        "nano",
        _hgnet(*_SMALL_STAGES, use_learnable_affine_block=True, out_indices=[3, 4]),
        encoder_in_channels=[512, 1024],
        feat_strides=[16, 32],
        num_feature_levels=2,
        encode_proj_layers=[1],
        d_model=128,
        encoder_hidden_dim=128,
        encoder_ffn_dim=512,
        decoder_ffn_dim=512,
        decoder_in_channels=[128, 128],
        decoder_n_points=[6, 6],
        decoder_layers=3,
        depth_mult=0.5,
        hidden_expansion=0.34,
    ),
    "dfine_s": _dfine(
        "small",
        _hgnet(*_SMALL_STAGES, use_learnable_affine_block=True),
        decoder_layers=3,
        depth_mult=0.34,
        hidden_expansion=0.5,
    ),
    "dfine_m": _dfine(
        "medium",
        _hgnet(
            [3, 24, 32],
            [32, 64, 128, 256],
            [96, 384, 768, 1536],
            [1, 1, 3, 1],
            4,
            use_learnable_affine_block=True,
        ),
        decoder_layers=4,
        depth_mult=0.67,
    ),
    "dfine_l": _dfine("large", _hgnet([3, 32, 48], [48, 96, 192, 384], [128, 512, 1024, 2048], [1, 1, 3, 1], 6)),
    "dfine_x": _dfine(
        "xlarge",
        _hgnet([3, 32, 64], [64, 128, 256, 512], [128, 512, 1024, 2048], [1, 2, 5, 2], 6),
        encoder_hidden_dim=384,
        encoder_ffn_dim=2048,
        decoder_in_channels=[384] * 3,
        reg_scale=8.0,
    ),
    "rtdetr_v2_r18vd": _rtdetr("18", [2, 2, 2, 2], decoder_layers=3),
    "rtdetr_v2_r34vd": _rtdetr("34", [3, 4, 6, 3], decoder_layers=4),
    "rtdetr_v2_r50vd": _rtdetr("50", [3, 4, 6, 3]),
    "rtdetr_v2_r101vd": _rtdetr(
        "101", [3, 4, 23, 3], encoder_hidden_dim=384, encoder_ffn_dim=2048, decoder_in_channels=[384] * 3
    ),
}


def names() -> list[str]:
    return list(_NETS)


def knows(name: str) -> bool:
    return name in _NETS


def describe(name: str, *, count: bool = False) -> NetInfo:
    """Describe a net; `count` builds it (without memory for its weights) to count the parameters."""
    parameters = None
    if count and find_spec("transformers") is not None:
        parameters = parameter_count(lambda: _module(name, Settings(), _CLASSES, _NATIVE.height, _NATIVE.width))
    return NetInfo(
        name=name,
        library="transformers",
        paper=_NETS[name].paper,
        licence=LICENCE,
        settings=describe_settings(Settings),
        native=_NATIVE,
        pretrained=((_NETS[name].weights, LICENCE),),
        parameters=parameters,
        family=DETECTOR,
        recipe=_RECIPE,
    )


def build(
    name: str,
    settings: Mapping[str, Any],
    *,
    channels: int,  # noqa: ARG001 -- grey pictures are shown to the net in colour
    classes: int,
    height: int,
    width: int,
    weights: str = "none",
) -> BuiltNet:
    """Build a net as `nets/build.py` does.

    Raises:
        BackendError: transformers is not installed.
        SettingsError: a setting that the net does not take, or a side that is not a multiple of 32 pixels.
        DataError: weights cannot be fetched (the message names the ways out), are damaged or another net's.
    """
    wanted = from_mapping(Settings, settings, where=name)
    multiples(name, _STRIDE, height, width)
    if find_spec("transformers") is None:
        raise BackendError(
            f"{name}: this net is of transformers, which is not installed: pip install 'sightsmith[transformers]'. Or "
            "choose another net, such as --model yolo."
        )
    module = _module(name, wanted, classes, height, width)
    return with_weights(module, describe(name), wanted, weights, fetch, _renamed)


def fetch(name: str) -> Path:
    """Return the file of a net's published weights as `nets/build.py` does."""
    repository = _NETS[name].weights
    try:
        return from_hub(repository, "model.safetensors")
    except CANNOT_FETCH as error:
        raise cannot_fetch(name, f"https://huggingface.co/{repository}", error) from error


def _module(name: str, settings: Settings, classes: int, height: int, width: int) -> "TransformersNet":
    from sightsmith.nets.parts.transformers_net import TransformersNet  # an extra, and slow to import

    options = {**_NETS[name].options, "num_labels": classes, "num_denoising": settings.denoised}
    options["freeze_backbone_batch_norms"] = False
    return TransformersNet(_NETS[name].kind, options, queries=settings.queries, height=height, width=width)


def _renamed(state: State) -> tuple[State, tuple[str, ...]]:
    """Rename the tensors of a published file, which has the names of transformers 4."""
    # of D-FINE a list of layers; a list of its own tells the two architectures apart
    inside = ("layers.0", "layers.1") if any(".lqe_layers." in key for key in state) else ("fc1", "fc2")
    rules = (
        (r"\bout_proj\b", "o_proj"),
        (r"(layers\.\d+)\.fc1\b", rf"\1.mlp.{inside[0]}"),
        (r"(layers\.\d+)\.fc2\b", rf"\1.mlp.{inside[1]}"),
        (r"\bencoder\.encoder\.(\d+)\.layers\b", r"encoder.aifi.\1.layers"),
        (r"^(class_embed|bbox_embed)\b", r"model.decoder.\1"),
    )
    renamed = {}
    for key, value in state.items():
        for pattern, new in rules:
            key = re.sub(pattern, new, key)
        renamed[key] = value
    return renamed, ()
