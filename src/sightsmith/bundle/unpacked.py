"""Temporary folders of unpacked archives, removed by their process, or by a later one if it was killed."""

import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sightsmith.core.locks import FolderLock

_PREFIX = "sightsmith-unpacked-"
_YOUNG = 60.0  # Minimum age in seconds of a folder to delete: a new one may not be locked yet


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A temporary folder, locked while its process lives."""

    folder: Path
    lock: FolderLock

    def remove(self) -> None:
        """Delete the folder and release its lock; may be called twice."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.release()


def new_unpacked() -> Unpacked:
    """Make a temporary folder, after deleting those of processes that were killed.

    Raises OSError: there is no place for it.
    """
    _remove_orphans(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    return Unpacked(folder, FolderLock(folder))


def _remove_orphans(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # BlockingIOError: its process is alive; else another process has deleted it
            status = folder.lstat()
            if status.st_uid == os.getuid() and time.time() - status.st_mtime > _YOUNG:
                lock = FolderLock(folder)
                if lock.held:
                    Unpacked(folder, lock).remove()
                lock.release()
