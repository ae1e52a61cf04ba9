"""Reading manifests of schema 1: one function turns them into schema 2.

In schema 1 the graph divided by the temperature and gave probabilities, and a model had one net and one input of uint8
pixels. Such a graph cannot change, so its temperature stays one of its settings, and its digest uses rule 1.
"""

from collections.abc import Mapping
from typing import Any

from sightsmith.core.errors import SettingsError
from sightsmith.core.preprocessing import Preprocessing

_NET = ("name", "settings", "paper", "licence")
_WEIGHTS = ("origin", "licence")
_KEPT = ("name", "created", "task", "data", "metrics", "training", "versions", "backends", "files")
_DEFINITION = ("preprocessing", "kind", "outputs", "temperature", "definition")


def to_schema2(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest as schema 2 writes it.

    Raises SettingsError: a key is missing, unknown or of the wrong type.
    """
    known = {"schema", "net", "weights", "classes", *_KEPT, *_DEFINITION}
    if unknown := sorted(raw.keys() - known):
        raise SettingsError(f"manifest.json: unknown key {unknown[0]!r}")
    net, weights = _object(raw, "net", _NET), _object(raw, "weights", _WEIGHTS)
    height, width, channels = Preprocessing.from_json(_object(raw, "preprocessing", ())).shape
    graph = {
        "inputs": {"pixels": {"dtype": "uint8", "shape": [height, width, channels]}},
        "outputs": _required(raw, "outputs"),
        "settings": {"temperature": raw.get("temperature", 1.0)},
    }
    record = {**{key: net[key] for key in _NET}, "parameters": net.get("parameters"), "file": "weights.safetensors"}
    origin = {**{key: weights[key] for key in _WEIGHTS}, "sha256": weights.get("sha256", "")}
    return {
        **{key: raw[key] for key in _KEPT if key in raw},
        "schema": 2,
        "task": _object(raw, "task", ("name", "settings")),
        "nets": {"net": {**record, "weights": origin}},
        "definition": {
            "rule": 1,
            "input": "picture",
            "input_settings": raw["preprocessing"],
            "kind": _required(raw, "kind"),
            "names": _required(raw, "classes"),
            "calibrated": {},
            "programs": ["once"],
            "graphs": {"model": graph},
        },
        "definition_digest": _required(raw, "definition"),
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


def _object(raw: Mapping[str, Any], key: str, wanted: tuple[str, ...]) -> dict[str, Any]:
    value = raw.get(key)
    if not isinstance(value, dict) or not value.keys() >= set(wanted):
        raise SettingsError(f"manifest.json: {key} must be an object with {', '.join(wanted) or 'keys'}, got {value!r}")
    return value


def _required(raw: Mapping[str, Any], key: str) -> Any:
    if key not in raw:
        raise SettingsError(f"manifest.json: {key} must be given")
    return raw[key]
