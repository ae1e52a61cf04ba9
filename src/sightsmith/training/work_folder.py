"""The folder beside the bundle-to-be in which training works: settings, choices, curve, checkpoints.

It stays when training is interrupted, for `--resume`, and is deleted when the bundle is written. A lock
on it prevents a second training. This module imports no torch.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightsmith.bundle.location import baselines_folder, refuse_taken
from sightsmith.core.errors import OutputExistsError, SettingsError, SightsmithError, TrainingError
from sightsmith.core.files import refuse_existing, told, write_text
from sightsmith.core.locks import FolderLock
from sightsmith.core.settings import from_mapping, read_toml, to_mapping, to_toml
from sightsmith.data.source import known_names
from sightsmith.training.settings import TrainSettings

MAY_CHANGE = frozenset(
    "lr clip patience device precision threads workers cache logger overwrite resume out".split()  # noqa: SIM905
)
"""Settings that may differ when a training is resumed."""

LAST, BEST, GOOD = "last.safetensors", "best.safetensors", "good.safetensors"
_RUN, _CHOSEN, _FITTED, _LEARNED = "run.toml", "chosen.json", ".fitted", "learned"


class WorkFolder:
    """The files of one training.

    Attributes:
        path: the folder, `OUT.train` beside OUT.
        last: the last checkpoint.
        best: the best weights.
        good: the checkpoint before something went wrong, as long as it does not pass.

    Raises SettingsError: OUT has no name of its own, as `.` has not.
    """

    def __init__(self, out: Path) -> None:
        if out.name in ("", ".."):
            raise SettingsError(
                f"train: out must be the name of a folder to make, such as --out 'model', got {str(out)!r}"
            )
        self.path = out.with_name(f"{out.name}.train")
        self.last, self.best, self.good = self.path / LAST, self.path / BEST, self.path / GOOD
        self._lock: FolderLock | None = None

    def take(self, settings: TrainSettings) -> None:
        """Lock the folder until `close`, and check its content; nothing is changed yet.

        Raises:
            OutputExistsError: the bundle or an interrupted training exists, and neither resume nor overwrite is set;
                or the path is something else, such as the data; or a training is running there.
            SettingsError: there is nothing to resume, or it was started with other settings; or `out` is in the data.
        """
        self._check(settings)
        with told(self.path), suppress(BlockingIOError):
            self._lock = FolderLock(self.path)
        if self._lock is None:
            raise OutputExistsError(
                f"{self.path}: a training is running there. Wait until it has ended, stop it, or choose another --out."
            )
        try:
            self._check(settings)  # again: another training may have ended or been deleted meanwhile
            if self.path.exists() and not (settings.resume or settings.overwrite or _is_empty(self.path)):
                raise OutputExistsError(
                    f"{self.path} holds an interrupted training. --resume goes on with it, --overwrite starts again."
                )
        except SightsmithError:
            self.close()
            raise

    def _check(self, settings: TrainSettings) -> None:
        others = baselines_folder(settings.bundle_path)
        for place in (settings.bundle_path, self.path, *([others] if settings.baselines else [])):
            _refuse_overlap(place, settings)
        refuse_taken(settings.bundle_path, overwrite=settings.overwrite)
        if settings.baselines:
            refuse_baselines(settings)
        if settings.resume:
            self._check_same(settings)
        elif self.path.exists() and not (self.path / _RUN).is_file() and not _is_empty(self.path):
            raise OutputExistsError(
                f"{self.path} is needed as work folder, but holds something other than an interrupted training (no "
                f"{_RUN}). Choose another --out, or move it away yourself."
            )

    def inside(self, settings: TrainSettings) -> "WorkFolder":
        """Return a folder of this one for another net of the same training, started with its settings.

        On resume it stays as it is if that net was started before.
        """
        inner = WorkFolder(self.path / settings.model)
        with told(inner.path):
            inner.path.mkdir(parents=True, exist_ok=True)
        if not (settings.resume and (inner.path / _RUN).is_file()):
            inner.start(replace(settings, resume=False))
        return inner

    @property
    def locked(self) -> bool:
        """Tell whether the system supports the lock on the folder."""
        return self._lock is not None and self._lock.held

    def start(self, settings: TrainSettings) -> None:
        """Empty the locked folder and write the settings to it; on resume, leave it unchanged."""
        if settings.resume:
            return
        _empty(self.path)
        self.write(_RUN, to_toml(settings))

    def close(self) -> None:
        """Release the lock; delete the folder if it is new and empty."""
        if self._lock is None:
            return
        if self._lock.made:
            with suppress(OSError):  # something is in it, or it is gone
                self.path.rmdir()
        self._lock.release()
        self._lock = None

    def _check_same(self, settings: TrainSettings) -> None:
        if not (self.path / _RUN).is_file():
            raise SettingsError(f"{self.path}: no training was interrupted there. Leave --resume out to start one.")
        before = self._first_settings()
        was, now = to_mapping(before), to_mapping(replace(settings, out=before.out))
        changed = sorted(
            name for name in was.keys() | now.keys() if name not in MAY_CHANGE and was.get(name) != now.get(name)
        )
        if changed:
            differences = ", ".join(f"{name} ({was.get(name)!r} before, {now.get(name)!r} now)" for name in changed)
            raise SettingsError(
                f"{self.path}: this training was started with other settings: {differences}. Give the same ones (they "
                f"are in {self.path / _RUN}), or start again with --overwrite. May differ: "
                f"{', '.join(sorted(MAY_CHANGE))}."
            )

    def _first_settings(self) -> TrainSettings:
        return from_mapping(TrainSettings, read_toml(self.path / _RUN), where=str(self.path / _RUN))

    def recall(self) -> dict[str, Any]:
        """Return the choices of the training that is resumed; empty for a new one."""
        path = self.path / _CHOSEN
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def remember(self, chosen: dict[str, Any]) -> None:
        self.write(_CHOSEN, json.dumps(chosen, indent=1))

    def write(self, name: str, text: str) -> None:
        """Write a text file of the folder. Raises TrainingError: it cannot be written."""
        try:
            write_text(self.path / name, text)
        except OSError as error:
            raise TrainingError(
                f"{self.path}: cannot be written ({error}). Make room, or choose another --out."
            ) from error

    def mark_fitted(self, baseline: str) -> None:
        """Note that a baseline's bundle is of this training, not of one that it replaces."""
        self.write(f"{baseline}{_FITTED}", "")

    def has_fitted(self, baseline: str) -> bool:
        return (self.path / f"{baseline}{_FITTED}").is_file()

    def mark_learned(self) -> None:
        """Note that the net has learned all that it will."""
        self.write(_LEARNED, "")

    @property
    def has_learned(self) -> bool:
        return (self.path / _LEARNED).is_file()

    def rerun(self, settings: TrainSettings) -> str:
        """Return the settings as TOML that makes this training again from the start, whether it was resumed or not."""
        first = self._first_settings()
        lr = first.lr if settings.lr is None else settings.lr
        return to_toml(replace(settings, lr=lr, resume=False, overwrite=False))

    def checkpoint(self) -> Path | None:
        """Return the checkpoint to go on from, or None if there is none yet."""
        return self.last if self.last.is_file() else None

    @contextmanager
    def gone_on_error(self) -> Iterator[None]:
        """Delete the folder on an error before the first checkpoint, so that training can start again."""
        try:
            yield
        except (SightsmithError, KeyboardInterrupt):
            if self.checkpoint() is None:
                shutil.rmtree(self.path, ignore_errors=True)
            raise


def refuse_baselines(settings: TrainSettings) -> None:
    """Raise OutputExistsError if a new training would write baselines over others, and overwrite is not set."""
    others = baselines_folder(settings.bundle_path)
    if not settings.resume and others.exists():
        refuse_existing(others, overwrite=settings.overwrite, folder=True)


def _empty(path: Path) -> None:
    """Delete the content of a folder; the folder itself stays, because the lock is on it."""
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink()


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _refuse_overlap(place: Path, settings: TrainSettings) -> None:
    """Raise if `place` is inside the training data, or contains it."""
    named = settings.format is None and settings.data.replace("_", "-") in known_names()
    if named or not Path(settings.data).exists():
        return
    data, there = Path(settings.data).resolve(), place.resolve()
    if there in (data, *data.parents):
        raise OutputExistsError(
            f"{place}: is or contains the training data {settings.data}, which would be replaced. Choose another --out."
        )
    if data in there.parents:
        raise SettingsError(
            f"{place}: is inside the training data {settings.data}: files of the model would be read as pictures. "
            f"Write it beside the data, such as --out '{data}-model'"
        )
