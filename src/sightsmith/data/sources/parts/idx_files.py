"""Reading idx files (MNIST's format: http://yann.lecun.com/exdb/mnist/), gzipped or plain.

Header: two zero bytes, a type byte (8: uint8), the number of dimensions, and each of them as big-endian uint32.
"""

import gzip
import re
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.errors import DataError
from sightsmith.core.records import Split
from sightsmith.data.sources.parts.arrays import Part, check_part
from sightsmith.data.sources.parts.names import split_named

IMAGES = re.compile(r"^(?P<set>.*?)[-_.]?images[-_.]idx3[-_.]ubyte(\.gz)?$", re.IGNORECASE)
"""Name of a file of pictures; that of its labels has `labels` and `idx1` instead."""

_UINT8 = 8
_MAX_DIMENSIONS = 4


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read one idx file.

    Raises:
        DataError: not idx, not of bytes, cut short, or longer than its header says.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix.lower() == ".gz" else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: not a whole gzip file ({error}). Download it again.") from error
    if len(data) < 4 or data[:2] != b"\0\0" or not 1 <= data[3] <= _MAX_DIMENSIONS:
        raise DataError(f"{path}: not an idx file: it starts with {data[:4].hex(' ') or 'nothing'}, not 00 00 08 0n.")
    if data[2] != _UINT8:
        raise DataError(f"{path}: an idx file of bytes (type 08) is needed, this one has type {data[2]:02x}.")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise DataError(f"{path}: cut short inside its header ({len(data)} bytes). Download it again.")
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    wanted = start + int(np.prod(shape, dtype=object))
    if len(data) != wanted:
        raise DataError(
            f"{path}: its header says {' × '.join(map(str, shape))}, which takes {wanted:,} bytes, but it has "
            f"{len(data):,}. Download it again."
        )
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)


def find_idx(folder: Path) -> dict[str, Path]:
    """Return the files of pictures in a folder by the name of their set ("train", "t10k"), plain before gzipped."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):  # the plain name sorts before the same with .gz
        match = IMAGES.match(path.name)
        if match and path.is_file():
            found.setdefault(match["set"], path)
    return found


def read_pair(images: Path) -> Part:
    """Read a file of pictures and the file of labels beside it.

    Raises:
        DataError: there are no labels, or either file is wrong, or the counts differ.
    """
    base = re.sub("images", "labels", re.sub("idx3", "idx1", images.name, flags=re.IGNORECASE), flags=re.IGNORECASE)
    bare = base.removesuffix(".gz")
    labels = next(
        (images.with_name(name) for name in (base, bare, f"{bare}.gz") if images.with_name(name).exists()), None
    )
    if labels is None:
        raise DataError(f"{images}: its labels {base} are not beside it. Put them there.")
    return check_part(read_idx(images), read_idx(labels), f"{images} with {labels.name}")


def read_sets(images: dict[str, Path]) -> dict[Split | None, Part]:
    """Read several sets by split.

    Raises:
        DataError: two sets claim one split, or a file is wrong.
    """
    parts: dict[Split | None, Part] = {}
    for name, path in images.items():
        last = re.split(r"[-_.]", name)[-1]
        split = split_named(last) if len(images) > 1 or split_named(last) else None
        if split in parts:
            raise DataError(f"{path.parent}: has more than one set for {split or 'all'}; point at one images file.")
        parts[split] = read_pair(path)
    order: tuple[Split | None, ...] = ("train", "val", "test", None)
    return {split: parts[split] for split in order if split in parts}
