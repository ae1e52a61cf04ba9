"""The definition of a model's answers: everything except the weights that determines them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

from sightsmith.bundle.schema1 import digested_in_schema1
from sightsmith.core.errors import SettingsError
from sightsmith.core.ports import Port
from sightsmith.core.settings import EXACT, from_mapping
from sightsmith.inputs import INPUTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """One graph of a model: its inputs and outputs by name."""

    __pydantic_config__: ClassVar[Any] = EXACT
    inputs: dict[str, Port]  # by name
    outputs: tuple[str, ...]  # in order; the first is always computed
    settings: dict[str, Any] = field(default_factory=dict)  # of the task that made it


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """Everything but the weights that determines a model's answers; immutable."""

    rule: int = 2  # the rule of its digest; always 1 in bundles of schema 1
    input: str  # name of a file in inputs/
    input_settings: Any  # how an item becomes arrays, that file's `Settings`
    kind: str  # kind of answer, a name in the catalogue of kinds
    names: tuple[str, ...]  # of the classes or tags, in the order of the outputs; empty for a kind without names
    calibrated: dict[str, Any] = field(default_factory=dict)  # values that the kind fitted after training
    programs: tuple[str, ...]  # how it runs, files' names in runtime/programs/; the first is the usual one
    graphs: dict[str, Graph]  # by name; the first is that of the usual program

    @property
    def graph(self) -> Graph:
        """The first graph."""
        return next(iter(self.graphs.values()))

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs of the first graph."""
        return self.graph.outputs

    def fitted(self) -> dict[str, float]:
        """Return the numbers fitted after training, by name, including those inside the first graph."""
        values = {**self.graph.settings, **self.calibrated}
        return {name: value for name, value in values.items() if isinstance(value, float)}

    def digest(self) -> str:
        """Return the SHA-256 of the definition, in hexadecimal."""
        return digest_of(self.to_json() if self.rule > 1 else digested_in_schema1(self))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON; `free` only of ports that have free axes, so that older digests stay."""
        raw = {**asdict(self), "input_settings": self.input_settings.to_json()}
        for port in (port for graph in raw["graphs"].values() for port in graph["inputs"].values()):
            if not port["free"]:
                del port["free"]
        return raw

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read a definition back; unknown keys are an error.

        Raises SettingsError: a key is unknown, missing or of the wrong type, or there is no such input.
        """
        where = "manifest.json: definition"
        settings = INPUTS.module(str(raw.get("input"))).Settings.from_json(table(raw, "input_settings", where))
        definition = from_mapping(cls, raw, where=where, strict=True, ready={"input_settings": settings})
        if not definition.graphs:
            raise SettingsError(f"{where}: graphs must name a graph")
        return definition


def digest_of(raw: Mapping[str, Any]) -> str:
    """Return the SHA-256 of plain JSON, whatever the order of its keys, in hexadecimal."""
    canonical = json.dumps(raw, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def table(raw: Mapping[str, Any], key: str, where: str = "manifest.json") -> dict[str, Any]:
    """Return an object of a JSON by its key. Raises SettingsError: there is none, or it is something else."""
    value = raw.get(key)
    if not isinstance(value, dict):
        raise SettingsError(f"{where}: {key} must be an object, got {value!r}")
    return value
