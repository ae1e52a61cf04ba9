"""Listings of nets, tasks and the machine's features, as text and as JSON."""

import importlib.util
import platform
import socket
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sightsmith import __version__
from sightsmith.core import machine
from sightsmith.core.errors import SettingsError
from sightsmith.core.machine import require_training
from sightsmith.core.names import did_you_mean
from sightsmith.core.settings import field_docs, to_mapping
from sightsmith.runtime.backends import BACKENDS
from sightsmith.tasks import TASKS

if TYPE_CHECKING:
    from sightsmith.nets.parts.records import NetInfo


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
    builder = _training_part("sightsmith.nets.build")
    if limit < 1:
        raise SettingsError(f"--limit must be at least 1, got {limit}.")
    count, shown = len(builder.matching(search)), builder.net_names(search, limit)
    if not shown:
        names = [info.name for info in builder.net_names(search[:4] if search else None, 200)]
        raise SettingsError(f"no net's name contains {search!r}. {did_you_mean(search or '', names)}")
    width = max(len(info.name) for info in shown) + 2
    lines = [f"{info.name:<{width}}{info.library:<12}{_weights(info)}".rstrip() for info in shown]
    if count > len(shown):
        lines.append(f"… and {count - len(shown):,} more: narrow it with --search, or raise --limit.")
    return Overview([asdict(info) for info in shown], "\n".join(lines))


def net(name: str) -> Overview:
    """Show one net: its settings, paper, licence and published weights."""
    info = _training_part("sightsmith.nets.build").describe_net(name)
    known = [
        ("parameters", f"{info.parameters:,}"),
        ("paper", info.paper or "none recorded"),
        ("licence", f"{info.licence} (code)"),
        *([("made for", f"{info.native.width}×{info.native.height} pixels")] if info.native else []),
    ]
    text = _table(
        {
            f"{info.name} ({info.library})": known,
            "Published weights (--weights pretrained takes the first)": info.pretrained,
            "Settings, given as --net.NAME VALUE": [
                (setting.name, f"{setting.help} [default: {setting.default}]") for setting in info.settings
            ],
        }
    )
    return Overview(asdict(info), text)


def _weights(info: "NetInfo") -> str:
    return f"weights: {', '.join(tag for tag, _ in info.pretrained[:2])}" if info.pretrained else ""


def task(name: str) -> Overview:
    """Show the settings of a task with their help."""
    _training_part("sightsmith.tasks")
    settings = TASKS.module(name).Settings
    docs = field_docs(settings)
    facts = {key: {"default": value, "help": docs.get(key, "")} for key, value in to_mapping(settings()).items()}
    rows = [(key, f"{one['help']} [default: {one['default']}]") for key, one in facts.items()]
    return Overview(facts, _table({f"Settings of the task {name}, given as --task.NAME VALUE:": rows}))


def doctor(host: str, port: int | None) -> Overview:
    """Look at the machine, the devices, the backends, the versions, and at a port if one is given."""
    seen = machine.this_machine()
    devices, training = _devices(), _training_choices(seen)
    precision, why = _precision(seen)
    backends = {name: _backend(name) for name in BACKENDS.names()}
    versions = {name: found for name in _PARTS if (found := _version(name))}
    port_problem = None if port is None else _port_problem(host, port)
    text = _table(
        {
            "Machine": [
                ("processor", str(seen)),
                ("memory", f"{seen.memory / 2**30:.1f} GiB free"),
                *devices.items(),
                ("precision", f"{precision}: {why}"),
                *(
                    ({"device": "train on", "precision": "train in"}[what], f"{value}: {reason}")
                    for what, (value, reason) in training.items()
                ),
            ],
            "Backends": backends.items(),
            "Versions": [
                ("sightsmith", f"{__version__} on Python {platform.python_version()}, {platform.system()}"),
                *versions.items(),
            ],
            "Service": [] if port is None else [("port", port_problem or f"{host}:{port} is free")],
        }
    )
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
    return Overview(facts, text, failed=port_problem is not None)


def _training_part(module: str) -> ModuleType:
    require_training("models")
    return importlib.import_module(module)


def _precision(seen: machine.Machine) -> tuple[str, str]:
    if seen.amx:
        return "bf16", "the processor has matrix tiles (AMX) for it"
    if seen.bf16:
        return "bf16", "the processor supports it (AVX512-BF16)"
    return "fp32", "the processor has no bfloat16 instructions"


def _training_choices(seen: machine.Machine) -> dict[str, tuple[str, str]]:
    """Return the device and the precision that `train` would choose; nothing if torch is not installed."""
    if importlib.util.find_spec("torch") is None:
        return {}
    from sightsmith.training.plan import best_device, best_precision

    device, why = best_device()
    return {"device": (device, why), "precision": best_precision(device, seen)}


def _devices() -> dict[str, str]:
    if importlib.util.find_spec("torch") is None:
        return {"training": "not installed: pip install 'sightsmith[train]'"}
    import torch

    if not torch.cuda.is_available():
        return {} if torch.backends.mps.is_available() else {"GPU": "none that torch can use"}
    return {f"cuda:{index}": torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())}


def _backend(name: str) -> str:
    if name == "torch" and importlib.util.find_spec("torch") is None:
        return "not installed: pip install 'sightsmith[train]'"
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
