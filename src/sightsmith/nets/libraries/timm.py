"""Every classification net of timm (PyTorch Image Models) by its own name, such as `vit_tiny_patch16_224`.

Library: Wightman, https://github.com/huggingface/pytorch-image-models, Apache-2.0; the licence of published weights is
that of their configuration. Nets and weights load on first use; class maps are made in `nets/parts/timm_net.py`.
"""

import inspect
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import PretrainedCfg, adapt_input_conv, get_pretrained_cfg, is_model, model_entrypoint

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError, SettingsError
from sightsmith.core.files import sha256
from sightsmith.core.names import did_you_mean
from sightsmith.core.settings import from_mapping, to_mapping
from sightsmith.nets.parts.checks import between
from sightsmith.nets.parts.downloads import CANNOT_FETCH, cannot_fetch, from_hub, from_url, reason_of
from sightsmith.nets.parts.library_net import parameter_count
from sightsmith.nets.parts.records import (
    RANDOM_WEIGHTS,
    BuiltNet,
    NativeInput,
    NetInfo,
    WeightsRecord,
    describe_settings,
)
from sightsmith.nets.parts.timm_net import CANNOT, TimmNet, find_layout, names_of
from sightsmith.nets.parts.weights import State, load_weights

LICENCE = "Apache-2.0"

_STEPS = (14, 16, 28, 32, 64, 96, 128, 224, 256)  # Multiples of these are tried as sizes to suggest


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    drop_rate: float = 0.0
    """Share of the features before the classifier that are dropped while training, in [0, 1)."""
    drop_path_rate: float = 0.0
    """Share of residual branches that are dropped while training (stochastic depth), in [0, 1)."""

    def __post_init__(self) -> None:
        between("drop_rate", self.drop_rate)
        between("drop_path_rate", self.drop_path_rate)


def names() -> list[str]:
    return [name for name in timm.list_models() if _is_classifier(name)]


def knows(name: str) -> bool:
    """Tell whether timm has a net of that name, which may end in a name of weights (`resnet18.a1_in1k`)."""
    return is_model(_bare(name)) and _is_classifier(_bare(name).partition(".")[0])


