"""The manifest: what a bundle is, what it was made from, and the SHA-256 of every file in it."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from sightsmith.core.errors import BundleError, SettingsError
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.core.settings import from_mapping

SCHEMA = 1
"""Version of the manifest's form that this version of Sightsmith writes, and the newest it reads."""


_KEYS = {
    "task": ("name", "settings"),
    "net": ("name", "settings", "paper", "licence"),
    "weights": ("origin", "licence"),
}
"""Keys that the objects of the manifest must have; they may have more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What `manifest.json` says; immutable."""

    schema: int = SCHEMA
    name: str
    created: str
    """When it was made, ISO 8601 in UTC."""
    task: dict[str, Any]
    """`name` (a file's name in tasks/) and `settings`."""
    net: dict[str, Any]
    """`name` and `settings` that build it again, `paper`, `licence` of its code."""
    weights: dict[str, Any]
    """`origin` and `licence` of the weights that training started from, and their `sha256` where they had a file."""
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    kind: str
    """Kind of prediction: a file's name in predictions/."""
    outputs: tuple[str, ...]
    """Outputs of the exported graph, in order; the first is always computed."""
    temperature: float = 1.0
    """What the logits are divided by before the softmax, > 0."""
    definition: str
    """SHA-256 of preprocessing, classes, kind, outputs and temperature."""
    data: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    backends: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By exported backend: `precisions` by name, each with its tolerance and what the proof found."""
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of every file but the manifest, by path relative to the bundle."""

    def to_json(self) -> dict[str, Any]:
        raw: dict[str, Any] = plain({**dataclasses.asdict(self), "preprocessing": self.preprocessing.to_json()})
        return raw

    @classmethod
    def from_json(cls, raw: Mapping[str, Any], *, strict: bool = False) -> Self:
        """Read a manifest back.

        Args:
            raw: the manifest as `to_json` gives it.
            strict: it was read from a file, so no value needs a conversion.

        Raises:
            BundleError: it is from a newer version, or a key is unknown, missing or of the wrong type.
        """
        _check_schema(raw.get("schema"))
        values = dict(raw)
        try:
            for key, wanted in _KEYS.items():
                _object(raw, key, wanted)
            values["preprocessing"] = Preprocessing.from_json(_object(raw, "preprocessing"))
            return from_mapping(cls, values, where="manifest.json", strict=strict)
        except SettingsError as error:
            raise BundleError(f"{error}. The bundle is damaged, or was not written by Sightsmith.") from error

    def to_text(self) -> str:
        """Return the text of `manifest.json`; its last key is the SHA-256 of the rest."""
        raw = self.to_json()
        return _dump({**raw, "digest": _digest(raw)})

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read the text of `manifest.json`.

        Raises:
            BundleError: as `from_json`, or the text is not exactly what was written.
        """
        try:
            raw = json.loads(text)
            _dump(raw)  # refuses NaN and infinities, which JSON has not
        except (ValueError, RecursionError) as error:
            raise BundleError(f"manifest.json: not valid JSON ({error}). Copy the bundle again.") from error
        if not isinstance(raw, dict):
            raise BundleError("manifest.json: must hold a JSON object. Copy the bundle again.")
        _check_schema(raw.get("schema"))
        digest = raw.pop("digest", None)
        if digest != _digest(raw) or _dump({**raw, "digest": digest}) != text:
            raise BundleError(
                "manifest.json: changed after it was written (its digest does not match). "
                "Copy the bundle again from where it was made; a manifest is not edited by hand."
            )
        return cls.from_json(raw, strict=True)


def definition_digest(
    preprocessing: Preprocessing, classes: tuple[str, ...], kind: str, outputs: tuple[str, ...], temperature: float
) -> str:
    """Return the SHA-256 of what fixes a model's answers besides its weights, in hexadecimal."""
    return _digest(
        {
            "preprocessing": preprocessing.digest(),
            "classes": list(classes),
            "kind": kind,
            "outputs": list(outputs),
            "temperature": float(temperature),
        }
    )


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: tuples and arrays become lists, paths strings, NaN and infinities None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _check_schema(schema: object) -> None:
    if type(schema) is not int or schema < 1:  # True is an int too
        raise BundleError(f"manifest.json: schema must be a number from 1 up, got {schema!r}. This is not a bundle.")
    if schema > SCHEMA:
        raise BundleError(
            f"manifest.json: written in schema {schema} by a newer Sightsmith; this version reads schemas up to "
            f"{SCHEMA}. Upgrade: pip install --upgrade sightsmith."
        )


def _object(raw: Mapping[str, Any], key: str, wanted: tuple[str, ...] = ()) -> dict[str, Any]:
    value = raw.get(key)
    if not isinstance(value, dict) or not value.keys() >= set(wanted):
        raise SettingsError(f"manifest.json: {key} must be an object with {', '.join(wanted) or 'keys'}, got {value!r}")
    return value


def _dump(raw: Mapping[str, Any]) -> str:
    return json.dumps(raw, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _digest(raw: Mapping[str, Any]) -> str:
    canonical = json.dumps(raw, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
