"""Finding a net by its name and building it: our own files first, then the libraries of published nets."""

import fnmatch
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from sightsmith.core.catalogue import Catalogue
from sightsmith.core.errors import SettingsError
from sightsmith.core.names import did_you_mean
from sightsmith.core.settings import from_mapping, to_mapping
from sightsmith.nets.parts.records import (
    CLASSIFIER,
    ONLY_ROLE,
    RANDOM_WEIGHTS,
    BuiltNet,
    NetInfo,
    WeightsRecord,
    describe_settings,
)
from sightsmith.nets.parts.weights import load_weights, read_state

OWN_NETS = Catalogue("sightsmith.nets", "net", besides="build")
_LIBRARIES = Catalogue("sightsmith.nets.libraries", "library of nets")
_SMALL = 64  # Pixels a side up to which pictures are small: a net that halves them five times leaves too little
# Names in the file of a net for clips
_FRAME_NET = "FRAME_NET"  # of the setting that names the net of its frames
_OWN_PART = "OWN_PART"  # of a part that no net of its frames has; without one, all weights are those of that net


def net_names(search: str | None = None, limit: int | None = None) -> list[NetInfo]:
    """List up to `limit` nets whose name contains `search`: our own, then those whose name starts with it, then others.

    `search` may also be a pattern with `*` and `?`; every net matches None.
    """
    found = matching(search)[:limit]
    return [_describe_own(name) if library is None else library.describe(name) for name, library in found]


def matching(search: str | None) -> list[tuple[str, ModuleType | None]]:
    """Return the names that `net_names` lists without a limit, with their libraries."""
    part = (search or "").lower().replace("-", "_")
    pattern = part if set("*?") & set(part) else f"*{part}*"
    found = [(name, library) for name, library in _all_names() if fnmatch.fnmatchcase(name.lower(), pattern)]
    return sorted(found, key=lambda one: (one[1] is not None, not one[0].lower().startswith(part)))


def describe_net(name: str) -> NetInfo:
    """Describe a net with its number of parameters. Raises SettingsError with the nearest names: it is unknown."""
    return _describe_own(name, count=True) if name in OWN_NETS else _library_of(name).describe(name, count=True)


def usual_picture_net(side: int) -> str:
    """Return the net that is trained if none is named, for pictures or frames with this shorter side in pixels."""
    return "smallresnet" if side <= _SMALL else "resnet18"


def published_net(name: str, settings: Mapping[str, Any], side: int) -> NetInfo:
    """Return the net whose published weights a net starts from: itself, or of a net for clips the net of its frames.

    Args:
        settings: the net's settings by name.
        side: of its input, shorter side, pixels.

    Raises SettingsError: an unknown name or setting.
    """
    if name in OWN_NETS and hasattr(file := OWN_NETS.module(name), _FRAME_NET):
        name = getattr(_resolved(file, from_mapping(file.Settings, settings, where=name), side), file.FRAME_NET)
    return _facts(name)


def require_family(name: str, family: str, task: str) -> None:
    """Raise SettingsError if a net is unknown, or of another family than a task trains; the message names the others.

    Nothing is built or fetched for it.
    """
    info = _facts(name)
    if info.family == family:
        return
    way_out = f"Train it with --task {info.own_task}, or leave --model out."
    if info.own_task is None:
        able = ", ".join(one for one in OWN_NETS.names() if _describe_own(one).family == family)
        way_out = f"Leave --model out, or name one of these: {able or 'none is known'}."
    raise SettingsError(
        f"train: {name} is a net of the family {info.family!r}, and the task {task!r} trains those of {family!r}. "
        f"{way_out}"
    )


def fetch_weights(name: str) -> Path:
    """Return the file of a library net's published weights, fetching it if it is not in the cache.

    Raises:
        SettingsError: no library has a net of that name, or it has no published weights.
        DataError: they cannot be fetched; the message says what to do.
    """
    return _library_of(name).fetch(name)