def describe(name: str, *, count: bool = False) -> NetInfo:
    """Describe a net; `count` builds it (without memory for its weights) to count the parameters."""
    name = _bare(name)
    config = _config(name)
    architecture = name.partition(".")[0]
    tagged = [name] if "." in name else _published().get(architecture, [])
    best = f"{architecture}.{config.tag}" if config.tag else ""
    best_first = sorted(tagged, key=lambda one: one != best)
    return NetInfo(
        name=name,
        library="timm",
        paper=_paper(name, config),
        licence=LICENCE,
        settings=describe_settings(Settings),
        native=_native(config),
        pretrained=tuple((one, _config(one).license or "not stated") for one in best_first),
        parameters=parameter_count(lambda: timm.create_model(name, pretrained=False)) if count else None,
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
    """Build a net as `nets/build.py` does; its name may end in the name of its weights.

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


def fetch(name: str) -> Path:
    """Return the file of a net's published weights as `nets/build.py` does."""
    name = _bare(name)
    config = _config(name)
    if not config.has_weights:
        raise SettingsError(f"{name}: timm publishes no weights for it. Use --weights none or --weights FILE.")
    try:
        return _from_hub(config) if config.hf_hub_id else from_url(str(config.url))
    except CANNOT_FETCH as error:
        where = f"https://huggingface.co/{config.hf_hub_id}" if config.hf_hub_id else config.url
        raise cannot_fetch(name, str(where), error) from error


def _from_hub(config: PretrainedCfg) -> Path:
    usual = ("model.safetensors", "pytorch_model.bin")
    return from_hub(str(config.hf_hub_id), *((config.hf_hub_filename,) if config.hf_hub_filename else usual))


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
        return get_pretrained_cfg(name, allow_unregistered=False)  # type: ignore[return-value]  # never None
    except RuntimeError:
        near = did_you_mean(name, _published().get(name.partition(".")[0], []))
        raise SettingsError(f"{name}: timm has no weights of that name. {near}") from None


def _native(config: PretrainedCfg) -> NativeInput:
    _, height, width = config.input_size
    interpolation = "bilinear" if config.interpolation == "bilinear" else "bicubic"
    fraction = min(1.0, config.crop_pct)
    return NativeInput(height, width, config.mean, config.std, fraction, interpolation, bool(config.fixed_input_size))


def _paper(name: str, config: PretrainedCfg) -> str:
    """Return the paper that timm names for the net: in the record of its weights, else its first link."""
    entry = model_entrypoint(name.partition(".")[0])
    for text in (inspect.getdoc(entry), sys.modules[entry.__module__].__doc__):
        found = re.search(r"arxiv\.org/(?:abs|pdf)/(\d{4}\.\d{4,5})", text or "", re.IGNORECASE)
        if found:
            return f"arXiv:{found[1]}"
    return ", ".join(names_of(config.paper_ids))


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
        return TimmNet(net, find_layout(net, channels, height, width))
    except CANNOT as error:
        refused = re.search(r"unexpected keyword argument '(drop_rate|drop_path_rate)'", str(error))
        if refused:
            raise SettingsError(f"{name}: the net takes no {refused[1]}; leave it out.") from None
        if channels == 1 and _can_take(name, 3, height, width):
            raise SettingsError(
                f"{name}: takes colour pictures only ({reason_of(error)}). Use --colour rgb."
            ) from error
        sizes = _sizes_near(name, channels, height, width)
        if (height, width) in sizes:
            raise
        raise SettingsError(
            f"{name}: cannot take pictures of {width}×{height} ({reason_of(error)}). "
            f"Sizes that work: {', '.join(f'{w}×{h}' for h, w in sizes)}."
        ) from error


def _sizes_near(name: str, channels: int, height: int, width: int) -> list[tuple[int, int]]:
    """Return up to three square sizes (h, w) near the one asked for that the net can take, and its native one."""
    side, native = max(height, width), _native(_config(name))
    own = (native.height, native.width)
    tried = sorted({math.ceil(side / step) * step for step in _STEPS})
    found = [(one, one) for one in tried if (one, one) != own and _can_take(name, channels, one, one)]
    return sorted({*found[:3], own})


def _can_take(name: str, channels: int, height: int, width: int) -> bool:
    arguments = _arguments(name, Settings(), channels, 2, height, width)
    try:
        with torch.device("meta"):
            find_layout(timm.create_model(name, pretrained=False, **arguments), channels, height, width)
    except CANNOT:
        return False
    return True


def _fetch(
    name: str, config: PretrainedCfg, channels: int, classes: int, height: int, width: int
) -> tuple[Path, WeightsRecord]:
    path, licence, notes = fetch(name), config.license or "not stated", []
    origin, new_head = str(config.hf_hub_id or config.url), classes != config.num_classes
    if new_head:
        notes.append(
            f"the classifier ({', '.join(names_of(config.classifier))}) is of another size "
            f"({many(config.num_classes, 'output')} there, {classes} here) and starts from random numbers"
        )
    if channels != config.input_size[0]:
        notes.append(f"the first layer was adapted from {config.input_size[0]} colour channels to {channels}")
    if config.fixed_input_size and (height, width) != config.input_size[1:]:
        notes.append(
            f"position tables were resized from {config.input_size[2]}×{config.input_size[1]} to {width}×{height}"
        )
    return path, WeightsRecord(origin, licence, sha256(path), tuple(notes), new_head)


def _adapted(state: State, module: TimmNet, channels: int) -> tuple[State, tuple[str, ...]]:
    """Rename and resize a foreign state with timm's rules for this family, and adapt the first convolution."""
    net, notes = module.net, []
    if getattr(net, "AuxLogits", None) is None:  # torchvision's Inception has a second head, for training alone
        state = {name: tensor for name, tensor in state.items() if not name.startswith("AuxLogits.")}
    convert = getattr(sys.modules[type(net).__module__], "checkpoint_filter_fn", None)
    if convert is not None:
        try:
            state = convert(dict(state), net)
        except CANNOT as error:
            raise DataError(
                f"the weights cannot be converted to timm's names ({reason_of(error)}). Name the net they were saved "
                "from."
            ) from error
    wanted = net.state_dict()
    for key in (f"{name}.weight" for name in names_of(net.pretrained_cfg.get("first_conv"))):
        if key in state and key in wanted and state[key].ndim == 4 and state[key].shape[1] != wanted[key].shape[1]:
            before = state[key].shape[1]
            state = state | {key: adapt_input_conv(channels, state[key], base_chans=before)}
            notes.append(f"the first layer ({key}) was adapted from {before} colour channels to {channels}")
    return state, tuple(notes)
