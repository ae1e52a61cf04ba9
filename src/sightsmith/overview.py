"""What there is: nets, tasks, and what this machine offers. Each listing prints as text and as JSON."""

import importlib.util
import platform
import socket
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sightsmith import __version__
from sightsmith.core import machine
from sightsmith.core.catalogue import Catalogue
from sightsmith.core.errors import SettingsError
from sightsmith.core.extras import require_training
from sightsmith.core.flags import field_docs
from sightsmith.core.names import did_you_mean
from sightsmith.core.settings import to_mapping

if TYPE_CHECKING:
    from sightsmith.nets.parts.records import NetInfo

BACKENDS = Catalogue("sightsmith.runtime.backends", "backend")
TASKS = Catalogue("sightsmith.tasks", "task")

_PARTS = (
    "numpy", "pillow", "openvino", "onnxruntime", "onnx", "torch", "torchvision", "lightning", "timm",
    "torchmetrics", "captum", "scikit-learn", "fastapi", "uvicorn",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Overview:
    """Something to print.

    Attributes:
        facts: as JSON.
        text: for reading.
        failed: something that was asked for is not there.
    """

    facts: Any
    text: str
    failed: bool = False

    def to_json(self) -> Any:
        """Return the facts as plain JSON."""
        return self.facts

    def to_text(self) -> str:
        """Return the text."""
        return self.text


@dataclass(slots=True)
class _Lines:
    """Lines of two columns under headings."""

    lines: list[str] = field(default_factory=list)

    def heading(self, text: str) -> None:
        self.lines += ["", text] if self.lines else [text]

    def row(self, name: str, value: str) -> None:
        self.lines.append(f"  {name:<14} {value}")

    def __str__(self) -> str:
        return "\n".join(self.lines)


def nets(search: str | None, limit: int) -> Overview:
    """List the nets that `train --model` takes, own ones first."""
    builder = _training_part("sightsmith.nets.build")
    if limit < 1:
        raise SettingsError(f"--limit must be at least 1, got {limit}.")
    count, shown = builder.count_nets(search), builder.net_names(search, limit)
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
    lines = _Lines()
    lines.heading(f"{info.name} ({info.library})")
    lines.row("parameters", f"{info.parameters:,}")
    lines.row("paper", info.paper or "none recorded")
    lines.row("licence", f"{info.licence} (code)")
    if info.native:
        lines.row("made for", f"{info.native.width}×{info.native.height} pixels")
    if info.pretrained:
        lines.heading("Published weights (--weights pretrained takes the first)")
        for tag, licence in info.pretrained:
            lines.row(tag, licence)
    if info.settings:
        lines.heading("Settings, given as --net.NAME VALUE")
        for setting in info.settings:
            lines.row(setting.name, f"{setting.help} [default: {setting.default}]")
    return Overview(asdict(info), str(lines))


def _weights(info: "NetInfo") -> str:
    return f"weights: {', '.join(tag for tag, _ in info.pretrained[:2])}" if info.pretrained else ""


def task(name: str) -> Overview:
    """Show the settings of a task with their help."""
    _training_part("sightsmith.tasks")
    settings = TASKS.module(name).Settings
    docs, defaults = field_docs(settings), to_mapping(settings())
    lines = _Lines([f"Settings of the task {name}, given as --task.NAME VALUE:"])
    for key, value in defaults.items():
        lines.row(key, f"{docs.get(key, '')} [default: {value}]")
    return Overview({key: {"default": value, "help": docs.get(key, "")} for key, value in defaults.items()}, str(lines))


def doctor(host: str, port: int | None) -> Overview:
    """Look at the machine, the devices, the backends, the versions, and at a port where one is given."""
    seen = machine.this_machine()
    devices = _devices()
    precision, why = _precision(seen)
    training = _training_choices(seen)
    backends = {name: _backend(name) for name in BACKENDS.names()}
    versions = {name: found for name in _PARTS if (found := _version(name))}
    port_problem = None if port is None else _port_problem(host, port)

    lines = _Lines()
    lines.heading("Machine")
    lines.row("processor", str(seen))
    lines.row("memory", f"{seen.memory / 2**30:.1f} GiB free")
    for device, what in devices.items():
        lines.row(device, what)
    lines.row("precision", f"{precision}: {why}")
    for what, (choice, reason) in training.items():
        lines.row({"device": "train on", "precision": "train in"}[what], f"{choice}: {reason}")
    lines.heading("Backends")
    for name, state in backends.items():
        lines.row(name, state)
    lines.heading("Versions")
    lines.row("sightsmith", f"{__version__} on Python {platform.python_version()}, {platform.system()}")
    for name, found in versions.items():
        lines.row(name, found)
    if port is not None:
        lines.heading("Service")
        lines.row("port", port_problem or f"{host}:{port} is free")
    facts = {
        "machine": asdict(seen),
        "devices": devices,
        "precision": precision,
        "why": why,
        "training": {what: {"value": choice, "why": reason} for what, (choice, reason) in training.items()},
        "backends": backends,
        "versions": {"sightsmith": __version__, "python": platform.python_version()} | versions,
        "port": port_problem,
    }
    return Overview(facts, str(lines), failed=port_problem is not None)


def _training_part(module: str) -> ModuleType:
    require_training("models")
    return importlib.import_module(module)


def _precision(seen: machine.Machine) -> tuple[str, str]:
    if seen.amx:
        return "bf16", "the processor has matrix tiles (AMX) for it"
    if seen.bf16:
        return "bf16", "the processor multiplies it itself (AVX512-BF16)"
    return "fp32", "the processor has no bfloat16 instructions"


def _training_choices(seen: machine.Machine) -> dict[str, tuple[str, str]]:
    """Return the device and the precision that `train` would choose; nothing where torch is not installed."""
    if importlib.util.find_spec("torch") is None:
        return {}
    from sightsmith.training.devices import best_device, best_precision

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
