"""From a bundle to an ONNX graph; imports torch, and is imported by `export` alone."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import BackendError
from sightsmith.core.ports import Port
from sightsmith.runtime.torch_session import graph_module, rebuild

_LARGEST = 2_000_000_000  # Bytes of weights above which they get a separate file: protobuf is limited to 2 GiB
_NOISY = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


def to_onnx(bundle: Bundle, graph: str, path: Path) -> None:
    """Write a graph of a bundle; the batch's axis is free, and normalisation is inside.

    Raises BackendError: the net cannot be exported.
    """
    nets = rebuild(bundle)
    manifest, record = bundle.manifest, bundle.manifest.definition.graphs[graph]
    module = graph_module(manifest.task.name, nets, manifest.definition, graph)
    examples = tuple(torch.zeros((2, *port.shape), dtype=getattr(torch, port.dtype)) for port in record.inputs.values())
    size = sum(tensor.nbytes for net in nets.values() for tensor in net.state_dict().values())
    try:
        with _quiet(), torch.no_grad():
            program: Any = torch.onnx.export(
                module,
                examples,
                dynamo=True,
                dynamic_shapes=tuple(map(_free_sides, record.inputs.values())),
                input_names=list(record.inputs),
                output_names=list(record.outputs),
                verbose=False,
            )
            require_free_batch(_batches(program))
            program.model.metadata_props.update(_facts(bundle, nets))
            program.save(path, external_data=size > _LARGEST)
    except OSError as error:
        raise BackendError(f"the graph cannot be written to {path} ({error}). Make room on the disk.") from error
    except Exception as error:  # the exporter passes on whatever the net's own code raises
        reason = str(error).strip().partition("\n")[0][:300] or type(error).__name__
        raise BackendError(
            f"{manifest.net.name} cannot be exported to a graph: {reason}. Serve it with --backend torch."
        ) from error


def require_free_batch(batches: Mapping[str, int | None]) -> None:
    """Raise ValueError if the exporter had to trace the net, which fixes the number of items that it was shown.

    Args:
        batches: the number of items that the graph takes at each input, None if any.
    """
    for name, count in batches.items():
        if count is not None:
            raise ValueError(f"its graph takes {count} items alone, at the input {name}")


def _batches(program: Any) -> dict[str, int | None]:
    sides = {one.name: one.shape[0] for one in program.model.graph.inputs}
    return {name: side if isinstance(side, int) else None for name, side in sides.items()}


def _facts(bundle: Bundle, nets: Mapping[str, nn.Module]) -> dict[str, str]:
    """Return the facts that a user of the graph elsewhere needs, as text: JSON, but for the task's name."""
    definition = bundle.manifest.definition
    facts: dict[str, Any] = {
        "names": definition.names,
        "inputs": {name: port.shape for name, port in definition.graph.inputs.items()},
        "preprocessing": definition.input_settings.to_json(),
    }
    strides = [stride for net in nets.values() if isinstance(stride := getattr(net, "stride", None), int)]
    if strides:
        facts["stride"] = max(strides)
    written = {name: json.dumps(fact, ensure_ascii=False) for name, fact in facts.items()}
    return {"task": bundle.manifest.task.name, **written}


def _free_sides(port: Port) -> dict[int, Any]:
    """Return the free axes of a port: the batch's, and its own."""
    free = {axis + 1: torch.export.Dim.AUTO for axis in port.free}
    return {0: torch.export.Dim("batch", min=1, max=65536), **free}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's progress, warnings and logs."""
    levels = {logger: logger.level for logger in map(logging.getLogger, _NOISY)}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            for logger in levels:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in levels.items():
                logger.setLevel(level)
