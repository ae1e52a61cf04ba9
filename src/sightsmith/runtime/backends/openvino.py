"""OpenVINO on the processor: the fast backend, without torch.

`run` uses a model compiled for the time of one answer, `stream` one compiled for answers a second; each is compiled
on first use, with only the requested outputs. No usage data is sent: OpenVINO's telemetry is
never loaded.
"""

import os
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from sightsmith.bundle.definition import Graph
from sightsmith.bundle.store import Bundle
from sightsmith.core.counts import many
from sightsmith.core.errors import BackendError
from sightsmith.core.machine import this_machine, usable_cores
from sightsmith.core.ports import Arrays, check_feeds
from sightsmith.runtime.session import Session

RANK = 10
EXPORTED = True

_TYPES = {"fp32": "f32", "bf16": "bf16"}
Hint = Literal["LATENCY", "THROUGHPUT"]


def missing() -> str | None:
    """Return why OpenVINO cannot run here and what to install, or None."""
    return None if find_spec("openvino") else "OpenVINO is not installed: pip install openvino"


def precisions() -> tuple[str, ...]:
    """Return bf16 first if the processor multiplies it (AMX or AVX512-BF16: 2 to 5 times faster), else fp32."""
    return ("bf16", "fp32") if this_machine().bf16 else ("fp32",)


def compile(onnx_file: Path, folder: Path) -> None:  # noqa: A001 -- the name every backend has
    """Convert an exported graph; writes `GRAPH.xml` and `GRAPH.bin`, weights in fp32.

    The facts in the graph's metadata are written below `model_info`, where OpenVINO's own tools look for them.
    """
    ov = _openvino()
    try:
        model = _core().read_model(onnx_file)
        for name, fact in (model.get_rt_info("framework").value if model.has_rt_info("framework") else {}).items():
            model.set_rt_info(fact, ["model_info", name])
        ov.save_model(model, folder / f"{onnx_file.stem}.xml", compress_to_fp16=False)
    except RuntimeError as error:
        raise BackendError(f"openvino: cannot convert the graph: {_short(error)}") from error


def load(bundle: Bundle, folder: Path, graph: str, precision: str, threads: int) -> Session:
    """Load a bundle's export. Raises BackendError: OpenVINO cannot read it."""
    file = folder / f"{graph}.xml"
    text, weights = bundle.content(file), bundle.content(file.with_suffix(".bin"))
    try:
        # Read from memory: given a path, OpenVINO maps the file and would see later changes to it.
        model = _core().read_model(text, weights)
    except RuntimeError as error:
        raise BackendError(f"openvino: cannot read {file}: {_short(error)}. Export it again.") from error
    return OpenVinoSession(model, bundle.manifest.definition.graphs[graph], precision, threads)


@dataclass(slots=True, eq=False)
class _Compiled:
    """A compiled model and the requests that are free to use; `deque` may be shared between threads."""

    model: Any
    free: deque[Any] = field(default_factory=deque)

    def take(self) -> Any:
        try:
            return self.free.pop()
        except IndexError:
            return self.model.create_infer_request()


class OpenVinoSession(Session):
    def __init__(self, model: Any, graph: Graph, precision: str, threads: int) -> None:
        super().__init__(precision, graph.inputs, graph.outputs)
        self._model, self._threads = model, threads
        self._compiled: dict[tuple[tuple[str, ...], Hint], _Compiled] = {}
        self._lock = threading.Lock()

    def describe(self) -> str:
        version = _openvino().__version__.split("-")[0]
        return f"OpenVINO {version}, {self.precision}, {many(self._threads or usable_cores(), 'thread')}"

    def stream(self, batches: Iterable[Arrays], outputs: Sequence[str] = ()) -> Generator[Arrays, None, None]:
        """Answer many batches, in order; OpenVINO's optimal number of requests runs at once."""
        names = self.chosen(outputs)
        compiled = self._get(names, "THROUGHPUT")
        most = compiled.model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        under_way: deque[tuple[Any, Arrays]] = deque()
        try:
            for feeds in batches:
                check_feeds(self.ports, feeds)
                if len(under_way) > most:
                    request, _kept = under_way.popleft()  # keeps the arrays alive until the request is done
                    yield self._answer(compiled, request, names)
                under_way.append(self._start(compiled, feeds))
            while under_way:
                request, _kept = under_way.popleft()
                yield self._answer(compiled, request, names)
        finally:
            for request, _ in under_way:  # the reader stopped early
                request.wait()

    def _run(self, feeds: Arrays, outputs: tuple[str, ...]) -> Arrays:
        compiled = self._get(outputs, "LATENCY")
        request, _kept = self._start(compiled, feeds)
        return self._answer(compiled, request, outputs)

    def _start(self, compiled: _Compiled, feeds: Arrays) -> tuple[Any, Arrays]:
        # a shared tensor must be writable
        shared = {name: np.require(array, requirements=("C", "W")) for name, array in feeds.items()}
        request = compiled.take()
        try:
            for name, array in shared.items():
                request.set_tensor(name, _openvino().Tensor(array, shared_memory=True))
            request.start_async()
        except RuntimeError as error:  # such as an axis of another length than the graph takes
            raise BackendError(f"openvino: the model failed: {_short(error)}") from error
        return request, shared

    def _answer(self, compiled: _Compiled, request: Any, outputs: tuple[str, ...]) -> Arrays:
        try:
            request.wait()
        except RuntimeError as error:
            raise BackendError(f"openvino: the model failed: {_short(error)}") from error
        arrays = {name: request.get_tensor(name).data.astype(np.float32) for name in outputs}
        compiled.free.append(request)
        return arrays

    def _get(self, outputs: tuple[str, ...], hint: Hint) -> _Compiled:
        with self._lock:
            if (outputs, hint) not in self._compiled:
                self._compiled[outputs, hint] = _Compiled(self._compile(outputs, hint))
            return self._compiled[outputs, hint]

    def _compile(self, outputs: tuple[str, ...], hint: Hint) -> Any:
        options: dict[str, Any] = {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": _TYPES[self.precision]}
        threads = self._threads or usable_cores()
        if self._threads or threads < (os.cpu_count() or threads):
            options["INFERENCE_NUM_THREADS"] = threads  # OpenVINO itself does not see a container's quota
        try:
            return _core().compile_model(_only(self._model, outputs), "CPU", options)
        except RuntimeError as error:
            raise BackendError(f"openvino: cannot compile the model: {_short(error)}") from error


def _only(model: Any, outputs: tuple[str, ...]) -> Any:
    """Return the part of a model that these outputs need."""
    results = [result for name in outputs for result in model.get_results() if name in result.output(0).get_names()]
    if len(results) != len(outputs):
        raise BackendError(f"openvino: the export lacks one of the outputs {', '.join(outputs)}. Export it again.")
    return _openvino().Model(results, model.get_parameters(), model.get_friendly_name())


@cache
def _core() -> Any:
    return _openvino().Core()


@cache
def _openvino() -> ModuleType:
    """Import OpenVINO without its converter, which doubles the import time, and without its telemetry.

    Importing `openvino` reports the import to Intel unless `openvino_telemetry` cannot be imported; None in
    `sys.modules` prevents that, and OpenVINO then uses its own silent stub.
    """
    converter = "openvino.tools.ovc"
    if "openvino" not in sys.modules:
        for name in ("openvino_telemetry", converter):
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # None means: do not import
    import openvino

    if sys.modules.get(converter, openvino) is None:
        sys.modules.pop(converter, None)  # another thread may have removed it
    return openvino


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[-3:])[:500]
