"""Every classification net of timm (PyTorch Image Models) by its own name, such as `vit_tiny_patch16_224`.

Library: Wightman, https://github.com/huggingface/pytorch-image-models, Apache-2.0; the licence of published weights is
that of their configuration. Nets and weights load on first use.

The class map depends on what a net's last features are (shapes: B batch, D features, T tokens, P prefix tokens):

- a map, (B, D, h, w) or (B, h, w, D): the head applied at every position;
- tokens, (B, P + h·w, D): the head applied to every patch token, as if the whole picture were that patch;
- a map whose head needs all of it (VGG's 7×7 convolution, attention pooling with positions): Recipro-CAM's masking;
- anything else (several scales, one class token alone): occlusion of 4×4 cells of the picture, 16 more passes.
"""

import inspect
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from timm.layers import Attention
from timm.models import PretrainedCfg, adapt_input_conv, get_pretrained_cfg, is_model, model_entrypoint
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from sightsmith.core.errors import DataError, SettingsError
from sightsmith.core.files import sha256
from sightsmith.core.names import did_you_mean
from sightsmith.core.settings import from_mapping, to_mapping
from sightsmith.nets.parts.checks import between
from sightsmith.nets.parts.classifier import ClassifierNet
from sightsmith.nets.parts.download import fetch_hub, fetch_url
from sightsmith.nets.parts.maps import by_masking, by_occlusion, by_position
from sightsmith.nets.parts.records import RANDOM_WEIGHTS, BuiltNet, NativeInput, NetInfo, WeightsRecord
from sightsmith.nets.parts.settings import describe_settings
from sightsmith.nets.parts.weights import State, load_weights

LICENCE = "Apache-2.0"

_CANNOT = (AssertionError, RuntimeError, ValueError, TypeError, IndexError, KeyError, ZeroDivisionError, AttributeError)
"""What timm's nets raise for an input that they cannot take."""
_STEPS = (14, 16, 28, 32, 64, 96, 128, 224, 256)
"""Multiples of these are tried as sizes to suggest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of a timm net."""

    drop_rate: float = 0.0
    """Share of the features before the classifier that are dropped while training, in [0, 1)."""
    drop_path_rate: float = 0.0
    """Share of residual branches that are dropped while training (stochastic depth), in [0, 1)."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        between("drop_rate", self.drop_rate)
        between("drop_path_rate", self.drop_path_rate)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a net's last features are, and how its class map is made of them.

    Attributes:
        method: "position" (head at every position), "masking" (Recipro-CAM) or "occlusion" (of the picture).
        kind: "map" (B, D, h, w), "last" (B, h, w, D) or "tokens" (B, T, D).
        prefix: with tokens, how many come before the patches'.
        grid: with tokens, the rows and columns of patches.
    """

    method: Literal["position", "masking", "occlusion"]
    kind: Literal["map", "last", "tokens"] = "map"
    prefix: int = 0
    grid: tuple[int, int] = (1, 1)


