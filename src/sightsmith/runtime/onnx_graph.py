"""From a bundle to an ONNX graph; imports torch, and is imported by `export` alone."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import BackendError
from sightsmith.core.ports import Port
from sightsmith.runtime.torch_session import graph_module, rebuild

_LARGEST = 2_000_000_000  # Bytes of weights above which they get a separate file: protobuf is limited to 2 GiB
_LONGEST = 65536  # Most items of a batch, and entries on a free axis
_NOISY = ("torch._guards", "torch.fx", "torch._dynamo", "torch.onnx", "torch.export", "onnxscript", "onnx_ir")


def to_onnx(bundle: Bundle, graph: str, path: Path) -> None:
    """Write a graph of a bundle; the batch's axis is free, and normalisation is inside.

    Raises BackendError: the net cannot be exported.
    """
    nets = rebuild(bundle)
    manifest, record = bundle.manifest, bundle.manifest.definition.graphs[graph]
    module = graph_module(manifest.task.name, nets, manifest.definition, graph)
    size = sum(tensor.nbytes for net in nets.values() for tensor in net.state_dict().values())
    try:
        program = exported(module, record.inputs, record.outputs)
        program.model.metadata_props.update(_facts(bundle, nets))
        program.save(path, external_data=size > _LARGEST)
    except OSError as error:
        raise BackendError(f"the graph cannot be written to {path} ({error}). Make room on the disk.") from error
    except Exception as error:  # the exporter passes on whatever the net's own code raises
        reason = str(error).strip().partition("\n")[0][:300] or type(error).__name__
        raise BackendError(
            f"{manifest.net.name} cannot be exported to a graph: {reason}. Serve it with --backend torch."
        ) from error


def exported(module: nn.Module, inputs: Mapping[str, Port], outputs: Sequence[str]) -> Any:
    """Return a module as a program of ONNX; the axis of the batch and the free axes of the inputs have any length ≥ 1.

    Args:
        inputs: of the module, in order.
        outputs: names of the module's outputs, in order.

    Raises:
        ValueError: the graph would have a fixed length on such an axis, or the exporter cannot follow the net.
        Exception: what the exporter passes on from the net's own code.
    """
    # A length of 1 in the example would be taken for a constant
    examples = tuple(
        torch.zeros(
            (2, *(max(side, 2) if axis in port.free else side for axis, side in enumerate(port.shape))),
            dtype=getattr(torch, port.dtype),
        )
        for port in inputs.values()
    )
    try:
        with _quiet(), torch.no_grad():
            program: Any = torch.onnx.export(
                module,
                examples,
                dynamo=True,
                dynamic_shapes=tuple(_free_sides(name, port) for name, port in inputs.items()),
                input_names=list(inputs),
                output_names=list(outputs),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:  # tells how to use the exporter; the reason is its cause
        raise ValueError(str(error.__cause__ or error)) from error
    shapes = {
        one.name: [side if isinstance(side, int) else None for side in one.shape] for one in program.model.graph.inputs
    }
    require_free_axes(inputs, shapes)
    return program


def require_free_axes(inputs: Mapping[str, Port], shapes: Mapping[str, Sequence[int | None]]) -> None:
    """Raise ValueError if the exporter had to trace the net, which fixes the lengths that it was shown.

    Args:
        shapes: of the inputs in the graph, with the axis of the batch; None for any length.
    """
    for name, port in inputs.items():
        for axis in (0, *(axis + 1 for axis in port.free)):
            if (count := shapes[name][axis]) is not None:
                things = "items" if axis == 0 else f"entries on axis {axis}"
                raise ValueError(f"its graph takes {count} {things} alone, at the input {name}")


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


def _free_sides(name: str, port: Port) -> dict[int, Any]:
    """Return the axes of a batch of a port that have any length; the exporter refuses a net that narrows them."""
    free = {axis + 1: torch.export.Dim(f"{name}_{axis}", min=1, max=_LONGEST) for axis in port.free}
    return {0: torch.export.Dim("batch", min=1, max=_LONGEST), **free}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's progress, warnings and logs."""
    levels = {logger: logger.level for logger in map(logging.getLogger, _NOISY)}
    nowhere = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        warnings.simplefilter("ignore")
        try:
            for logger in levels:
                logger.setLevel(logging.CRITICAL)  # What fails is raised too
            yield
        finally:
            for logger, level in levels.items():
                logger.setLevel(level)
