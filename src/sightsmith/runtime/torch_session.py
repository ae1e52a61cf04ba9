"""Running a bundle in PyTorch, from its weights. With graph.py the only file of the runtime that imports torch.

Shapes: N pictures of a batch, H, W, C height, width and channels of the net's input.
"""

import logging
import os
import threading
import time
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sightsmith.bundle.store import Bundle
from sightsmith.core.catalogue import Catalogue
from sightsmith.core.counts import many
from sightsmith.core.errors import BundleError
from sightsmith.core.machine import usable_cores
from sightsmith.core.settings import from_mapping
from sightsmith.core.threads import ThreadPolicy
from sightsmith.nets.build import build_net
from sightsmith.runtime.session import Arrays, Session

log = logging.getLogger("sightsmith.runtime")

TASKS = Catalogue("sightsmith.tasks", "task")


def graphics_bf16() -> bool:
    """Whether there is a graphics card that multiplies bfloat16."""
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def rebuild(bundle: Bundle) -> Any:
    """Build a bundle's task again: its net with the bundle's weights, in evaluation mode.

    Returns:
        The task of tasks/; `exported` gives the module from (N, H, W, C) uint8 to the outputs.

    Raises:
        BundleError: the weights do not fit the net.
    """
    manifest = bundle.manifest
    file = TASKS.module(manifest.task["name"])
    height, width, channels = manifest.preprocessing.shape
    built = build_net(
        manifest.net["name"],
        manifest.net["settings"],
        channels=channels,
        classes=len(manifest.classes),
        height=height,
        width=width,
        weights="none",
    )
    weights = {name: torch.from_numpy(array) for name, array in bundle.weights().items()}
    try:
        built.module.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise BundleError(
            f"{bundle.path}: the weights do not fit the net {built.name!r}: {error}. "
            f"The bundle was made with {manifest.versions}."
        ) from error
    settings = from_mapping(file.Settings, manifest.task["settings"], where=f"{bundle.path}: task settings")
    return file.Task(built.module, manifest.classes, manifest.preprocessing, settings).eval()


def exported_module(bundle: Bundle) -> nn.Module:
    """Return the module that exports write down: (N, H, W, C) uint8 to a tuple of the bundle's outputs."""
    module: nn.Module = rebuild(bundle).exported(bundle.manifest.temperature)
    return module.eval().requires_grad_(False)


def load_session(bundle: Bundle, precision: str, threads: int) -> Session:
    """Load a bundle into PyTorch, on the graphics card where there is one.

    Args:
        bundle: the bundle.
        precision: "fp32" or "bf16" (autocast).
        threads: threads of torch, for the whole process; 0 tries how many are quickest, on a processor.
    """
    _one_thread_in_forked_processes()
    if threads:
        torch.set_num_threads(threads)
    manifest = bundle.manifest
    return TorchSession(
        rebuild(bundle),
        manifest.temperature,
        manifest.preprocessing.shape,
        manifest.outputs,
        precision,
        follow=not threads and "OMP_NUM_THREADS" not in os.environ,
    )


@cache
def _one_thread_in_forked_processes() -> None:
    """Let a process forked from here compute with one thread: it would wait for OpenMP's others, which stayed here."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


class TorchSession(Session):
    """A model in PyTorch; a forward pass in evaluation mode changes nothing, so threads may share it.

    With `follow` the number of compute threads is the one that is quickest now, for each size of batch by itself. A
    change is logged with its reason; that all cores are quickest is not news.
    """

    def __init__(
        self,
        task: Any,
        temperature: float,
        shape: tuple[int, int, int],
        outputs: tuple[str, ...],
        precision: str,
        *,
        follow: bool = False,
    ) -> None:
        super().__init__(precision, shape, outputs)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._most = min(torch.get_num_threads(), usable_cores()) if follow and self._device.type == "cpu" else 0
        self._policies: dict[tuple[int, tuple[str, ...]], ThreadPolicy] = {}
        self._told: dict[tuple[int, tuple[str, ...]], int] = {}
        self._lock = threading.Lock()
        task.to(device=self._device).to(memory_format=torch.channels_last).requires_grad_(False)
        # the outputs after the first can cost many times as much (occlusion), so each is left out where not asked for
        self._modules = {
            names: task.exported(temperature, names).to(device=self._device) for names in (outputs, outputs[:1])
        }

    def describe(self) -> str:
        where = many(torch.get_num_threads(), "thread") if self._device.type == "cpu" else torch.cuda.get_device_name()
        return f"PyTorch {torch.__version__.split('+')[0]}, {self.precision}, {where}"

    def _run(self, pixels_NHWC: NDArray[np.uint8], outputs: tuple[str, ...]) -> Arrays:
        pixels = torch.from_numpy(np.require(pixels_NHWC, requirements=("C", "W"))).to(self._device)
        reduced = self.precision == "bf16"
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=reduced):
            computed = outputs if outputs == self.outputs[:1] else self.outputs
            answers = self._compute(self._modules[computed], pixels, computed)
        named = dict(zip(computed, answers, strict=True))
        return {name: named[name].float().cpu().numpy() for name in outputs}

    def _compute(self, module: nn.Module, pixels: torch.Tensor, outputs: tuple[str, ...]) -> Any:
        if not self._most:
            return module(pixels)
        kind = len(pixels), outputs
        with self._lock:
            policy = self._policies.setdefault(kind, ThreadPolicy(self._most))
            threads = policy.threads
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)
        start = time.monotonic()
        answers = module(pixels)
        with self._lock:
            if threads == policy.threads:
                self._tell(kind, policy.note(len(pixels), max(time.monotonic() - start, 1e-9)), policy.threads)
        return answers

    def _tell(self, kind: tuple[int, tuple[str, ...]], line: str | None, threads: int) -> None:
        if line and threads != self._told.get(kind, self._most):
            self._told[kind] = threads
            log.info("batches of %d: %s", kind[0], line)
