"""A bundle opened in a backend: the fastest that can run it here, or the one that is asked for.

Importing this file imports no torch. Opening a bundle does so only for the torch backend.
"""

from pathlib import Path
from typing import Self

from sightsmith.bundle.manifest import Manifest
from sightsmith.bundle.store import Bundle
from sightsmith.bundle.witnesses import Proof, Witnesses
from sightsmith.core.errors import SettingsError
from sightsmith.runtime.runner import Runner
from sightsmith.runtime.selection import Selection, select


class Predictor(Runner):
    """A bundle opened in a backend; safe to use from several threads.

    Attributes:
        bundle: the bundle.
        backend: name of the backend that computes.
        why: which backend and precision were picked, and why.
    """

    def __init__(self, bundle: Bundle, choice: Selection, threads: int = 0) -> None:
        sessions = choice.load(bundle, bundle.folder / "backends" / choice.backend, threads)
        super().__init__(bundle.manifest.definition, sessions, choice.tolerance)
        self.bundle, self.backend = bundle, choice.backend
        self.why = f"{self.describe()}: {choice.why}"

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
            return cls(opened, select(opened, backend, precision), threads)
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
