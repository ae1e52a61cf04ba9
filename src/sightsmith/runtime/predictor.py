"""A bundle opened in a backend: the fastest that can run it here, or the one that is asked for.

Importing this file imports no torch. Opening a bundle does so only for the torch backend.
"""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from sightsmith.bundle.manifest import Manifest
from sightsmith.bundle.store import Bundle
from sightsmith.bundle.witnesses import Proof, Witnesses
from sightsmith.core.errors import BackendError, SettingsError
from sightsmith.core.machine import this_machine
from sightsmith.core.names import did_you_mean
from sightsmith.runtime.backends import BACKENDS
from sightsmith.runtime.runner import Runner
from sightsmith.runtime.session import Session


class Predictor(Runner):
    """A bundle opened in a backend; safe to use from several threads.

    Attributes:
        bundle: the bundle.
        backend: name of the backend that computes.
        why: which backend and precision were picked, and why.
        threads: that it was asked to compute with, 0 for as many as are usable.
    """

    def __init__(self, bundle: Bundle, backend: str, precision: str, threads: int) -> None:
        name, reason = _fastest(bundle) if backend == "auto" else _asked(bundle, backend.replace("-", "_"))
        exported = bundle.manifest.backends.get(name, {})
        chosen, because = _precision(name, exported, precision)
        sessions = load_sessions(bundle, bundle.folder / "backends" / name, name, chosen, threads)
        limits = exported.get("precisions", {}).get(chosen, {}).get("limits")
        super().__init__(bundle.manifest.definition, sessions, limits)
        self.bundle, self.backend, self.threads = bundle, name, threads
        self.why = f"{self.describe()}: {reason}; {because}"

    @classmethod
    def open(
        cls, bundle: Bundle | Path | str, backend: str = "auto", precision: str = "auto", threads: int = 0
    ) -> Self:
        """Open a bundle in a backend.

        Args:
            bundle: the bundle or its path.
            backend: a backend's name; "auto" picks the fastest that can run here.
            precision: "fp32", "bf16" …; "auto" picks the fastest one proved at export.
            threads: threads to compute with; 0 is as many as are usable.

        Raises:
            BundleError: the bundle cannot be used.
            BackendError: no backend can run it here, or the asked one cannot.
            SettingsError: there is no such backend or precision.
        """
        if threads < 0:
            raise SettingsError(f"threads must be ≥ 0 (0 is as many as are usable), got {threads}")
        opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
        try:
            return cls(opened, backend, precision, threads)
        except BaseException:
            if opened is not bundle:
                opened.close()
            raise

    @property
    def manifest(self) -> Manifest:
        return self.bundle.manifest

    def replay(self, witnesses: Witnesses | None = None, *, reread: bool = True) -> Proof:
        """Answer the witnesses again, as `Runner.replay`; those of the bundle, read anew, if None."""
        return super().replay(witnesses or self.bundle.witnesses(), reread=reread)

    def close(self) -> None:
        """Remove the files unpacked from an archive."""
        self.bundle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def load_sessions(bundle: Bundle, folder: Path, backend: str, precision: str, threads: int = 0) -> dict[str, Session]:
    """Load the graphs of a bundle, whose files for this backend are in `folder`."""
    load = BACKENDS.module(backend).load
    return {graph: load(bundle, folder, graph, precision, threads) for graph in bundle.manifest.definition.graphs}


def _fastest(bundle: Bundle) -> tuple[str, str]:
    passed: list[str] = []
    for name in sorted(BACKENDS.names(), key=lambda name: BACKENDS.module(name).RANK):
        obstacle = _obstacle(bundle, BACKENDS.module(name), name)
        if obstacle is None:
            return name, "the fastest that can run here" + (f" ({'; '.join(passed)})" if passed else "")
        passed.append(f"not {name}: {obstacle.rstrip('.')}")
    raise BackendError(f"{bundle.path}: no backend can run this bundle here. {'. '.join(passed)}.")


def _asked(bundle: Bundle, name: str) -> tuple[str, str]:
    obstacle = _obstacle(bundle, BACKENDS.module(name), name)
    if obstacle:
        raise BackendError(f"{bundle.path}: backend {name} was asked for, but {obstacle}")
    return name, "asked for"


def _obstacle(bundle: Bundle, module: ModuleType, name: str) -> str | None:
    """Return why a backend cannot run a bundle here, or None."""
    if module.EXPORTED and name not in bundle.manifest.backends:
        return f"the bundle has no export for it: `sightsmith export {bundle.path} --to {name}`"
    return module.missing()


def _precision(name: str, exported: Mapping[str, Any], asked: str) -> tuple[str, str]:
    """Return the precision for a backend, and why; `exported` is its entry in the manifest."""
    module = BACKENDS.module(name)
    here: tuple[str, ...] = module.precisions()
    if asked != "auto":
        if asked not in here:
            raise SettingsError(f"{name} cannot compute in {asked!r} on this machine. {did_you_mean(asked, here)}")
        return asked, f"{asked} was asked for"
    if not module.EXPORTED:
        return "fp32", "fp32 as it was trained; it can " + " and ".join(here)
    rates = {one: proof.get("rate") for one in here if (proof := exported.get("precisions", {}).get(one))}
    if not rates:
        return "fp32", "fp32, the precision every machine has"
    if exported.get("processor") == this_machine().processor and all(rates.values()):
        best = max(rates, key=lambda one: float(rates[one]))
        measured = ", ".join(f"{one} {rate:,.0f}/s" for one, rate in rates.items())
        return best, f"{best} was the fastest on this processor ({measured})"
    best = next(iter(rates))
    unproved = ", ".join(one for one in here if one not in rates)
    note = f"; {unproved} was not proved: export again on this machine to use it" if unproved else ""
    return best, f"{best} is the fastest proved precision of this processor{note}"
