"""ONNX Runtime: the portable backend, without torch."""

import shutil
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sightsmith.bundle.definition import Graph
from sightsmith.bundle.store import Bundle
from sightsmith.core.counts import many
from sightsmith.core.errors import BackendError
from sightsmith.core.machine import usable_cores
from sightsmith.core.ports import Arrays
from sightsmith.runtime.session import Session

RANK = 20
EXPORTED = True


def missing() -> str | None:
    """Return why ONNX Runtime cannot run here and what to install, or None."""
    return None if find_spec("onnxruntime") else "ONNX Runtime is not installed: pip install 'sightsmith[onnx]'"


def precisions() -> tuple[str, ...]:
    """Return fp32, the one precision of ONNX Runtime's processor kernels for this graph."""
    return ("fp32",)


def compile(onnx_file: Path, folder: Path) -> None:  # noqa: A001 -- the name every backend has
    """Keep an exported graph as it is; writes `GRAPH.onnx`, and `GRAPH.onnx.data` for weights above 2 GB."""
    for file in onnx_file.parent.glob(f"{onnx_file.name}*"):
        shutil.copyfile(file, folder / file.name)


def load(bundle: Bundle, folder: Path, graph: str, precision: str, threads: int) -> Session:
    """Load a bundle's export. Raises BackendError: ONNX Runtime cannot read it."""
    ort = _onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.log_severity_level = 3
    # threads that wait by spinning take the cores that decode the next pictures
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Weights above 2 GB are in a file of their own, which is found by the path of the graph.
    file = folder / f"{graph}.onnx"
    large = file.with_name(f"{file.name}.data").exists()
    content = str(file) if large else bundle.content(file)
    try:
        loaded = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        if not _is_ort(error):
            raise
        raise BackendError(f"onnx: cannot read {file}: {error}. Export it again.") from error
    return OnnxSession(loaded, bundle.manifest.definition.graphs[graph], precision)


def outputs_of(content: bytes, feeds: Arrays) -> Arrays:
    """Return the outputs of any graph by name. Raises BackendError: ONNX Runtime is not installed."""
    if problem := missing():
        raise BackendError(f"onnx: {problem}")
    loaded = _onnxruntime().InferenceSession(content, providers=["CPUExecutionProvider"])
    arrays = loaded.run(None, feeds)
    return {one.name: array for one, array in zip(loaded.get_outputs(), arrays, strict=True)}


class OnnxSession(Session):
    """A model in ONNX Runtime, whose sessions may be used from several threads."""

    def __init__(self, loaded: Any, graph: Graph, precision: str) -> None:
        super().__init__(precision, graph.inputs, graph.outputs)
        self._loaded = loaded
        self._options = _onnxruntime().RunOptions()
        self._options.only_execute_path_to_fetches = True

    def describe(self) -> str:
        threads = self._loaded.get_session_options().intra_op_num_threads
        return f"ONNX Runtime {_onnxruntime().__version__}, {self.precision}, {many(threads, 'thread')}"

    def _run(self, feeds: Arrays, outputs: tuple[str, ...]) -> Arrays:
        try:
            arrays = self._loaded.run(list(outputs), feeds, self._options)
        except Exception as error:
            if not _is_ort(error):
                raise
            raise BackendError(f"onnx: the model failed: {error}") from error
        return {name: np.asarray(array, np.float32) for name, array in zip(outputs, arrays, strict=True)}


def _is_ort(error: Exception) -> bool:
    """Tell ONNX Runtime's own errors, which have no common class below Exception, from everything else."""
    return type(error).__module__.startswith("onnxruntime.")


@cache
def _onnxruntime() -> ModuleType:
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime
