"""Running a bundle in PyTorch, from its weights. Only onnx_graph.py and feature_nets.py beside it import torch too."""

import logging
import os
import threading
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from sightsmith.bundle.definition import Definition
from sightsmith.bundle.store import Bundle
from sightsmith.core.counts import many
from sightsmith.core.errors import BundleError
from sightsmith.core.machine import usable_cores
from sightsmith.core.ports import Arrays
from sightsmith.core.threads import ThreadPolicy
from sightsmith.nets.build import build_net
from sightsmith.nets.parts.layout import channels_last
from sightsmith.runtime.session import Session
from sightsmith.tasks import TASKS

log = logging.getLogger("sightsmith.runtime")


def rebuild(bundle: Bundle) -> dict[str, nn.Module]:
    """Build a bundle's nets again, by role: each with its weights, in evaluation mode.

    Raises BundleError: the weights do not fit the net.
    """
    definition = bundle.manifest.definition
    sizes = TASKS.module(bundle.manifest.task.name).sizes(definition.names, definition.input_settings)
    nets: dict[str, nn.Module] = {}
    for role, net in bundle.manifest.nets.items():
        built = build_net(net.name, net.settings, role=role, weights="none", **sizes)
        weights = {name: torch.from_numpy(array) for name, array in bundle.weights(role).items()}
        try:
            built.module.load_state_dict(weights, strict=True)
        except RuntimeError as error:
            raise BundleError(
                f"{bundle.path}: the weights do not fit the net {built.name!r}: {error}. "
                f"The bundle was made with {bundle.manifest.versions}."
            ) from error
        nets[role] = built.module.eval()
    return nets


def graph_module(
    task: str, nets: Mapping[str, nn.Module], definition: Definition, graph: str, outputs: tuple[str, ...] = ()
) -> nn.Module:
    """Return a graph as a module: from its inputs, in order, to a tuple of the outputs that are asked for."""
    record = definition.graphs[graph]
    make = TASKS.module(task).graph
    module = make(nets, definition.input_settings, graph, outputs or record.outputs, record.settings)
    return module.eval().requires_grad_(False)


def load_session(bundle: Bundle, graph: str, precision: str, threads: int) -> Session:
    """Load a graph of a bundle into PyTorch, on the graphics card if there is one; "bf16" is autocast.

    `threads` of torch are for the whole process; 0 tunes the number, on a processor.
    """
    _one_thread_in_forked_processes()
    if threads:
        torch.set_num_threads(threads)
    follow = not threads and "OMP_NUM_THREADS" not in os.environ
    manifest = bundle.manifest
    return TorchSession(manifest.task.name, rebuild(bundle), manifest.definition, precision, graph=graph, follow=follow)


@cache
def _one_thread_in_forked_processes() -> None:
    """Make forked processes compute with one thread: OpenMP's other threads do not exist there."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


class TorchSession(Session):
    """A model in PyTorch; a forward pass in evaluation mode changes nothing, so threads may share it.

    With `follow` the number of compute threads is tuned continuously, separately for each batch size. A
    change is logged with its reason, except the first choice of all cores.
    """

    def __init__(
        self,
        task: str,
        nets: Mapping[str, nn.Module],
        definition: Definition,
        precision: str,
        *,
        graph: str,
        follow: bool = False,
    ) -> None:
        record = definition.graphs[graph]
        super().__init__(precision, record.inputs, record.outputs)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._most = min(torch.get_num_threads(), usable_cores()) if follow and self._device.type == "cpu" else 0
        self._policies: dict[tuple[int, tuple[str, ...]], ThreadPolicy] = {}
        self._told: dict[tuple[int, tuple[str, ...]], int] = {}
        self._lock = threading.Lock()
        for net in nets.values():
            channels_last(net.to(device=self._device))
        # the outputs after the first can cost many times as much (occlusion), so each is left out if not asked for
        self._modules = {
            names: graph_module(task, nets, definition, graph, names).to(device=self._device)
            for names in (record.outputs, record.outputs[:1])
        }

    def describe(self) -> str:
        device = many(torch.get_num_threads(), "thread") if self._device.type == "cpu" else torch.cuda.get_device_name()
        return f"PyTorch {torch.__version__.split('+')[0]}, {self.precision}, {device}"

    def _run(self, feeds: Arrays, outputs: tuple[str, ...]) -> Arrays:
        whole = [np.require(feeds[name], requirements=("C", "W")) for name in self.ports]
        inputs = [torch.from_numpy(array).to(self._device) for array in whole]
        reduced = self.precision == "bf16"
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=reduced):
            computed = outputs if outputs == self.outputs[:1] else self.outputs
            answers = self._compute(self._modules[computed], inputs, computed)
        named = dict(zip(computed, answers, strict=True))
        return {name: named[name].float().cpu().numpy() for name in outputs}

    def _compute(self, module: nn.Module, inputs: list[torch.Tensor], outputs: tuple[str, ...]) -> Any:
        if not self._most:
            return module(*inputs)
        kind = len(inputs[0]), outputs
        with self._lock:
            policy = self._policies.setdefault(kind, ThreadPolicy(self._most))
            threads = policy.threads
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)
        start = time.monotonic()
        answers = module(*inputs)
        with self._lock:
            if threads == policy.threads:
                line = policy.note(len(inputs[0]), max(time.monotonic() - start, 1e-9))
                if line and policy.threads != self._told.get(kind, self._most):
                    self._told[kind] = policy.threads
                    log.info("batches of %d: %s", len(inputs[0]), line)
        return answers
