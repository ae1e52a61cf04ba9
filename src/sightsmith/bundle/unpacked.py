"""Folders that archives are unpacked to, removed by their process, or by the next one if that was killed."""

import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sightsmith.core.locks import FolderLock

_PREFIX = "sightsmith-unpacked-"
_YOUNG = 60.0  # Seconds in which a folder is left alone: its process may not have locked it yet


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A temporary folder, locked while its process lives."""

    folder: Path
    lock: FolderLock

    def remove(self) -> None:
        """Delete the folder and give up its lock; twice does no harm."""
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
        with suppress(OSError):  # BlockingIOError: its process lives; any other: another process was quicker
            status = folder.lstat()
            if status.st_uid == os.getuid() and time.time() - status.st_mtime > _YOUNG:
                lock = FolderLock(folder)
                if lock.held:
                    Unpacked(folder, lock).remove()
                lock.release()
