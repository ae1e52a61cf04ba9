"""Witnesses: a few real items and the outputs that the trained model gave for them.

Every export, and every start of a service, replays them: a model with other answers is not the evaluated one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from sightsmith.bundle.definition import Definition
from sightsmith.core.counts import many
from sightsmith.core.errors import BundleError, ProofError
from sightsmith.core.files import readable
from sightsmith.core.ports import Arrays, stack
from sightsmith.inputs import INPUTS

MAX_COUNT = 64
_ARRAYS = "arrays.safetensors"
_INPUT, _OUTPUT = "input.", "output."
_ONLY_INPUT_OF_SCHEMA_1 = "pixels"
_INPUTS_LIMIT = 1.0
"""Largest mean difference of a witness's uint8 input, in levels of 0…255: decoders of JPEG may round differently."""


@dataclass(frozen=True, slots=True, eq=False)
class Witnesses:
    """Items, the inputs they became and the outputs they must give."""

    items: tuple[bytes, ...]  # N encoded items
    inputs: Arrays  # the graph's inputs by name, first axis N
    outputs: dict[str, NDArray[np.float32]]  # every output of the graph by name, float32, first axis N

    def __post_init__(self) -> None:
        count = len(self.items)
        if not 1 <= count <= MAX_COUNT:
            raise BundleError(f"witnesses: a bundle needs 1…{MAX_COUNT} witnesses, got {count}")
        if {len(array) for array in (*self.inputs.values(), *self.outputs.values())} != {count} or not self.inputs:
            raise BundleError(f"witnesses: every input and output needs one row for each of the {count} items")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The result of replaying witnesses."""

    count: int  # how many were replayed
    differences: dict[str, float]  # by output, the largest difference found, in the measure of the kind of prediction
    limits: dict[str, float]  # by output, the largest difference allowed
    same_answers: float  # share of witnesses with the same answer, ties within the limit counting as the same, in 0…1
    pixels: float | None = None  # largest mean difference of a decoded input, in levels of 0…255; None if not compared

    @property
    def ok(self) -> bool:
        return not self.problems()

    def problems(self) -> list[str]:
        """Return a message for each difference beyond its limit."""
        found = [
            f"{name} differs by {self.differences[name]:.3g}, allowed is {limit:.3g}"
            for name, limit in self.limits.items()
            if not self.differences[name] <= limit
        ]
        if self.same_answers < 1:
            changed = round((1 - self.same_answers) * self.count)
            of_all = f"of {self.count} answers"
            found.append(many(changed, f"{of_all} differs", f"{of_all} differ"))
        if self.pixels is not None and not self.pixels <= _INPUTS_LIMIT:
            apart = f"by {self.pixels:.3g} of 255, allowed {_INPUTS_LIMIT:g}"
            found.append(f"the pictures decode to other pixels ({apart})")
        return found

    def __str__(self) -> str:
        apart = ", ".join(f"{name} within {value:.2g}" for name, value in self.differences.items())
        told = f"{many(self.count, 'witness', 'witnesses')} reproduced ({apart})"
        return told if self.ok else "; ".join(self.problems())

    def require(self, what: str) -> None:
        """Raise ProofError, with `what` as the name of the replayed model, if a difference is beyond its limit."""
        if not self.ok:
            raise ProofError(f"{what}: the model does not answer as it did when trained: {'; '.join(self.problems())}.")


def compare_answers(
    expected: Sequence[Any],
    got: Sequence[Any],
    tolerance: Mapping[str, float],
    kind: ModuleType,
    *,
    pixels: float | None = None,
) -> Proof:
    """Compare answers with the trained model's to the same items; parts that were not asked for may be missing.

    Args:
        tolerance: largest allowed difference of each part, in the measure of the kind of answer.
        pixels: result of `input_difference`, None if inputs were not compared.
    """
    differences = kind.differences(expected, got)
    return Proof(
        count=len(expected),
        differences=differences,
        limits={name: tolerance[name] for name in differences},
        same_answers=kind.same_answers(expected, got, next(iter(tolerance.values()))),
        pixels=pixels,
    )


def worst(proofs: Sequence[Proof]) -> Proof:
    """Return the worst of several replays of the same witnesses: the largest of each difference."""
    names = dict.fromkeys(name for proof in proofs for name in proof.differences)
    return replace(
        proofs[0],
        differences={name: max(proof.differences.get(name, 0.0) for proof in proofs) for name in names},
        same_answers=min(proof.same_answers for proof in proofs),
    )


def input_difference(witnesses: Witnesses, definition: Definition) -> float:
    """Decode the items again and return the largest mean difference from the recorded uint8 inputs, in 0…255."""
    _, again = encode_items(witnesses.items, definition)
    return max(_gap(witnesses.inputs[name], again[name]) for name in witnesses.inputs)


def _gap(before: NDArray[Any], after: NDArray[Any]) -> float:
    if before.shape != after.shape:
        return float("inf")
    axes = tuple(range(1, before.ndim))
    return float(np.abs(after.astype(np.float64) - before).mean(axis=axes).max())


def encode_items(items: Sequence[Any], definition: Definition) -> tuple[tuple[bytes, ...], Arrays]:
    """Return (encoded items, their inputs), on which a trained model is run to make witnesses."""
    source = INPUTS.module(definition.input)
    encoded = tuple(source.encode(item, definition.input_settings) for item in items)
    return encoded, stack([source.feeds(item, definition.input_settings) for item in encoded])


def save(witnesses: Witnesses, folder: Path, definition: Definition) -> None:
    """Write witnesses into a folder, which is made."""
    folder.mkdir(parents=True)
    suffix = INPUTS.module(definition.input).suffix
    for n, item in enumerate(witnesses.items):
        (folder / f"{n:02}{suffix(item)}").write_bytes(item)
    inputs = {f"{_INPUT}{name}": np.asarray(array, order="C") for name, array in witnesses.inputs.items()}
    outputs = {f"{_OUTPUT}{name}": np.asarray(a, np.float32, order="C") for name, a in witnesses.outputs.items()}
    save_file(inputs | outputs, folder / _ARRAYS)
    readable(folder / _ARRAYS)


def load(folder: Path, outputs: tuple[str, ...]) -> Witnesses:
    """Read witnesses back, with these outputs. Raises BundleError: they are missing or cannot be read."""
    try:
        arrays = load_file(folder / _ARRAYS)
        if _ONLY_INPUT_OF_SCHEMA_1 in arrays:
            arrays[f"{_INPUT}{_ONLY_INPUT_OF_SCHEMA_1}"] = arrays.pop(_ONLY_INPUT_OF_SCHEMA_1)
        shown = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))  # .DS_Store and the like
        items = tuple(path.read_bytes() for path in shown if path.name != _ARRAYS)
        inputs = {key.removeprefix(_INPUT): arrays[key] for key in arrays if key.startswith(_INPUT)}
    except (SafetensorError, OSError, ValueError) as error:
        raise BundleError(f"{folder}: the witnesses cannot be read ({error}). Copy the bundle again.") from error
    if missing := [name for name in outputs if _OUTPUT + name not in arrays]:
        raise BundleError(f"{folder}: the witnesses lack the output {missing[0]!r}. Copy the bundle again.")
    return Witnesses(items, inputs, {name: arrays[_OUTPUT + name] for name in outputs})
