"""Locks on folders, which the system releases when the process ends, even after a crash.

A lock is on the folder itself, so that no file is left behind. If the system cannot lock a folder (Windows, a folder
that may not be listed, a network disk without locks) there is no lock, and the caller is informed.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

_handles: set[int] = set()  # The open folders that this process holds


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process runs such a block for the same folder; no wait without system support."""
    handle = None
    with suppress(OSError):
        handle = _opened(folder)
        _lock(handle, wait=True)
    try:
        yield
    finally:
        if handle is not None:
            _close(handle)


class FolderLock:
    """A folder that is created if missing, and locked without waiting.

    Attributes:
        made: the folder was created by this lock.
        held: whether the system holds the lock; if not, another process may take the folder too.

    Raises:
        BlockingIOError: another process, or another lock of this one, holds the folder.
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._handle: int | None = None
        self.made = False
        while not self._taken(folder):
            pass
        self.held = self._handle is not None

    def _taken(self, folder: Path) -> bool:
        """Try once; false if another process deleted the folder meanwhile."""
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            self.made = True
        handle = None
        try:
            handle = _opened(folder)
            _lock(handle, wait=False)
            if os.path.samestat(os.fstat(handle), folder.stat()):
                self._handle, handle = handle, None
            return self._handle is not None
        except BlockingIOError:
            raise
        except FileNotFoundError:
            return False
        except OSError:
            return True  # the system cannot lock it
        finally:
            if handle is not None:
                _close(handle)

    def release(self) -> None:
        if self._handle is not None:
            _close(self._handle)
            self._handle = None


def _opened(folder: Path) -> int:
    _forget_in_children()
    handle = os.open(folder, os.O_RDONLY)
    _handles.add(handle)
    return handle


def _close(handle: int) -> None:
    _handles.discard(handle)
    os.close(handle)


def _lock(handle: int, *, wait: bool) -> None:
    if sys.platform == "win32":
        raise OSError("folders cannot be locked here")
    import fcntl  # Windows has none

    fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


@cache
def _forget_in_children() -> None:
    # A lock lasts as long as any copy of its handle is open: processes that decode pictures would keep the lock of a
    # training that was killed.
    if sys.platform != "win32":
        os.register_at_fork(after_in_child=_close_copies)


def _close_copies() -> None:
    while _handles:
        os.close(_handles.pop())
