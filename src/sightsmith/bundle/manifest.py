"""The manifest: the facts of a bundle, its origin, and the SHA-256 of every file in it."""

import json
import math
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, Self

import numpy as np

from sightsmith.bundle.definition import Definition, digest_of, table
from sightsmith.bundle.schema1 import to_schema2
from sightsmith.core.errors import BundleError, SettingsError
from sightsmith.core.settings import EXACT, from_mapping

SCHEMA = 2  # Version of the manifest's form that this version of Sightsmith writes, and the newest it reads
_PACKAGES = ("sightsmith", "numpy", "pillow", "torch", "torchvision", "lightning", "timm")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """The task of the model: name of a file in tasks/, and its settings."""

    __pydantic_config__: ClassVar[Any] = EXACT
    name: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginRecord:
    """The weights that training started from: their name, licence, and SHA-256 if they had a file."""

    __pydantic_config__: ClassVar[Any] = EXACT
    origin: str
    licence: str
    sha256: str = ""


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a model's answers depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def weights_file(role: str) -> str:
    """Return the name of the weights' file of a net."""
    return "weights.safetensors" if role == "net" else f"{role}.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetRecord:
    """One net of the model."""

    __pydantic_config__: ClassVar[Any] = EXACT
    name: str  # builds it again, with `settings`
    settings: dict[str, Any]  # all of them
    paper: str  # the paper it implements; empty if none is recorded
    licence: str  # of its code
    parameters: int | None = None  # how many; None if not recorded
    file: str = "weights.safetensors"  # of its weights, by path relative to the bundle
    weights: OriginRecord  # those that training started from
    fitted: bool = False  # whether it was fitted in one step, not trained by gradient descent
    holds: str = ""  # what of the training pictures the tensors hold, such as their features; empty if nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The content of `manifest.json`; immutable."""

    schema: int = SCHEMA
    name: str
    created: str  # When it was made, ISO 8601 in UTC
    task: TaskRecord
    nets: dict[str, NetRecord]  # By role; the first is the one that answers
    definition: Definition
    definition_digest: str
    papers: dict[str, str] = field(default_factory=dict)
    """Statements of its makers, as in `bundle/settings.py`: `intended_use`, `limits`, `licence`."""
    data: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    backends: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By exported backend: `precisions` by name, each with its tolerance and its proof."""
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of every file but the manifest, by path relative to the bundle."""

    @property
    def net(self) -> NetRecord:
        """The net that answers."""
        return next(iter(self.nets.values()))

    def to_json(self) -> dict[str, Any]:
        return plain({**asdict(self), "definition": self.definition.to_json()})

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read a manifest back; one of schema 1 becomes one of schema 2.

        Raises BundleError: a key is unknown, missing or of the wrong type, or the definition does not match its digest.
        """
        try:
            values = to_schema2(raw) if raw["schema"] == 1 else raw
            definition = Definition.from_json(table(values, "definition"))
            manifest = from_mapping(cls, values, where="manifest.json", strict=True, ready={"definition": definition})
        except SettingsError as error:
            raise BundleError(f"{error}. The bundle is damaged, or was not written by Sightsmith.") from error
        if not manifest.nets or definition.digest() != manifest.definition_digest:
            raise BundleError(
                "manifest.json: the definition (input, kind, names, calibrated values, graphs) does not match its "
                "digest. Copy the bundle again from where it was made."
            )
        return manifest

    def to_text(self) -> str:
        """Return the text of `manifest.json`; its last key is the SHA-256 of the rest."""
        raw = self.to_json()
        return _dump({**raw, "digest": digest_of(raw)})

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read the text of `manifest.json`.

        Raises BundleError: as `from_json`, or the text was changed after it was written.
        """
        try:
            raw = json.loads(text)
            _dump(raw)  # refuses NaN and infinities, which JSON lacks
        except (ValueError, RecursionError) as error:
            raise BundleError(f"manifest.json: not valid JSON ({error}). Copy the bundle again.") from error
        if not isinstance(raw, dict):
            raise BundleError("manifest.json: must hold a JSON object. Copy the bundle again.")
        schema = raw.get("schema")
        if type(schema) is not int or schema < 1:  # True is an int too
            raise BundleError(
                f"manifest.json: schema must be a number from 1 up, got {schema!r}. This is not a bundle."
            )
        if schema > SCHEMA:
            raise BundleError(
                f"manifest.json: written in schema {schema} by a newer Sightsmith; this version reads schemas up to "
                f"{SCHEMA}. Upgrade: `pip install --upgrade sightsmith`."
            )
        digest = raw.pop("digest", None)
        if digest != digest_of(raw) or _dump({**raw, "digest": digest}) != text:
            raise BundleError(
                "manifest.json: changed after it was written (its digest does not match). "
                "Copy the bundle again from where it was made; a manifest is not edited by hand."
            )
        return cls.from_json(raw)


def plain(value: Any) -> Any:
    """Return a value as plain JSON: tuples and arrays become lists, paths strings, NaN and infinities None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _dump(raw: Mapping[str, Any]) -> str:
    return json.dumps(raw, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
