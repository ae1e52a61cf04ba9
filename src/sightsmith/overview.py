"""Listings of nets, tasks and the machine's features, as text and as JSON."""

import importlib.util
import platform
import socket
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sightsmith import __version__
from sightsmith.core import machine
from sightsmith.core.errors import SettingsError
from sightsmith.core.machine import require_training
from sightsmith.core.names import did_you_mean
from sightsmith.core.settings import field_docs, to_mapping
from sightsmith.runtime.backends import BACKENDS
from sightsmith.tasks import TASKS

_PARTS = (
    "numpy", "pillow", "openvino", "onnxruntime", "onnx", "torch", "torchvision", "lightning", "timm",
    "captum", "scikit-learn", "fastapi", "uvicorn",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Overview:
    facts: Any  # As JSON
    text: str  # For reading
    failed: bool = False  # Something that was asked for is not there


def _table(sections: Mapping[str, Iterable[tuple[str, str]]]) -> str:
    """Return rows of two columns under the headings of those sections that have any."""
    parts = [
        "\n".join([title, *(f"  {name:<14} {value}" for name, value in rows)])
        for title, found in sections.items()
        if (rows := list(found))
    ]
    return "\n\n".join(parts)


def nets(search: str | None, limit: int) -> Overview:
    """List the nets that `train --model` takes, own ones first."""
    require_training("models")
    from sightsmith.nets.build import matching, net_names

    if limit < 1:
        raise SettingsError(f"--limit must be at least 1, got {limit}.")
    count, shown = len(matching(search)), net_names(search, limit)
    if not shown:
        names = [info.name for info in net_names(search[:4] if search else None, 200)]
        raise SettingsError(f"no net's name contains {search!r}. {did_you_mean(search or '', names)}")
    width = max(len(info.name) for info in shown) + 2
    lines = []
    for info in shown:
        note = f"weights: {', '.join(tag for tag, _ in info.pretrained[:2])}" if info.pretrained else ""
        if info.own_task:
            note = f"task: {info.own_task}"
        lines.append(f"{info.name:<{width}}{info.library:<12}{note}".rstrip())
    if count > len(shown):
        lines.append(f"… and {count - len(shown):,} more: narrow it with --search, or raise --limit.")
    return Overview([asdict(info) for info in shown], "\n".join(lines))


def net(name: str) -> Overview:
    """Show one net: its settings, paper, licence and published weights."""
    require_training("models")
    from sightsmith.nets.build import describe_net

    info = describe_net(name)
    known = [
        ("parameters", "set by the training data" if info.parameters is None else f"{info.parameters:,}"),
        ("paper", info.paper or "none recorded"),
        ("licence", f"{info.licence} (code)"),
    ]
    if info.own_task:
        parts = f", as {' and '.join(info.roles)}" if len(info.roles) > 1 else ""
        known.append(("trained by", f"--task {info.own_task}{parts}"))
    if info.native and (info.pretrained or not info.fitted):  # computed features take any size
        known.append(("made for", f"{info.native.width}×{info.native.height} pixels"))
    known += [
        (what, " ".join(f"--{key.replace('_', '-')} {value:g}" for key, value in recipe.items()))
        for what, recipe in (("trained with", info.recipe), ("trained weights with", info.fine_tuning))
        if recipe
    ]
    sections = {
        f"{info.name} ({info.library})": known,
        "Published weights (--weights pretrained takes the first)": info.pretrained,
        "Settings, given as --net.NAME VALUE": [(one.name, _help(one.help, one.default)) for one in info.settings],
    }
    return Overview(asdict(info), _table(sections))


def task(name: str) -> Overview:
    """Show the settings of a task with their help."""
    require_training("models")
    settings = TASKS.module(name).Settings
    docs = field_docs(settings)
    facts = {key: {"default": value, "help": docs.get(key, "")} for key, value in to_mapping(settings()).items()}
    rows = [(key, _help(one["help"], one["default"])) for key, one in facts.items()]
    return Overview(facts, _table({f"Settings of the task {name}, given as --task.NAME VALUE:": rows}))


def _help(text: str, default: object) -> str:
    return f"{text} [default: {default}]"


def doctor(host: str, port: int | None) -> Overview:
    """Look at the machine, the devices, the backends, the versions, and at a port if one is given."""
    seen = machine.this_machine()
    devices, training = _training(seen)
    precision, why = _precision(seen)
    backends = {name: _backend(name) for name in BACKENDS.names()}
    versions = {name: found for name in _PARTS if (found := _version(name))}
    port_problem = None if port is None else _port_problem(host, port)
    verbs = {"device": "train on", "precision": "train in"}
    sections: dict[str, Iterable[tuple[str, str]]] = {
        "Machine": [
            ("processor", str(seen)),
            ("memory", f"{seen.memory / 2**30:.1f} GiB free"),
            *devices.items(),
            ("precision", f"{precision}: {why}"),
            *((verbs[what], f"{value}: {reason}") for what, (value, reason) in training.items()),
        ],
        "Backends": backends.items(),
        "Versions": [
            ("sightsmith", f"{__version__} on Python {platform.python_version()}, {platform.system()}"),
            *versions.items(),
        ],
        "Service": [] if port is None else [("port", port_problem or f"{host}:{port} is free")],
    }
    facts = {
        "machine": asdict(seen),
        "devices": devices,
        "precision": precision,
        "why": why,
        "training": {what: {"value": value, "why": reason} for what, (value, reason) in training.items()},
        "backends": backends,
        "versions": {"sightsmith": __version__, "python": platform.python_version()} | versions,
        "port": port_problem,
    }
    return Overview(facts, _table(sections), failed=port_problem is not None)


def _precision(seen: machine.Machine) -> tuple[str, str]:
    if seen.amx:
        return "bf16", "the processor has matrix tiles (AMX) for it"
    if seen.bf16:
        return "bf16", "the processor supports it (AVX512-BF16)"
    return "fp32", "the processor has no bfloat16 instructions"


def _training(seen: machine.Machine) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """Return the devices of torch by name, and the device and precision that `train` would choose, each with why."""
    if importlib.util.find_spec("torch") is None:
        return {"training": "not installed: pip install 'sightsmith[train]'"}, {}
    import torch

    from sightsmith.training.plan import best_device, best_precision

    device, why = best_device()
    choices = {"device": (device, why), "precision": best_precision(device, seen)}
    if torch.cuda.is_available():
        return {f"cuda:{at}": torch.cuda.get_device_name(at) for at in range(torch.cuda.device_count())}, choices
    return {} if torch.backends.mps.is_available() else {"GPU": "none that torch can use"}, choices


def _backend(name: str) -> str:
    backend = BACKENDS.module(name)
    return backend.missing() or f"ready ({', '.join(backend.precisions())})"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _port_problem(host: str, port: int) -> str | None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            return f"{host}:{port} cannot be listened on ({error}). Give another: PORT=8001 or --port 8001."
    return None