def build_net(
    name: str,
    settings: Mapping[str, Any] | None = None,
    *,
    channels: int,
    classes: int,
    height: int,
    width: int,
    weights: str = "none",
    role: str = ONLY_ROLE,
) -> BuiltNet:
    """Build a net for pictures of `height` × `width` pixels, in training mode; our own nets take precedence.

    Args:
        settings: the net's settings by name; the defaults for those left out.
        classes: that it tells apart, ≥ 1; for the other families the labels that it takes as a condition, 0 for none.
        weights: "none" (random, from torch's global generator), "pretrained", or the path of a weights file; of a net
            for clips, "pretrained" are those of the net that describes each frame.
        role: the part of the net to build. A net of one part alone, as a classifier is, is built whole for any role.

    Raises:
        SettingsError: an unknown name or setting, a size that the net cannot take, or a role that it does not have;
            the message names valid ones.
        DataError: the weights cannot be fetched or read, or are another net's.
    """
    if channels not in (1, 3):
        raise SettingsError(f"{name}: channels must be 1 (grey) or 3 (RGB), got {channels}")
    _require_role(name, role)
    parts = name in OWN_NETS and _roles(name) != (ONLY_ROLE,)
    if not parts and classes < 1:
        raise SettingsError(f"{name}: a classifier needs at least 1 class, got {classes}")
    if classes < 0:
        raise SettingsError(f"{name}: classes must be ≥ 0, and 0 is without labels; got {classes}")
    raw, sizes = settings or {}, {"channels": channels, "classes": classes, "height": height, "width": width}
    if name not in OWN_NETS:
        return _library_of(name).build(name, raw, weights=weights, **sizes)
    file = OWN_NETS.module(name)
    if weights == "pretrained" and not hasattr(file, _FRAME_NET):
        raise SettingsError(f"{name}: it has no published weights. Use --weights none or --weights FILE.")
    if weights != "none" and parts:
        raise SettingsError(f"{name}: its {role} starts from random numbers, not from {weights}. Use --weights none.")
    given = _resolved(file, from_mapping(file.Settings, raw, where=name), min(height, width))
    frame_net = _frame_net(file, given, sizes, weights)
    module = _build_part(file, given, role, sizes, frame_net)
    return BuiltNet(
        module=module,
        name=name.replace("-", "_"),
        settings=to_mapping(given),
        paper=file.PAPER,
        licence=file.LICENCE,
        weights=_start(module, weights, name, file, frame_net),
        native=None if frame_net is None else frame_net.native,
    )


def build_for_features(name: str, *, height: int, width: int, weights: str) -> BuiltNet:
    """Build a classifier for colour pictures whose features alone are used; raises as `build_net`."""
    return build_net(name, channels=3, classes=1, height=height, width=width, weights=weights)


def _build_part(
    file: ModuleType, settings: Any, role: str, sizes: Mapping[str, int], frame_net: BuiltNet | None
) -> Any:
    """Build one of our own nets; a file without roles takes none, and one for clips takes the net of its frames."""
    if frame_net is not None:
        return file.build(settings, frame_net.module, **sizes)
    return file.build(settings, role=role, **sizes) if hasattr(file, "ROLES") else file.build(settings, **sizes)


def _resolved(file: ModuleType, settings: Any, side: int) -> Any:
    """Return the settings of a net with the net of its frames named, which an open one has chosen by their side."""
    if getattr(settings, getattr(file, _FRAME_NET, ""), None) != "auto":
        return settings
    return replace(settings, **{file.FRAME_NET: usual_picture_net(side)})


def _frame_net(file: ModuleType, settings: Any, sizes: Mapping[str, Any], weights: str) -> BuiltNet | None:
    """Build the picture net that a net for clips shows each frame; None for nets without one.

    Raises SettingsError: no net has that name, or it is no classifier of pictures that learns by gradient descent.
    """
    if not hasattr(file, _FRAME_NET):
        return None
    name = getattr(settings, file.FRAME_NET)
    info = _facts(name)
    if info.family != CLASSIFIER or info.fitted:
        raise SettingsError(
            f"net.{file.FRAME_NET}: {name} is no classifier of pictures that is trained by gradient descent. Name one, "
            "such as smallresnet or resnet18."
        )
    return build_net(name, weights="none" if _of_whole_net(file, weights) else weights, **sizes)


