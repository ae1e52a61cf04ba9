"""Reading manifests of schema 1: one function turns them into schema 2.

In schema 1 the graph divided by the temperature and gave probabilities, and a model had one net and one input of uint8
pixels. Such a graph cannot change, so its temperature stays one of its settings, and its digest uses rule 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sightsmith.core.preprocessing import Preprocessing
from sightsmith.core.settings import from_mapping

_NET = ("name", "settings", "paper", "licence", "parameters")
_WEIGHTS = ("origin", "licence", "sha256")
_SAME = ("name", "created", "task", "data", "metrics", "training", "versions", "backends", "files")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manifest:
    schema: int
    name: str
    created: str
    task: dict[str, Any]
    net: dict[str, Any]
    weights: dict[str, Any]
    preprocessing: dict[str, Any]
    classes: list[str]
    kind: str
    outputs: list[str]
    temperature: float = 1.0
    definition: str
    data: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    backends: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Any] = field(default_factory=dict)


def to_schema2(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest as schema 2 writes it.

    Raises SettingsError: a key is missing, unknown or of the wrong type.
    """
    old = from_mapping(_Manifest, raw, where="manifest.json", strict=True)
    graph = {
        "inputs": {"pixels": {"dtype": "uint8", "shape": Preprocessing.from_json(old.preprocessing).shape}},
        "outputs": old.outputs,
        "settings": {"temperature": old.temperature},
    }
    # the objects might have more keys than these
    origin = {key: old.weights[key] for key in _WEIGHTS if key in old.weights}
    net = {key: old.net[key] for key in _NET if key in old.net}
    return {
        **{key: getattr(old, key) for key in _SAME},
        "schema": 2,
        "nets": {"net": {**net, "weights": origin}},
        "definition": {
            "rule": 1,
            "input": "picture",
            "input_settings": old.preprocessing,
            "kind": old.kind,
            "names": old.classes,
            "programs": ["once"],
            "graphs": {"model": graph},
        },
        "definition_digest": old.definition,
    }


def digested_in_schema1(definition: Any) -> dict[str, Any]:
    """Return the JSON that is hashed for the digest of a definition of schema 1."""
    return {
        "preprocessing": definition.input_settings.digest(),
        "classes": list(definition.names),
        "kind": definition.kind,
        "outputs": list(definition.outputs),
        "temperature": float(definition.graph.settings["temperature"]),
    }
