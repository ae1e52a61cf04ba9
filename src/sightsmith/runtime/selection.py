"""Choosing the backend and the precision that run a bundle here, and saying why."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from sightsmith.bundle.manifest import Manifest
from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import BackendError, SettingsError
from sightsmith.core.machine import this_machine
from sightsmith.core.names import did_you_mean
from sightsmith.kinds import KINDS
from sightsmith.runtime.backends import BACKENDS
from sightsmith.runtime.session import Session


@dataclass(frozen=True, slots=True)
class Selection:
    """A backend and precision that run a bundle."""

    backend: str  # the backend's name
    module: ModuleType  # its file
    precision: str
    tolerance: Mapping[str, float]  # by output, how far its answers may be from the trained model's
    why: str  # the reason, in words

    def load(self, bundle: Bundle, folder: Path, threads: int) -> dict[str, Session]:
        """Load the graphs of a bundle, whose files for this backend are in `folder`."""
        graphs = bundle.manifest.definition.graphs
        return {name: self.module.load(bundle, folder, name, self.precision, threads) for name in graphs}


def select(bundle: Bundle, backend: str = "auto", precision: str = "auto") -> Selection:
    """Choose the backend and precision that run a bundle on this machine.

    Raises:
        BackendError: the asked backend cannot run it here, or none can.
        SettingsError: there is no such backend, or it has no such precision here.
    """
    manifest = bundle.manifest
    if backend == "auto":
        name, reason = _fastest(bundle)
    else:
        name, reason = backend.replace("-", "_"), "asked for"
        problem = _obstacle(bundle, BACKENDS.module(name), name)
        if problem:
            raise BackendError(f"{bundle.path}: backend {name} was asked for, but {problem}")
    module = BACKENDS.module(name)
    chosen, because = _precision(manifest, module, name, precision)
    return Selection(name, module, chosen, tolerance(manifest, name, chosen), f"{reason}; {because}")


def ranked() -> list[tuple[str, ModuleType]]:
    """Return every backend's name and file, the fastest first."""
    found = [(name, BACKENDS.module(name)) for name in BACKENDS.names()]
    return sorted(found, key=lambda pair: pair[1].RANK)


def tolerance(manifest: Manifest, backend: str, precision: str) -> dict[str, float]:
    """Return the tolerance of each output against the trained model: the export's, else the kind's."""
    proved = _proved(manifest, backend).get(precision, {}).get("limits")
    defaults: dict[str, dict[str, float]] = KINDS.module(manifest.definition.kind).TOLERANCES
    return dict(proved or defaults[precision])


def _fastest(bundle: Bundle) -> tuple[str, str]:
    passed: list[str] = []
    for name, module in ranked():
        problem = _obstacle(bundle, module, name)
        if problem is None:
            return name, "the fastest that can run here" + (f" ({'; '.join(passed)})" if passed else "")
        passed.append(f"not {name}: {problem.rstrip('.')}")
    raise BackendError(f"{bundle.path}: no backend can run this bundle here. {'. '.join(passed)}.")


def _obstacle(bundle: Bundle, module: ModuleType, name: str) -> str | None:
    """Return why a backend cannot run a bundle here, or None."""
    absent: str | None = module.missing()
    if module.EXPORTED and name not in bundle.manifest.backends:
        return f"the bundle has no export for it: `sightsmith export {bundle.path} --to {name}`"
    return absent


def _precision(manifest: Manifest, module: ModuleType, name: str, asked: str) -> tuple[str, str]:
    here: tuple[str, ...] = module.precisions()
    if asked != "auto":
        if asked not in here:
            raise SettingsError(f"{name} cannot compute in {asked!r} on this machine. {did_you_mean(asked, here)}")
        return asked, f"{asked} was asked for"
    if not module.EXPORTED:
        return "fp32", "fp32 as it was trained; it can " + " and ".join(here)
    proved = _proved(manifest, name)
    usable = [precision for precision in here if precision in proved]
    if not usable:
        return "fp32", "fp32, the precision every machine has"
    rates = {precision: proved[precision].get("rate") for precision in usable}
    if _measured_here(manifest, name) and all(rates.values()):
        best = max(usable, key=lambda precision: float(rates[precision] or 0))
        return best, f"{best} was the fastest on this processor ({_rates(rates)})"
    unproved = [precision for precision in here if precision not in proved]
    note = f"; {', '.join(unproved)} was not proved: export again on this machine to use it" if unproved else ""
    return usable[0], f"{usable[0]} is the fastest proved precision of this processor{note}"


def _proved(manifest: Manifest, backend: str) -> Mapping[str, Any]:
    proved = manifest.backends.get(backend, {}).get("precisions", {})
    return proved if isinstance(proved, Mapping) else {}


def _measured_here(manifest: Manifest, backend: str) -> bool:
    return bool(manifest.backends.get(backend, {}).get("processor") == this_machine().processor)


def _rates(rates: Mapping[str, Any]) -> str:
    return ", ".join(f"{precision} {rate:,.0f}/s" for precision, rate in rates.items())
