"""Reading weights safely from a file and fitting them to a net; every dropped tensor is reported.

Files: `.safetensors`, or a torch file read with `weights_only=True`, which holds tensors and no code.
"""

import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError, SettingsError
from sightsmith.core.files import sha256
from sightsmith.nets.parts.headed import HeadedNet
from sightsmith.nets.parts.records import WeightsRecord

State = dict[str, Tensor]
Adapt = Callable[[State], tuple[State, tuple[str, ...]]]
"""Renames and resizes a foreign state to fit the net, and returns notes on its changes."""

_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".th", ".ckpt", ".tar")
_CONTAINERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "weights")
_PREFIXES = (
    "",
    "module.",
    "model.",
    "net.",
    "net.net.",
    "_orig_mod.",
    "module.model.",
    "backbone.",
    "encoder.",
    "features.",
)
_SHOWN = 4


def load_weights(module: HeadedNet, path: Path, *, net: str, adapt: Adapt | None = None) -> WeightsRecord:
    """Load a file's weights into a net; `adapt` changes a state that does not fit.

    The head stays random if the file's head has another number of classes, and all but the part that gives features
    if the file is of a net of another family that has the same part; the record says so.

    Raises:
        SettingsError: there is no such file, or its suffix is unknown.
        DataError: the file is damaged, holds more than tensors, or belongs to another net.
    """
    target = module.published()
    wanted, head_ids = target.state_dict(), {id(parameter) for parameter in module.class_parameters()}
    notes: tuple[str, ...] = ()
    read = read_state(path)
    state = _renamed(read, wanted)
    if (features := module.feature_net()) is not None and not state.keys() & wanted.keys():
        return _load_features(module, features, path, read, net)
    if adapt is not None and (state.keys() != wanted.keys() or _misshapen(state, wanted)):
        state, notes = adapt(state)
    head = {key for key, value in target.named_parameters(remove_duplicate=False) if id(value) in head_ids}
    state, dropped = _without_foreign_head(state, wanted, head)
    _refuse_mismatch(path, net, state, wanted, head)
    target.load_state_dict(state, strict=False)
    return WeightsRecord(path.name, "not stated", sha256(path), notes + dropped, new_head=bool(dropped))


def _load_features(module: HeadedNet, features: nn.Module, path: Path, read: State, net: str) -> WeightsRecord:
    """Load the tensors of the part that gives features, by name and shape. Raises DataError: less than half fit."""
    wanted = features.state_dict()
    own_names = {other: key for key in wanted for other in _undivided(key)}
    state = {own_names[key]: value for key, value in _renamed(read, own_names).items() if key in own_names}
    fitting = {key: state[key] for key in state if state[key].shape == wanted[key].shape}
    if 2 * len(fitting) < len(wanted):
        raise DataError(
            f"{path}: only {len(fitting)} of the {many(len(wanted), 'tensor')} that give features to {net} are in it, "
            "by name and shape. Name the net that the file was saved from, as the net or, for a classifier, as its "
            "backbone, or use --weights none."
        )
    features.load_state_dict(fitting, strict=False)
    note = (
        f"{len(fitting)} of {many(len(wanted), 'tensor')} of the backbone are taken from {path.name}; the rest of the "
        "net starts from random numbers"
    )
    taken = {id(value) for key, value in features.named_parameters(remove_duplicate=False) if key in fitting}
    random = any(id(value) not in taken for value in module.backbone_parameters())
    return WeightsRecord(path.name, "not stated", sha256(path), (note,), random_backbone=random)


def _undivided(key: str) -> Iterator[str]:
    """Yield the names that a tensor of a backbone may have in the whole net: `stages_0.conv` is `stages.0.conv`.

    timm joins the first two parts of a name by `_` if it takes a backbone's maps from inside a sequence of layers.
    """
    yield key
    first, _, rest = key.partition(".")
    for place, letter in enumerate(first):
        if letter == "_":
            yield f"{first[:place]}.{first[place + 1 :]}.{rest}"


def read_state(path: Path) -> State:
    """Read the tensors of a weights file by name; raises as `load_weights`."""
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        endings = ", ".join(_SUFFIXES)
        raise SettingsError(f"weights {str(path)!r}: must be none, pretrained, or a file ending in {endings}")
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
    except (RuntimeError, EOFError, OSError, ValueError, LookupError) as error:
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


def _renamed(state: State, wanted: Mapping[str, Any]) -> State:
    """Strip the prefix (DataParallel, Lightning, a bundle …) that makes the most names match."""
    stripped = [
        {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        for prefix in _PREFIXES
    ]
    return max(stripped, key=lambda one: len(one.keys() & wanted.keys()))


def _misshapen(state: State, wanted: State) -> dict[str, str]:
    shapes = {key: (tuple(state[key].shape), tuple(wanted[key].shape)) for key in sorted(state.keys() & wanted.keys())}
    return {key: f"{has} instead of {needs}" for key, (has, needs) in shapes.items() if has != needs}


def _without_foreign_head(state: State, wanted: State, head: set[str]) -> tuple[State, tuple[str, ...]]:
    foreign = [key for key in _misshapen(state, wanted) if key in head]
    absent = sorted(head - state.keys())
    if foreign:
        shapes = f"{many(state[foreign[0]].shape[0], 'output')} there, {wanted[foreign[0]].shape[0]} here"
        note = f"the classifier ({', '.join(foreign)}) is of another size ({shapes}) and starts from random numbers"
    elif absent and len(absent) == len(head):
        note = f"the file has no classifier ({', '.join(absent)}), so it starts from random numbers"
    else:
        return state, ()
    return {key: value for key, value in state.items() if key not in head}, (note,)


def _refuse_mismatch(path: Path, net: str, state: State, wanted: State, head: set[str]) -> None:
    optional = {key for key in wanted if key.endswith("num_batches_tracked")}
    if not state.keys() & head:
        optional |= head
    problems = {
        "missing": sorted(wanted.keys() - state.keys() - optional),
        "not part of the net": sorted(state.keys() - wanted.keys()),
        "of another shape": [f"{key} {shapes}" for key, shapes in _misshapen(state, wanted).items()],
    }
    listed = [f"{what}: {_shortened(names)}" for what, names in problems.items() if names]
    if listed:
        raise DataError(
            f"{path}: the weights are not those of {net} as it is built here ({len(wanted)} tensors): "
            f"{'; '.join(listed)}. Name the net that the file was saved from, or use --weights none."
        )


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f", … ({len(names)} in all)" if len(names) > _SHOWN else "")
