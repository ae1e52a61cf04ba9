"""Reading weights safely from a file and fitting them to a net; every dropped tensor is reported.

Files: `.safetensors`, or a torch file read with `weights_only=True`, which holds tensors and no code.
"""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError, SettingsError
from sightsmith.core.files import sha256
from sightsmith.nets.parts.classifier import ClassifierNet
from sightsmith.nets.parts.records import WeightsRecord

State = dict[str, Tensor]
Adapt = Callable[[State], tuple[State, tuple[str, ...]]]
"""Renames and resizes a foreign state to fit the net, and returns notes on its changes."""

_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".th", ".ckpt", ".tar")
_CONTAINERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "weights")
_PREFIXES = ("", "module.", "model.", "net.", "net.net.", "_orig_mod.", "module.model.", "backbone.", "encoder.")
_SHOWN = 4


def load_weights(module: ClassifierNet, path: Path, *, net: str, adapt: Adapt | None = None) -> WeightsRecord:
    """Load a file's weights into a net; `adapt` changes a state that does not fit.

    The head stays random if the file's head has another number of classes; the record says so.

    Raises:
        SettingsError: there is no such file, or its suffix is unknown.
        DataError: the file is damaged, holds more than tensors, or belongs to another net.
    """
    state = read_state(path)
    target = module.published()
    state = _renamed(state, target)
    notes: tuple[str, ...] = ()
    if adapt is not None and not _fits(state, target):
        state, notes = adapt(state)
    head = _head_keys(module, target)
    state, dropped = _without_foreign_head(state, target, head)
    _refuse_mismatch(path, net, state, target, head)
    target.load_state_dict(state, strict=False)
    return WeightsRecord(path.name, "not stated", sha256(path), notes + dropped, new_head=bool(dropped))


def read_state(path: Path) -> State:
    """Read the tensors of a weights file by name; raises as `load_weights`."""
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise SettingsError(
            f"weights {str(path)!r}: must be none, pretrained, or a file ending in {', '.join(_SUFFIXES)}"
        )
    if not path.is_file():
        raise SettingsError(f"weights {path}: no such file. Give none, pretrained, or the path of a weights file.")
    state = _read_safetensors(path) if suffix == ".safetensors" else _read_torch(path)
    if not state:
        raise DataError(f"{path}: holds no tensors, so it is not a net's weights. Save `model.state_dict()` instead.")
    return state


def _read_safetensors(path: Path) -> State:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise DataError(f"{path}: not a whole safetensors file ({error}). Copy or download it again.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error}). Give a file that this user may read.") from error


def _read_torch(path: Path) -> State:
    try:
        raw = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).partition("Please file an issue")[0].strip().splitlines()[-1]
        raise DataError(
            f"{path}: cannot be read as tensors alone, and code in a weights file is never run ({reason}). "
            "On the machine that made it, save `model.state_dict()` with safetensors."
        ) from None
    except (RuntimeError, EOFError, OSError) as error:
        raise DataError(f"{path}: not a whole torch file ({error}). Copy or download it again.") from None
    return _tensors_of(raw)


def _tensors_of(raw: Any) -> State:
    """Find the state dict inside the usual containers."""
    if not isinstance(raw, Mapping):
        return {}
    for key in _CONTAINERS:
        if isinstance(raw.get(key), Mapping):
            return _tensors_of(raw[key])
    return {str(key): value for key, value in raw.items() if isinstance(value, Tensor)}


def _renamed(state: State, target: nn.Module) -> State:
    """Strip the prefix (DataParallel, Lightning, a bundle …) that makes the most names match."""
    wanted = target.state_dict().keys()
    stripped = [
        {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        for prefix in _PREFIXES
    ]
    return max(stripped, key=lambda one: len(one.keys() & wanted))


def _fits(state: State, target: nn.Module) -> bool:
    wanted = target.state_dict()
    return state.keys() == wanted.keys() and all(state[key].shape == wanted[key].shape for key in wanted)


def _head_keys(module: ClassifierNet, target: nn.Module) -> set[str]:
    head = {id(parameter) for parameter in module.head_parameters()}
    return {key for key, parameter in target.named_parameters(remove_duplicate=False) if id(parameter) in head}


def _without_foreign_head(state: State, target: nn.Module, head: set[str]) -> tuple[State, tuple[str, ...]]:
    wanted = target.state_dict()
    foreign = sorted(key for key in head & state.keys() if state[key].shape != wanted[key].shape)
    absent = sorted(head - state.keys())
    if foreign:
        shapes = f"{many(state[foreign[0]].shape[0], 'output')} there, {wanted[foreign[0]].shape[0]} here"
        note = f"the classifier ({', '.join(foreign)}) is of another size ({shapes}) and starts from random numbers"
    elif absent and len(absent) == len(head):
        note = f"the file has no classifier ({', '.join(absent)}), so it starts from random numbers"
    else:
        return state, ()
    return {key: value for key, value in state.items() if key not in head}, (note,)


def _refuse_mismatch(path: Path, net: str, state: State, target: nn.Module, head: set[str]) -> None:
    wanted = target.state_dict()
    optional = {key for key in wanted if key.endswith("num_batches_tracked")}
    if not state.keys() & head:
        optional |= head
    misshapen = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in sorted(state.keys() & wanted.keys())
        if state[key].shape != wanted[key].shape
    ]
    problems = [
        _listed("missing", sorted(wanted.keys() - state.keys() - optional)),
        _listed("not part of the net", sorted(state.keys() - wanted.keys())),
        _listed("of another shape", misshapen),
    ]
    if any(problems):
        raise DataError(
            f"{path}: the weights are not those of {net} as it is built here ({len(wanted)} tensors): "
            f"{'; '.join(filter(None, problems))}. Name the net that the file was saved from, or use --weights none."
        )


def _listed(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f", … ({len(names)} in all)" if len(names) > _SHOWN else ""
    return f"{what}: {', '.join(names[:_SHOWN])}{more}"
