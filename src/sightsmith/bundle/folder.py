"""The files under a bundle: listing, linking and packing folders, and temporary ones for unpacked archives."""

import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Container
from contextlib import suppress
from functools import partial
from pathlib import Path

from sightsmith.core.files import new_file
from sightsmith.core.locks import FolderLock

Content = bytes | str | Path  # Content of a file: bytes, text (UTF-8), or a file to copy
OTHER_TOOLS = frozenset({".git", ".gitattributes", ".gitignore", ".DS_Store", ".cache", ".huggingface"})
"""Hidden entries that version control, hubs and file managers put into any folder."""
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_UNPACKED = "sightsmith-unpacked-"
_YOUNG = 60.0  # Minimum age in seconds of a folder to delete: a new one may not be locked yet


def files_of(folder: Path) -> set[str]:
    """Return the files by relative path; names that start with a dot (.git, .DS_Store) belong to other tools."""
    found = set()
    for top, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        place = Path(top).relative_to(folder)
        found |= {(place / name).as_posix() for name in names if not name.startswith(".")}
    return found


def oddities_of(folder: Path, listed: Container[str]) -> dict[str, str]:
    """Return entries that no bundle has: links and special files that it does not list, empty folders, hidden files.

    Hidden entries of common tools (`OTHER_TOOLS`) may stand in a bundle. A listed file may be a link, as in the
    cache of a hub, since its content is checked.
    """
    odd = {}
    for top, folders, names in os.walk(folder):
        place = Path(top).relative_to(folder)
        if not folders and not names and place != Path():
            odd[place.as_posix()] = "an empty folder"
        for name in sorted((*folders, *names)):
            path, shown = Path(top, name), (place / name).as_posix()
            if name.startswith("."):
                if name not in OTHER_TOOLS and not name.startswith(("._", ".nfs")):
                    odd[shown] = "a hidden file"
            elif path.is_symlink() and shown not in listed:
                odd[shown] = "a link that is not listed in the manifest"
            elif not path.is_dir() and path.exists() and not path.is_file():
                odd[shown] = "a pipe or device, not a file"
        folders[:] = [name for name in folders if not name.startswith(".")]
    return odd


def put(path: Path, content: Content) -> None:
    """Write a file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        shutil.copyfile(content, path)
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8", newline="\n")
    else:
        path.write_bytes(content)


def link(source: Path | str, target: Path | str) -> None:
    """Hard-link a file; copy it if the disk has no links."""
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def zip_folder(folder: Path, archive: Path) -> None:
    """Write a folder as an archive, whole or not at all; equal folders give equal archives."""
    with new_file(archive) as whole, zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as zipped:
        for name in sorted(files_of(folder)):
            info = zipfile.ZipInfo(name, _ZIP_DATE)
            info.external_attr = 0o644 << 16
            with (folder / name).open("rb") as source, zipped.open(info, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target, 1 << 20)


def new_unpacked() -> tuple[Path, Callable[[], None]]:
    """Make a temporary folder, locked while this process lives, after deleting those of processes that were killed.

    Returns the folder and the function that deletes it, which may be called twice. Raises OSError: there is no room.
    """
    _remove_orphans()
    folder = Path(tempfile.mkdtemp(prefix=_UNPACKED))
    return folder, partial(_remove, folder, FolderLock(folder))


def _remove_orphans() -> None:
    for orphan in Path(tempfile.gettempdir()).glob(f"{_UNPACKED}*"):
        with suppress(OSError):  # BlockingIOError: its process is alive; else another process has deleted it
            status = orphan.lstat()
            if status.st_uid == os.getuid() and time.time() - status.st_mtime > _YOUNG:
                lock = FolderLock(orphan)
                if lock.held:
                    _remove(orphan, lock)
                lock.release()  # also of a folder that the system cannot lock


def _remove(folder: Path, lock: FolderLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()
