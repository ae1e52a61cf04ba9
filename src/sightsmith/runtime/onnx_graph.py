"""From a bundle to an ONNX graph; imports torch, and is imported by `export` alone."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import BackendError
from sightsmith.runtime.session import INPUT
from sightsmith.runtime.torch_session import exported_module

_LARGEST = 2_000_000_000
"""Bytes of weights above which they go into a file of their own: protobuf ends at 2 GiB."""
_NOISY = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


def to_onnx(bundle: Bundle, path: Path) -> None:
    """Write a bundle's graph: input `pixels` (N, H, W, C) uint8, N free; normalisation and softmax inside.

    Raises:
        BackendError: the net cannot be exported.
    """
    module = exported_module(bundle)
    height, width, channels = bundle.manifest.preprocessing.shape
    example = torch.zeros((2, height, width, channels), dtype=torch.uint8)
    large = sum(array.nbytes for array in bundle.weights().values()) > _LARGEST
    try:
        with _quiet(), torch.no_grad():
            torch.onnx.export(
                module,
                (example,),
                path,
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=65536)},),
                input_names=[INPUT],
                output_names=list(bundle.manifest.outputs),
                external_data=large,
                verbose=False,
            )
    except OSError as error:
        raise BackendError(f"the graph cannot be written to {path} ({error}). Make room on the disk.") from error
    except Exception as error:  # the exporter passes on whatever the net's own code raises
        raise BackendError(
            f"{bundle.manifest.net['name']} cannot be exported to a graph: {_short(error)}. "
            "Serve it with --backend torch."
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress, warnings and logs to itself."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
