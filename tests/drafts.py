"""The bundle of a classifier that a test trained by itself."""

from pathlib import Path
from typing import Any

from sightsmith.bundle.definition import Definition, Graph
from sightsmith.bundle.manifest import Manifest, NetRecord, OriginRecord, TaskRecord, versions
from sightsmith.bundle.store import Bundle, write_bundle
from sightsmith.bundle.witnesses import Witnesses, encode_items
from sightsmith.inputs import picture


def define(preprocessing, names, outputs=("logits", "class_map"), **calibrated: float) -> Definition:
    return Definition(
        input="picture",
        input_settings=preprocessing,
        kind="labels",
        names=tuple(names),
        calibrated=calibrated,
        programs=("once",),
        graphs={"model": Graph(inputs=picture.ports(preprocessing), outputs=outputs)},
    )


def record_of(built) -> NetRecord:
    origin = OriginRecord(origin=built.weights.origin, licence=built.weights.licence)
    return NetRecord(
        name=built.name, settings=dict(built.settings), paper=built.paper, licence=built.licence, weights=origin
    )


def witnesses_of(net, definition: Definition, items, task: str = "classify") -> Witnesses:
    """Return items with what a net in PyTorch answers to them."""
    from sightsmith.runtime.torch_session import TorchSession

    encoded, inputs = encode_items(items, definition)
    session = TorchSession(task, {"net": net.eval()}, definition, "fp32", graph="model")
    return Witnesses(encoded, inputs, session.run(inputs))


def write_trained(
    path: Path, built, definition: Definition, items, settings, *, splits, files=None, overwrite=False, **facts: Any
) -> Bundle:
    """Write the bundle of a trained net; `facts` are further fields of its manifest, and win over these."""
    parts = {
        "created": "2026-01-02T03:04:05+00:00",
        "task": TaskRecord(name="classify", settings=settings),
        "nets": {"net": record_of(built)},
        "definition": definition,
        "definition_digest": definition.digest(),
        "versions": versions(),
    }
    manifest = Manifest(**parts | facts)
    return write_bundle(
        path,
        manifest,
        weights={"net": {name: value.numpy() for name, value in built.module.state_dict().items()}},
        witnesses=witnesses_of(built.module, definition, items, manifest.task.name),
        splits=splits,
        files=files or {},
        overwrite=overwrite,
    )