def _of_whole_net(file: ModuleType, weights: str) -> bool:
    """Tell whether weights are those of a net for clips, and not of the net that describes its frames."""
    if weights in ("none", "pretrained") or not hasattr(file, _OWN_PART):
        return False
    return any(f"{file.OWN_PART}." in key for key in read_state(Path(weights)))


def _start(module: Any, weights: str, name: str, file: ModuleType, frame_net: BuiltNet | None) -> WeightsRecord:
    """Load the weights that one of our own nets starts from, unless its frame net has them; return their record."""
    if weights == "none":
        return RANDOM_WEIGHTS
    if frame_net is None or frame_net.weights == RANDOM_WEIGHTS:
        return load_weights(module, Path(weights), net=name)
    record = frame_net.weights
    if not hasattr(file, _OWN_PART):
        return record
    note = f"all of {name} but its {file.FRAME_NET} starts from random numbers"
    return replace(record, notes=(*record.notes, note), new_head=True)


def _require_role(name: str, role: str) -> None:
    """Raise SettingsError if a net is unknown, or has several parts and none of that role."""
    if name not in OWN_NETS:
        _library_of(name)
        return
    roles = _roles(name)
    if roles == (ONLY_ROLE,) or role in roles:
        return
    raise SettingsError(
        f"{name} has the roles {' and '.join(roles)}, not {role!r}. Train it with --task "
        f"{OWN_NETS.module(name).FAMILY}, or name another --model."
    )


def _roles(name: str) -> tuple[str, ...]:
    roles: tuple[str, ...] = getattr(OWN_NETS.module(name), "ROLES", (ONLY_ROLE,))
    return roles


def _facts(name: str) -> NetInfo:
    """Describe a net without its number of parameters: nothing is built."""
    return _describe_own(name) if name in OWN_NETS else _library_of(name).describe(name)


def _describe_own(name: str, *, count: bool = False) -> NetInfo:
    file, roles, parameters = OWN_NETS.module(name), _roles(name), None
    if count:
        sizes = {"channels": 3, "classes": 10, "height": 32, "width": 32}
        with torch.device("meta"):
            settings = _resolved(file, file.Settings(), sizes["height"])
            frame_net = _frame_net(file, settings, sizes, "none")
            modules = [_build_part(file, settings, role, sizes, frame_net) for role in roles]
        parameters = sum(parameter.numel() for module in modules for parameter in module.parameters())
    return NetInfo(
        name=name,
        library="sightsmith",
        paper=file.PAPER,
        licence=file.LICENCE,
        settings=describe_settings(file.Settings),
        parameters=parameters,
        family=getattr(file, "FAMILY", CLASSIFIER),
        roles=roles,
    )


def knows(name: str) -> bool:
    """Tell whether there is a net of that name."""
    return name in OWN_NETS or any(_LIBRARIES.module(library).knows(name) for library in _LIBRARIES.names())


def _library_of(name: str) -> ModuleType:
    for module in map(_LIBRARIES.module, _LIBRARIES.names()):
        if module.knows(name):
            return module
    raise SettingsError(f"unknown net {name!r}. {did_you_mean(name, [known for known, _ in _all_names()])}")


def _all_names() -> list[tuple[str, ModuleType | None]]:
    """Return every name with its library, None for our own; library nets with the name of one of ours are omitted."""
    own = OWN_NETS.names()
    found: list[tuple[str, ModuleType | None]] = [(name, None) for name in own]
    for module in map(_LIBRARIES.module, _LIBRARIES.names()):
        found += [(name, module) for name in module.names() if name not in own]
    return found
