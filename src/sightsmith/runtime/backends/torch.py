"""PyTorch: the backend that runs a bundle from its weights, without an export. It imports torch when it loads."""

from importlib.util import find_spec
from pathlib import Path

from sightsmith.bundle.store import Bundle
from sightsmith.core.machine import this_machine
from sightsmith.runtime.session import Session

RANK = 90
EXPORTED = False


def missing() -> str | None:
    """Return why PyTorch cannot run here and what to install, or None."""
    absent = [name for name in ("torch", "lightning", "timm") if find_spec(name) is None]
    return f"{', '.join(absent)} not installed: pip install 'sightsmith[train]'" if absent else None


def precisions() -> tuple[str, ...]:
    """Return bf16 first if the processor or the graphics card multiplies it, else fp32."""
    from torch import cuda

    bf16 = this_machine().bf16 or (cuda.is_available() and cuda.is_bf16_supported())
    return ("bf16", "fp32") if bf16 else ("fp32",)


def load(bundle: Bundle, folder: Path, graph: str, precision: str, threads: int) -> Session:  # noqa: ARG001 -- as every backend
    """Build the nets again and give them their weights."""
    from sightsmith.runtime.torch_session import load_session

    return load_session(bundle, graph, precision, threads)
