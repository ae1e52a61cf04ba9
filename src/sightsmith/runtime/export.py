"""Exporting a bundle to backends, with proof: nothing is written unless the export answers as the trained model does.

The graph is written once, converted by each backend into a temporary folder, loaded in every precision that will be
served, and asked the witnesses; with labelled pictures at hand also those. Only then do the files join the bundle.

Shapes: N pictures, H, W, C height, width and channels of the net's input.
"""

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.bundle.store import Bundle, add_files
from sightsmith.bundle.witnesses import Proof, Witnesses
from sightsmith.core.counts import many
from sightsmith.core.errors import BackendError, SettingsError
from sightsmith.core.images import Picture
from sightsmith.core.machine import this_machine
from sightsmith.core.progress import track
from sightsmith.predictions import KINDS
from sightsmith.runtime.backends import BACKENDS
from sightsmith.runtime.proving import Comparison, compare_on_data
from sightsmith.runtime.session import Session, default_batch

_ROUNDS, _SECONDS, _ENOUGH = 3, 0.2, 3.0
"""Rounds of measuring, seconds of each at least, and seconds after which no further round begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """One backend in one precision, as it was proved.

    Attributes:
        backend: name of the backend.
        precision: what it computed in.
        proof: what came of the witnesses.
        comparison: what came of the labelled pictures, None where there were none.
        rate: pictures a second on this machine, inputs ready in memory.
        description: what computed.
    """

    backend: str
    precision: str
    proof: Proof
    comparison: Comparison | None
    rate: float
    description: str

    def to_json(self) -> dict[str, Any]:
        proof = self.proof.to_json()
        kept = {key: proof[key] for key in ("witnesses", "differences", "limits", "same_answers")}
        data = {} if self.comparison is None else {"data": self.comparison.to_json()}
        return {**kept, **data, "rate": round(self.rate, 1), "ran": self.description}

    def __str__(self) -> str:
        worst = ", ".join(f"{name} within {value:.2g}" for name, value in self.proof.differences.items())
        data = "" if self.comparison is None else f"; {self.comparison}"
        witnesses = many(self.proof.count, "witness", "witnesses")
        return f"{self.backend} {self.precision}: {witnesses}, {worst}{data}; {self.rate:,.0f} pictures/s"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export made.

    Attributes:
        bundle: the bundle, with the exports in it.
        proved: every backend and precision, in the order they were proved.
        skipped: (name, reason) of each picture that was to prove the metric and cannot be used.
    """

    bundle: Bundle
    proved: tuple[Proved, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        rows = [{"backend": one.backend, "precision": one.precision, **one.to_json()} for one in self.proved]
        skipped = [{"key": key, "why": why} for key, why in self.skipped]
        return {"bundle": str(self.bundle.path), "exports": rows, "skipped": skipped}

    def __str__(self) -> str:
        return "\n".join(str(one) for one in self.proved)


def export(
    bundle: Bundle | Path | str,
    to: Sequence[str] = ("openvino",),
    *,
    prove: Sequence[tuple[Picture, Any]] = (),
    precision: str = "auto",
    max_drop: float = 0.005,
    min_agreement: float = 0.99,
    threads: int = 0,
    quiet: bool = False,
) -> ExportReport:
    """Export a bundle to backends and prove each; the bundle on the disk changes only when all are proved.

    Args:
        bundle: the bundle or where it lies; needs torch.
        to: names of the backends.
        prove: labelled pictures to compare the metric on, each (picture, target).
        precision: the one to prove besides fp32; "auto" proves all that this machine computes in.
        max_drop: how far the metric may fall on `prove`, in 0…1.
        min_agreement: share of `prove` that must be answered as by the trained model, near ties counting, in 0…1.
        threads: threads to compute with; 0 is as many as are usable.
        quiet: show no progress.

    Raises:
        ProofError: an export does not answer as the trained model does; nothing was written.
        BackendError: a backend is not installed, or cannot take the net.
        SettingsError: there is no such backend or precision.
    """
    modules = {name.replace("-", "_"): _checked(name, precision) for name in dict.fromkeys(to)}
    if not modules:
        raise SettingsError("export: name a backend, such as --to openvino")
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    with ExitStack() as stack:
        if opened is not bundle:
            stack.callback(opened.close)
        top = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sightsmith-")))
        _write_graph(opened, top / "graph.onnx")
        witnesses = opened.witnesses()
        steps = track(modules.items(), "Exporting and proving", len(modules), quiet=quiet)
        proved: list[Proved] = []
        for name, module in steps:
            (top / name).mkdir()
            module.compile(top / "graph.onnx", top / name)
            sessions = _load(opened, module, top / name, precision, threads)
            proofs = {one: _replay(opened, name, one, session, witnesses) for one, session in sessions.items()}
            data = compare_on_data(
                opened, name, sessions, prove, max_drop=max_drop, min_agreement=min_agreement, quiet=quiet
            )
            rates = _rates(sessions, witnesses.pixels_NHWC)
            proved += [
                Proved(
                    backend=name,
                    precision=one,
                    proof=proofs[one],
                    comparison=data.get(one),
                    rate=rates[one],
                    description=session.describe(),
                )
                for one, session in sessions.items()
            ]
        return ExportReport(_add(opened, top, modules, proved), tuple(proved))


def _checked(name: str, precision: str) -> ModuleType:
    module = BACKENDS.module(name)
    if not module.EXPORTED:
        raise SettingsError(f"export: {name} runs a bundle as it is and needs no export")
    problem: str | None = module.missing()
    if problem:
        raise BackendError(f"export: cannot prove an export to {name} here. {problem}")
    here: tuple[str, ...] = module.precisions()
    if precision not in ("auto", *here):
        raise SettingsError(f"export: {name} computes in {' or '.join(here)} on this machine, not in {precision!r}")
    return module


def _write_graph(bundle: Bundle, path: Path) -> None:
    problem: str | None = BACKENDS.module("torch").missing()
    if problem:
        raise BackendError(f"export: the graph is made from the net itself. {problem}")
    from sightsmith.runtime.onnx_graph import to_onnx  # imports torch, which a base install lacks

    to_onnx(bundle, path)


def _load(bundle: Bundle, module: ModuleType, folder: Path, precision: str, threads: int) -> dict[str, Session]:
    wanted = module.precisions() if precision == "auto" else tuple(dict.fromkeys((precision, "fp32")))
    return {one: module.load(bundle, folder, one, threads) for one in wanted}


def _replay(bundle: Bundle, name: str, precision: str, session: Session, witnesses: Witnesses) -> Proof:
    limits = KINDS.module(bundle.manifest.kind).TOLERANCES[precision]
    proof = session.replay(witnesses, limits, kind=bundle.manifest.kind)
    way_out = "" if precision == "fp32" else " (--precision fp32 exports without it)"
    proof.require(f"export to {name} in {precision}{way_out}")
    return proof


def _rates(sessions: dict[str, Session], pixels_NHWC: NDArray[np.uint8]) -> dict[str, float]:
    """Measure each session in turns, best of up to three: pictures a second of the first output alone."""
    size = max(1, default_batch(pixels_NHWC.shape[1:]) // 4)
    batch_NHWC = np.resize(pixels_NHWC, (size, *pixels_NHWC.shape[1:]))
    best = dict.fromkeys(sessions, 0.0)
    start = time.monotonic()
    for _ in range(_ROUNDS):
        for name, session in sessions.items():
            best[name] = max(best[name], _rate(session, batch_NHWC))
        if time.monotonic() - start > _ENOUGH:
            break
    return best


def _rate(session: Session, batch_NHWC: NDArray[np.uint8]) -> float:
    answers = session.stream(repeat(batch_NHWC), session.outputs[:1])
    next(answers)
    start, count = time.monotonic(), 0
    while count == 0 or time.monotonic() - start < _SECONDS:
        next(answers)
        count += len(batch_NHWC)
    rate = count / (time.monotonic() - start)
    answers.close()
    return rate


def _add(bundle: Bundle, top: Path, modules: dict[str, ModuleType], proved: list[Proved]) -> Bundle:
    entries = dict(bundle.manifest.backends)
    files: dict[str, bytes | str | Path] = {}
    for name in modules:
        entries[name] = {
            "processor": this_machine().processor,
            "precisions": {one.precision: one.to_json() for one in proved if one.backend == name},
        }
        files |= {f"backends/{name}/{path.name}": path for path in sorted((top / name).iterdir())}
    return add_files(bundle, files, remove=[f"backends/{name}/" for name in modules], backends=entries)