class TimmNet(ClassifierNet):
    """A timm net with a class map."""

    def __init__(self, net: Any, layout: Layout) -> None:
        super().__init__()
        self.net: Any = net
        self.layout = layout

    def features(self, images_BCHW: Tensor) -> Tensor:
        """Return the last features in the net's own layout."""
        return self.net.forward_features(images_BCHW)

    def classify(self, features_BDhw: Tensor) -> Tensor:
        """Return the logits (B, K) of the last features in the net's own layout."""
        return self.net.forward_head(features_BDhw)

    def with_map(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (B, K) and the class map (B, K, h, w)."""
        if self.layout.method == "occlusion":
            logits_BK = self(images_BCHW)
            return logits_BK, by_occlusion(self, images_BCHW, logits_BK)
        return super().with_map(images_BCHW)

    def class_map(self, features_BDhw: Tensor) -> Tensor:
        """Return each class's evidence at each position, (B, K, h, w), from features in the net's own layout."""
        method = by_masking if self.layout.method == "masking" else by_position
        return method(self._classify_map, self.as_map(features_BDhw))

    def attention(self, images_BCHW: Tensor) -> Tensor | None:
        """Return what the class token of a vision transformer attends to in the last block, (B, h, w).

        The mean over the heads, of the patches alone, made to sum to 1. None for nets without a class token or with
        another form of attention.
        """
        attention = _last_attention(self.net)
        if attention is None or self.layout.kind != "tokens":
            return None
        seen: list[Tensor] = []
        hook = attention.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            self.features(images_BCHW)
        finally:
            hook.remove()
        weights_BT = _class_attention(attention, seen[0])[:, self.layout.prefix :]
        weights_BT = weights_BT / weights_BT.sum(dim=1, keepdim=True)
        return weights_BT.reshape(-1, *self.layout.grid)

    def published(self) -> nn.Module:
        """Return timm's own module."""
        return self.net

    def head_parts(self) -> tuple[str, ...]:
        """Name the classifier, as timm's configuration has it."""
        return tuple(f"net.{name}" for name in _names(self.net.pretrained_cfg.get("classifier")))

    def as_map(self, features: Tensor) -> Tensor:
        """Return features in the net's own layout, or their gradient, as (B, D, h, w)."""
        if self.layout.kind == "last":
            return features.permute(0, 3, 1, 2)
        if self.layout.kind == "tokens":
            return features[:, self.layout.prefix :].transpose(1, 2).reshape(features.shape[0], -1, *self.layout.grid)
        return features

    def _classify_map(self, features_BDhw: Tensor) -> Tensor:
        if self.layout.kind == "last":
            return self.classify(features_BDhw.permute(0, 2, 3, 1))
        if self.layout.kind == "tokens":
            patch_B1D = features_BDhw.flatten(2).transpose(1, 2)
            return self.classify(patch_B1D.expand(-1, self.layout.prefix + 1, -1))
        return self.classify(features_BDhw)


def _last_attention(net: Any) -> nn.Module | None:
    """Return the attention of a plain vision transformer's last block, if its first token is the class token."""
    if not isinstance(net, VisionTransformer) or not net.has_class_token:
        return None
    attention = getattr(net.blocks[-1], "attn", None)
    return attention if type(attention) is Attention else None


def _class_attention(attention: Any, tokens_BTD: Tensor) -> Tensor:
    """Return the attention of the first token to every token, mean over the heads, (B, T)."""
    batch, tokens, _ = tokens_BTD.shape
    qkv = attention.qkv(tokens_BTD).reshape(batch, tokens, 3, attention.num_heads, -1)
    query, key, _ = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    query, key = attention.q_norm(query[:, :, :1]), attention.k_norm(key)
    return torch.softmax(query @ key.transpose(-2, -1) * attention.scale, dim=-1).mean(dim=1)[:, 0]


def names() -> list[str]:
    """Return the names of all the nets."""
    return [name for name in timm.list_models() if _is_classifier(name)]


def knows(name: str) -> bool:
    """Tell whether timm has a net of that name, which may end in a name of weights (`resnet18.a1_in1k`)."""
    return is_model(_bare(name)) and _is_classifier(_bare(name).partition(".")[0])


def describe(name: str, *, count: bool = False) -> NetInfo:
    """Tell what is known of a net; `count` builds it (without memory for its weights) to count the parameters."""
    name = _bare(name)
    config = _config(name)
    architecture = name.partition(".")[0]
    tagged = [name] if "." in name else _published().get(architecture, [])
    best = f"{architecture}.{config.tag}" if config.tag else ""
    pretrained = tuple(
        (one, _config(one).license or "not stated") for one in sorted(tagged, key=lambda one: one != best)
    )
    return NetInfo(
        name=name,
        library="timm",
        paper=_paper(name, config),
        licence=LICENCE,
        settings=describe_settings(Settings),
        native=_native(config),
        pretrained=pretrained,
        parameters=_count(name) if count else None,
    )


def build(
    name: str,
    settings: Mapping[str, Any],
    *,
    channels: int,
    classes: int,
    height: int,
    width: int,
    weights: str = "none",
) -> BuiltNet:
    """Build a net for pictures of a size, in training mode.

    Args:
        name: timm's name of the net, with or without the name of its weights.
        settings: values by name of `Settings`.
        channels: 1 or 3.
        classes: how many, ≥ 1.
        height: of the input in pixels.
        width: of the input in pixels.
        weights: "none", "pretrained", or the path of a file.

    Raises:
        SettingsError: a setting that the net does not take, or a size that it cannot take (sizes that work are named).
        DataError: weights cannot be fetched (the message names the ways out), are damaged or another net's.
    """
    name = _bare(name)
    config, wanted = _config(name), from_mapping(Settings, settings, where=name)
    arguments = _arguments(name, wanted, channels, classes, height, width)
    record, overlay = RANDOM_WEIGHTS, None
    if weights == "pretrained":
        path, record = _fetch(name, config, channels, classes, height, width)
        overlay = {"file": str(path), "custom_load": False}
    module = _build(name, arguments, channels, height, width, overlay)
    if weights not in ("none", "pretrained"):
        record = load_weights(module, Path(weights), net=name, adapt=lambda state: _adapted(state, module, channels))
    return BuiltNet(
        module=module,
        name=name,
        settings=to_mapping(wanted),
        paper=_paper(name, config),
        licence=LICENCE,
        weights=record,
        native=_native(config),
    )


def _bare(name: str) -> str:
    return name.removeprefix("timm/")


@cache
def _is_classifier(name: str) -> bool:
    config = get_pretrained_cfg(name, allow_unregistered=True)
    return config is not None and bool(config.classifier)


@cache
def _published() -> dict[str, list[str]]:
    """Return the names of published weights by architecture."""
    found: dict[str, list[str]] = {}
    for name in timm.list_pretrained():
        found.setdefault(name.partition(".")[0], []).append(name)
    return found


def _config(name: str) -> PretrainedCfg:
    try:
        config = get_pretrained_cfg(name)
    except RuntimeError:
        config = None
    if config is None:
        near = did_you_mean(name, _published().get(name.partition(".")[0], []))
        raise SettingsError(f"{name}: timm has no weights of that name. {near}")
    return config


def _names(one_or_more: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    return (one_or_more,) if isinstance(one_or_more, str) else tuple(one_or_more or ())


def _native(config: PretrainedCfg) -> NativeInput:
    _, height, width = config.input_size
    interpolation = "bilinear" if config.interpolation == "bilinear" else "bicubic"
    fraction = min(1.0, config.crop_pct)
    return NativeInput(height, width, config.mean, config.std, fraction, interpolation, bool(config.fixed_input_size))


def _paper(name: str, config: PretrainedCfg) -> str:
    """Return the paper of the net by the library's own words: its weights' record, else the first link it gives."""
    entry = model_entrypoint(name.partition(".")[0])
    for text in (inspect.getdoc(entry), sys.modules[entry.__module__].__doc__):
        found = re.search(r"arxiv\.org/(?:abs|pdf)/(\d{4}\.\d{4,5})", text or "", re.IGNORECASE)
        if found:
            return f"arXiv:{found[1]}"
    return ", ".join(_names(config.paper_ids))


def _count(name: str) -> int:
    with torch.device("meta"):
        net = timm.create_model(name, pretrained=False)
    return sum(parameter.numel() for parameter in net.parameters())


def _arguments(name: str, settings: Settings, channels: int, classes: int, height: int, width: int) -> dict[str, Any]:
    config = _config(name)
    arguments: dict[str, Any] = {"in_chans": channels, "num_classes": classes}
    arguments |= {key: value for key, value in to_mapping(settings).items() if value}
    if config.fixed_input_size and (height, width) != config.input_size[1:]:
        arguments["img_size"] = (height, width)
    return arguments


def _build(
    name: str, arguments: dict[str, Any], channels: int, height: int, width: int, overlay: dict[str, Any] | None
) -> TimmNet:
    try:
        net = timm.create_model(name, pretrained=overlay is not None, pretrained_cfg_overlay=overlay, **arguments)
        return TimmNet(net, _layout(net, channels, height, width))
    except _CANNOT as error:
        refused = re.search(r"unexpected keyword argument '(drop_rate|drop_path_rate)'", str(error))
        if refused:
            raise SettingsError(f"{name}: the net takes no {refused[1]}; leave it out.") from None
        sizes = _sizes_near(name, channels, height, width)
        if (height, width) in sizes:
            raise
        raise SettingsError(
            f"{name}: cannot take pictures of {width}×{height} ({_short(error)}). "
            f"Sizes that work: {', '.join(f'{w}×{h}' for h, w in sizes)}."
        ) from error


def _layout(net: Any, channels: int, height: int, width: int) -> Layout:
    """Run the net once on an empty picture to learn what its features are and which class map they allow."""
    _check_patches(net, height, width)
    training = net.training
    net.eval()
    images = torch.zeros(1, channels, height, width, device=next(net.parameters()).device)
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        features = net.forward_features(images)
        net.forward_head(features)
        found = _first_that_works(net, features, height, width)
    net.train(training)
    return found


def _check_patches(net: Any, height: int, width: int) -> None:
    """Refuse a size whose right and lower border the net's patches would leave out without a word."""
    patch = getattr(getattr(net, "patch_embed", None), "patch_size", None)
    if isinstance(patch, tuple) and len(patch) == 2 and (height % patch[0] or width % patch[1]):
        raise ValueError(f"its patches are {patch[1]}×{patch[0]} and do not fill the picture")


def _first_that_works(net: Any, features: Any, height: int, width: int) -> Layout:
    shape = _shape(net, features, height, width)
    if shape is None:
        return Layout("occlusion")
    methods: tuple[Literal["position", "masking"], ...] = (
        ("masking",) if _needs_whole_map(net) else ("position", "masking")
    )
    for method in methods:
        layout = replace(shape, method=method)
        try:
            found = TimmNet(net, layout).class_map(features)
        except _CANNOT:
            continue
        if found.ndim == 4 and len(found) == 1:
            return layout
    return Layout("occlusion")


def _needs_whole_map(net: Any) -> bool:
    """Tell whether the head opens with a convolution larger than a position (VGG)."""
    return getattr(getattr(net, "pre_logits", None), "input_kernel_size", 1) > 1


def _shape(net: Any, features: Any, height: int, width: int) -> Layout | None:
    if not isinstance(features, Tensor) or features.ndim not in (3, 4):
        return None
    if features.ndim == 4:
        last = getattr(net, "output_fmt", None) == "NHWC" or features.shape[1] != net.num_features == features.shape[-1]
        return Layout("position", "last" if last else "map")
    tokens = features.shape[1]
    known = getattr(net, "num_prefix_tokens", None)
    for prefix in (0, 1, 2) if known is None else (known,):
        grid = _grid(tokens - prefix, height, width)
        if grid is not None and grid != (1, 1):
            return Layout("position", "tokens", prefix, grid)
    return None


def _grid(patches: int, height: int, width: int) -> tuple[int, int] | None:
    """Return the rows and columns of that many square patches over a picture, None where they do not fit."""
    if patches < 1:
        return None
    rows = round(math.sqrt(patches * height / width))
    columns = patches // rows if rows else 0
    fits = rows * columns == patches and abs(rows * width - columns * height) <= max(height, width)
    return (rows, columns) if fits else None


def _sizes_near(name: str, channels: int, height: int, width: int) -> list[tuple[int, int]]:
    """Return up to three square sizes (h, w) near the one asked for that the net can take, and its native one."""
    side, native = max(height, width), _native(_config(name))
    own = (native.height, native.width)
    tried = sorted({math.ceil(side / step) * step for step in _STEPS})
    found = [(one, one) for one in tried if (one, one) != own and _can_take(name, channels, one)]
    return sorted({*found[:3], own})


def _can_take(name: str, channels: int, side: int) -> bool:
    arguments = _arguments(name, Settings(), channels, 2, side, side)
    try:
        with torch.device("meta"):
            _layout(timm.create_model(name, pretrained=False, **arguments), channels, side, side)
    except _CANNOT:
        return False
    return True


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160].rstrip(".") if lines else type(error).__name__


def _fetch(
    name: str, config: PretrainedCfg, channels: int, classes: int, height: int, width: int
) -> tuple[Path, WeightsRecord]:
    """Fetch a net's published weights, from the cache where they are there already."""
    if not config.has_weights:
        raise SettingsError(f"{name}: timm publishes no weights for it. Use --weights none or --weights FILE.")
    if config.hf_hub_id:
        path, origin = fetch_hub(name, config.hf_hub_id, config.hf_hub_filename), config.hf_hub_id
    else:
        path, origin = fetch_url(name, str(config.url)), str(config.url)
    notes = []
    if classes != config.num_classes:
        notes.append(
            f"the classifier ({', '.join(_names(config.classifier))}) is of another size "
            f"({config.num_classes} outputs there, {classes} here) and starts from random numbers"
        )
    if channels != config.input_size[0]:
        notes.append(f"the first layer was adapted from {config.input_size[0]} colour channels to {channels}")
    if config.fixed_input_size and (height, width) != config.input_size[1:]:
        notes.append(
            f"position tables were resized from {config.input_size[2]}×{config.input_size[1]} to {width}×{height}"
        )
    licence = config.license or "not stated"
    return path, WeightsRecord(origin=origin, licence=licence, sha256=sha256(path), notes=tuple(notes))


def _adapted(state: State, module: TimmNet, channels: int) -> tuple[State, tuple[str, ...]]:
    """Rename and resize a foreign state as timm itself does for this family, and adapt the first convolution."""
    net, notes = module.net, []
    convert = getattr(sys.modules[type(net).__module__], "checkpoint_filter_fn", None)
    if convert is not None:
        try:
            state = convert(dict(state), net)
        except _CANNOT as error:
            raise DataError(
                f"the weights cannot be converted to timm's names ({_short(error)}). Name the net they were saved from."
            ) from error
    wanted = net.state_dict()
    for key in (f"{name}.weight" for name in _names(net.pretrained_cfg.get("first_conv"))):
        if key in state and key in wanted and state[key].ndim == 4 and state[key].shape[1] != wanted[key].shape[1]:
            before = state[key].shape[1]
            state = state | {key: adapt_input_conv(channels, state[key], base_chans=before)}
            notes.append(f"the first layer ({key}) was adapted from {before} colour channels to {channels}")
    return state, tuple(notes)
