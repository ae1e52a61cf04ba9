"""Exporting a bundle to backends; nothing is written unless the export reproduces the trained model's answers.

Each graph is written once, converted by each backend into a temporary folder, loaded in every precision to be
served, and tested on the witnesses and, if given, on labelled samples. Only then are the files added to the bundle.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sightsmith.bundle.store import Bundle, Content, add_files
from sightsmith.bundle.witnesses import Proof, Witnesses
from sightsmith.core import notebooks
from sightsmith.core.counts import many
from sightsmith.core.errors import BackendError, ProofError, SettingsError
from sightsmith.core.machine import this_machine
from sightsmith.core.ports import Arrays
from sightsmith.core.progress import track
from sightsmith.inputs import nouns_of
from sightsmith.kinds import KINDS
from sightsmith.runtime.backends import BACKENDS
from sightsmith.runtime.predictor import load_sessions
from sightsmith.runtime.proving import Comparison, at_other_lengths, compare_on_data, replay_all
from sightsmith.runtime.runner import Item, Runner
from sightsmith.runtime.session import default_batch

_ROUNDS, _SECONDS, _ENOUGH = 3, 0.2, 3.0
"""Rounds of measuring, minimum seconds of a round, and seconds after which no new round starts."""


@dataclass(frozen=True, slots=True)
class Proved:
    """One backend in one precision, as it was proved."""

    backend: str  # name of the backend
    precision: str
    proof: Proof  # by the witnesses
    comparison: Comparison | None  # on labelled samples, None if there were none
    rate: float  # samples a second on this machine, inputs ready in memory
    items: str  # name of the samples, in the plural
    description: str  # of the backend

    def to_json(self) -> dict[str, Any]:
        return {
            "witnesses": self.proof.count,
            "differences": {name: float(f"{value:.3g}") for name, value in self.proof.differences.items()},
            "limits": dict(self.proof.limits),
            "same_answers": round(self.proof.same_answers, 6),
            **({} if self.comparison is None else {"data": self.comparison.to_json()}),
            "rate": round(self.rate, 1),
            "ran": self.description,
        }

    def __str__(self) -> str:
        worst = ", ".join(f"{name} within {value:.2g}" for name, value in self.proof.differences.items())
        data = "" if self.comparison is None else f"; {self.comparison}"
        witnesses = many(self.proof.count, "witness", "witnesses")
        return f"{self.backend} {self.precision}: {witnesses}, {worst}{data}; {self.rate:,.0f} {self.items}/s"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The result of an export."""

    bundle: Bundle  # the bundle, with the exports in it
    proved: tuple[Proved, ...]  # every backend and precision, in the order they were proved
    left_out: tuple[tuple[str, str, str], ...] = ()  # (backend, precision, why) of those that answer otherwise
    skipped: tuple[tuple[str, str], ...] = ()  # (name, reason) of each sample for the metric that cannot be used

    def to_json(self) -> dict[str, Any]:
        rows = [{"backend": one.backend, "precision": one.precision, **one.to_json()} for one in self.proved]
        skipped = [{"key": key, "why": why} for key, why in self.skipped]
        left_out = [{"backend": name, "precision": one, "why": why} for name, one, why in self.left_out]
        return {"bundle": str(self.bundle.path), "exports": rows, "left_out": left_out, "skipped": skipped}

    def __repr__(self) -> str:
        return f"<ExportReport: {'; '.join(str(self).splitlines())}>"

    def _repr_html_(self) -> str:
        return notebooks.text(str(self))

    def __str__(self) -> str:
        return "\n".join(
            [*map(str, self.proved), *(f"{name} {one}: left out, {why}" for name, one, why in self.left_out)]
        )


def export(
    bundle: Bundle,
    to: Sequence[str] = ("openvino",),
    *,
    prove: Sequence[tuple[Item, Any]] = (),
    precision: str = "auto",
    whole: bool = False,
    quiet: bool = False,
) -> ExportReport:
    """Export a bundle to backends and prove each; the bundle on the disk changes only when all are proved.

    Args:
        prove: labelled samples to compare the metric on, each (item, truth).
        precision: the one to prove besides fp32; "auto" proves all that this machine supports, and leaves out those
            that do not answer as the trained model does.
        whole: also write a graph for use elsewhere, which ends with what usually follows it (`whole_graph.py`).

    Raises:
        ProofError: an export does not answer as the trained model does; nothing was written.
        BackendError: a backend, or torch, is not installed, or cannot take the net.
        SettingsError: there is no such backend or precision, or the model has no whole graph.
    """
    modules = {name.replace("-", "_"): _checked(name, precision) for name in dict.fromkeys(to)}
    if not modules:
        raise SettingsError("export: name a backend, such as --to 'openvino'")
    if whole:
        _require_whole_graph(bundle)
    with tempfile.TemporaryDirectory(prefix="sightsmith-") as top:
        graphs = _write_graphs(bundle, Path(top))
        folders = {name: Path(top, name) for name in modules}
        others = at_other_lengths(bundle)
        proved: list[Proved] = []
        left_out: list[tuple[str, str, str]] = []
        for name, module in track(modules.items(), "Exporting and proving", len(modules), quiet=quiet):
            folders[name].mkdir()
            for graph in graphs:
                module.compile(graph, folders[name])
            wanted = module.precisions() if precision == "auto" else dict.fromkeys((precision, "fp32"))
            sessions = {one: load_sessions(bundle, folders[name], name, one) for one in wanted}
            runners = {one: Runner(bundle.manifest.definition, loaded) for one, loaded in sessions.items()}
            required = set(wanted) if precision != "auto" else {"fp32"}
            kept, why = _prove(bundle, name, runners, others, prove, required, quiet)
            proved += kept
            left_out += [(name, one, reason) for one, reason in why.items()]
        further = _whole_graph(bundle, graphs[0], Path(top)) if whole else {}
        return ExportReport(_add(bundle, folders, proved, further), tuple(proved), tuple(left_out))


