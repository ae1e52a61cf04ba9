"""The ONNX graph of a model with what usually follows it inside, for use without Sightsmith. Imports onnx."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import onnx

from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import ProofError, SettingsError
from sightsmith.runtime.backends.onnx import outputs_of
from sightsmith.tasks import TASKS

FILE = "elsewhere/model.onnx"  # In the bundle


def part_of(bundle: Bundle) -> ModuleType:
    """Return the file that appends to the graph. Raises SettingsError: nothing follows the graph of such a model."""
    name = getattr(TASKS.module(bundle.manifest.task.name), "WHOLE_GRAPH", None)
    if name is None:
        raise SettingsError(
            "export: with_nms is for models that find objects, and this one answers with "
            f"{bundle.manifest.definition.kind}. Leave it out."
        )
    return import_module(f"{TASKS.package}.parts.{name}")


def write_whole_graph(bundle: Bundle, graph: Path, target: Path) -> None:
    """Write the whole graph of an exported one, after both gave the same answers to the witnesses in ONNX Runtime.

    Raises:
        SettingsError: nothing follows the graph of such a model.
        BackendError: ONNX Runtime is not installed.
        ProofError: the whole graph answers otherwise; nothing was written.
    """
    definition, inputs, part = bundle.manifest.definition, bundle.witnesses().inputs, part_of(bundle)
    height, width, _ = definition.input_settings.shape
    facts = (definition.names, definition.calibrated, (width, height))
    plain = onnx.load(graph)
    whole = part.append(plain, *facts)
    content = whole.SerializeToString()
    problem = part.difference(outputs_of(content, inputs), outputs_of(plain.SerializeToString(), inputs), *facts)
    if problem:
        raise ProofError(f"export: the graph with suppression does not answer as the model does: {problem}.")
    target.write_bytes(content)
