"""The ONNX graph of a model with what usually follows it inside, for use without Sightsmith. Imports onnx."""

from pathlib import Path

import onnx

from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import ProofError, SettingsError
from sightsmith.kinds import optional_part
from sightsmith.runtime.backends.onnx import outputs_of

FILE = "elsewhere/model.onnx"  # In the bundle


def write_whole_graph(bundle: Bundle, graph: Path, target: Path) -> None:
    """Write the whole graph of an exported one, after both gave the same answers to the witnesses in ONNX Runtime.

    Raises:
        SettingsError: nothing follows the graph of such a model.
        BackendError: ONNX Runtime is not installed.
        ProofError: the whole graph answers otherwise; nothing was written.
    """
    definition, inputs = bundle.manifest.definition, bundle.witnesses().inputs
    part = optional_part(definition.kind, "whole_graph")
    if part is None:
        raise SettingsError(
            f"export: with_nms is for models that find objects, and this one answers with {definition.kind}. Leave it "
            "out."
        )
    height, width, _ = definition.input_settings.shape
    facts = (definition.names, definition.calibrated, (width, height))
    plain = onnx.load(graph)
    whole = part.append(plain, *facts)
    content = whole.SerializeToString()
    problem = part.difference(outputs_of(content, inputs), outputs_of(plain.SerializeToString(), inputs), *facts)
    if problem:
        raise ProofError(f"export: the graph with suppression does not answer as the model does: {problem}.")
    target.write_bytes(content)