def _checked(name: str, precision: str) -> ModuleType:
    module = BACKENDS.module(name)
    if not module.EXPORTED:
        raise SettingsError(f"export: {name} runs a bundle as it is and needs no export")
    problem = module.missing()
    if problem:
        raise BackendError(f"export: cannot prove an export to {name} here. {problem}")
    here: tuple[str, ...] = module.precisions()
    if precision not in ("auto", *here):
        raise SettingsError(f"export: {name} computes in {' or '.join(here)} on this machine, not in {precision!r}")
    return module


def _require_torch() -> None:
    problem = BACKENDS.module("torch").missing()
    if problem:
        raise BackendError(f"export: the graph is made from the net itself. {problem}")


def _write_graphs(bundle: Bundle, folder: Path) -> list[Path]:
    _require_torch()
    from sightsmith.runtime.onnx_graph import to_onnx  # imports torch, which a base install lacks

    files = {name: folder / f"{name}.onnx" for name in bundle.manifest.definition.graphs}
    for name, file in files.items():
        to_onnx(bundle, name, file)
    return list(files.values())


def _require_whole_graph(bundle: Bundle) -> None:
    """Raise SettingsError, before anything is computed, if the model has no whole graph."""
    _require_torch()
    from sightsmith.runtime.whole_graph import part_of

    part_of(bundle)


def _whole_graph(bundle: Bundle, graph: Path, folder: Path) -> dict[str, Content]:
    from sightsmith.runtime.whole_graph import FILE, write_whole_graph  # imports onnx, which a base install lacks

    target = folder / "whole.onnx"
    write_whole_graph(bundle, graph, target)
    return {FILE: target}


def _prove(
    bundle: Bundle,
    name: str,
    runners: Mapping[str, Runner],
    others: Sequence[Witnesses],
    samples: Sequence[tuple[Item, Any]],
    required: set[str],
    quiet: bool,
) -> tuple[list[Proved], dict[str, str]]:
    """Return the proofs of a backend by precision, and why precisions that are not required were left out."""
    witnesses = bundle.witnesses()
    replayed = {one: replay_all(runner, witnesses, others) for one, runner in runners.items()}
    why = {one: reason for one, (_, reason) in replayed.items() if reason}
    runners = {one: runner for one, runner in runners.items() if one not in why}
    data = compare_on_data(bundle, name, runners, samples, quiet=quiet)
    metric = KINDS.module(bundle.manifest.definition.kind).METRIC
    why |= {one: problem for one, found in data.items() if (problem := found.problem(metric))}
    for one in why.keys() & required:
        way_out = "" if one == "fp32" else " --precision fp32 exports without it."
        raise ProofError(
            f"export to {name} in {one}: the model does not answer as it did when trained: {why[one]}. Nothing was "
            f"written.{way_out}"
        )
    rates = _rates(runners, witnesses.inputs)
    kept = {one: runner for one, runner in runners.items() if one not in why}
    items = nouns_of(bundle.manifest.definition.input)[1]
    proved = [
        Proved(name, one, replayed[one][0], data.get(one), rates[one], items, kept[one].describe()) for one in kept
    ]
    return proved, why


def _rates(runners: Mapping[str, Runner], inputs: Arrays) -> dict[str, float]:
    """Measure each model in turns, best of up to three: items a second of the first output alone."""
    definition = next(iter(runners.values())).definition
    size = max(1, default_batch(definition.graph.inputs) // 4)
    batch = {name: np.resize(array, (size, *array.shape[1:])) for name, array in inputs.items()}
    best = dict.fromkeys(runners, 0.0)
    start = time.monotonic()
    for _ in range(_ROUNDS):
        for name, runner in runners.items():
            best[name] = max(best[name], _rate(runner, batch, size))
        if time.monotonic() - start > _ENOUGH:
            break
    return best


def _rate(runner: Runner, batch: Arrays, size: int) -> float:
    answers = runner.stream(repeat(batch), runner.outputs[:1])
    next(answers)
    start, done = time.monotonic(), 0
    while done == 0 or time.monotonic() - start < _SECONDS:
        next(answers)
        done += size
    rate = done / (time.monotonic() - start)
    answers.close()
    return rate


def _add(bundle: Bundle, folders: Mapping[str, Path], proved: list[Proved], further: Mapping[str, Content]) -> Bundle:
    entries = dict(bundle.manifest.backends)
    files: dict[str, Content] = dict(further)
    for name, folder in folders.items():
        precisions = {one.precision: one.to_json() for one in proved if one.backend == name}
        entries[name] = {"processor": this_machine().processor, "precisions": precisions}
        files |= {f"backends/{name}/{path.name}": path for path in sorted(folder.iterdir())}
    return add_files(bundle, files, remove=[f"backends/{name}/" for name in folders], backends=entries)
