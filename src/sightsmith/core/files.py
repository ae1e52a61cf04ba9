"""Writing files whole or not at all, hashing them, and unpacking archives safely."""

import codecs
import errno
import hashlib
import io
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TextIO

from sightsmith.core.errors import BundleError, OutputError, OutputExistsError

_MAX_ARCHIVE_BYTES = 16 * 2**30
_MAX_ARCHIVE_FILES = 10_000
_SMALL = 16 * 2**20
_MAX_RATIO = 100
"""Largest unpacked ÷ packed size above `_SMALL` bytes. Weights and pictures hardly compress, so more is an
attack."""
ZIP_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)
"""Exceptions of zipfile on damaged archives; `odd_compression` has refused the other methods and so their errors."""
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def replace_folder(fresh: Path, path: Path) -> None:
    """Move the folder `fresh` to `path`; what was there is deleted only after the move."""
    old = _folder_for_old(path)
    there = [(path, old / "was")] if path.exists() or path.is_symlink() else []
    _rename_all([*there, (fresh, path)], old)


def replace_content(fresh: Path, path: Path) -> None:
    """Replace the content of the folder `path` by that of `fresh`; hidden entries stay.

    Unlike `replace_folder` this keeps the folder itself, which may be a process's working directory. After a rename,
    relative paths there would fail, and a shell in it would show an empty folder.
    """
    old = _folder_for_old(path)
    steps = [(entry, old / entry.name) for entry in path.iterdir() if not entry.name.startswith(".")]
    _rename_all([*steps, *((entry, path / entry.name) for entry in fresh.iterdir())], old)


def _folder_for_old(path: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))


def _rename_all(steps: list[tuple[Path, Path]], old: Path) -> None:
    """Rename each first path to its second, and delete `old`; on an error, undo all."""
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in steps:
            source.rename(target)
            done.append((source, target))
    except BaseException:
        for source, target in reversed(done):
            target.rename(source)
        old.rmdir()
        raise
    shutil.rmtree(old)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling path, and rename it to `path` when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    partial = Path(name)
    readable(partial)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def told(path: Path | str) -> Iterator[None]:
    """Raise OutputError, which says what to do, in place of any OSError from writing `path`."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error}). Make room on the disk, or name a place that you may write to."
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    with new_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def refuse_existing(path: Path, *, overwrite: bool, folder: bool = False) -> None:
    """Raise if `path` exists and `overwrite` is false; only a folder (`folder`) may replace a folder."""
    if not folder and path.is_dir():
        raise OutputExistsError(f"{path} exists already and is a folder. Give the name of a file.")
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path} exists already. Give another name, or --overwrite to replace it.")


def next_free(path: Path, *beside: str) -> Path:
    """Return `path`, or NAME-2, NAME-3 … if it, or a file beside it with one of these endings, exists."""
    free, number = path, 1
    while any(free.with_suffix(ending).exists() for ending in (path.suffix, *beside)):
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal. Raises OSError as `open_regular`."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file for reading. Raises OSError: it is missing, or is a pipe or device, which might never end."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(handle, "rb")


def unzip(
    archive: Path, folder: Path, select: Callable[[zipfile.ZipFile], list[zipfile.ZipInfo]] = zipfile.ZipFile.infolist
) -> None:
    """Unpack a zip archive, or the members that `select` returns before anything is written, into an existing folder.

    Raises:
        BundleError: the archive is damaged, too large, or has a name that leads out of the folder.
        OutputError: the disk has no room for its content.
    """
    try:
        with open_regular(archive) as file, zipfile.ZipFile(file) as zipped:
            _check_members(archive, zipped.infolist())
            members = select(zipped)
            # The sum counts, because members may share bytes.
            if absurd := absurd_ratio(archive.stat().st_size, sum(member.file_size for member in members)):
                raise BundleError(f"{archive}: {absurd}. No bundle compresses so well; do not trust it.")
            zipped.extractall(folder, members)
    except ZIP_DAMAGE as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise OutputError(
                f"{folder}: no room to unpack {archive} ({error.strerror}). Free some, or set TMPDIR to a larger place."
            ) from error
        raise BundleError(f"{archive}: not a whole zip archive ({error}). Copy it again.") from error


def absurd_ratio(packed: int, unpacked: int) -> str:
    """Return why the compression ratio is implausible, for a message; empty if it is plausible."""
    if unpacked <= max(_SMALL, _MAX_RATIO * packed):
        return ""
    return f"{packed:,} bytes would unpack to {unpacked:,}, more than {_MAX_RATIO} times as many"


def odd_compression(members: Iterable[zipfile.ZipInfo]) -> str:
    """Return a message about the first member that is neither stored nor deflated; empty if none."""
    # Python unpacks the other methods in pieces of any size, so their members cannot be read within bounds.
    for member in members:
        if (method := member.compress_type) not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            return f"{member.filename!r} is compressed with method {method}; only stored and deflated members are read"
    return ""


def _check_members(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > _MAX_ARCHIVE_FILES or sum(member.file_size for member in members) > _MAX_ARCHIVE_BYTES:
        raise BundleError(
            f"{archive}: an archive may hold {_MAX_ARCHIVE_FILES:,} files and {_MAX_ARCHIVE_BYTES >> 30} GiB unpacked; "
            "this one holds more. Unpack it yourself if you trust it."
        )
    if odd := odd_compression(members):
        raise BundleError(f"{archive}: {odd}. Pack it again with `zip -r`.")
    for member in members:
        name = member.filename.replace("\\", "/")
        is_link = (member.external_attr >> 16) & 0o170000 == 0o120000
        if name.startswith("/") or ".." in PurePosixPath(name).parts or ":" in name or is_link:
            raise BundleError(
                f"{archive}: member {member.filename!r} would be written outside the folder. "
                "This is not a bundle made by Sightsmith; do not trust it."
            )


def readable(path: Path) -> None:
    """Set a file's permissions by the user's umask; some libraries write owner-only files."""
    path.chmod(0o666 & ~_umask())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def is_utf8(stream: TextIO | None) -> bool:
    """Tell whether a stream can hold every character; streams without an encoding (StringIO) can."""
    encoding = getattr(stream, "encoding", None)
    return encoding is None or codecs.lookup(encoding).name == "utf-8"
