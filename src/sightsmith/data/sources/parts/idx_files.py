"""Reading idx files (MNIST's format: http://yann.lecun.com/exdb/mnist/), gzipped or plain.

Header: two zero bytes, a type byte (8: uint8), the number of dimensions, and each of them as big-endian uint32.
"""

import gzip
import math
import re
import struct
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.errors import DataError
from sightsmith.core.files import absurd_ratio
from sightsmith.core.records import SPLITS, Split
from sightsmith.data.sources.parts.arrays import Part, check_part
from sightsmith.data.sources.parts.names import split_named

_IMAGES = re.compile(r"^(?P<set>.*?)[-_.]?images[-_.]idx3[-_.]ubyte(\.gz)?$", re.IGNORECASE)
"""Name of a file of pictures; that of its labels has `labels` and `idx1` instead."""

_UINT8 = 8
_MAX_DIMENSIONS = 4
_PIECE = 2**20


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read one idx file, no further than its header says.

    Raises DataError: not idx, not of bytes, cut short, longer than its header says, or too large for its gzip file.
    """
    zipped = path.suffix.lower() == ".gz"
    try:
        with gzip.open(path) if zipped else path.open("rb") as file:
            shape = _read_shape(path, file)
            wanted = math.prod(shape)
            absurd = absurd_ratio(path.stat().st_size, wanted) if zipped else ""
            if absurd:
                raise DataError(f"{path}: {absurd}. Unpack it yourself if you trust it: `gunzip -k`.")
            data = _read_at_most(file, wanted + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: not a whole gzip file ({error}). Download it again.") from error
    if len(data) != wanted:
        start = 4 + 4 * len(shape)
        raise DataError(
            f"{path}: its header says {' × '.join(map(str, shape))}, which takes {start + wanted:,} bytes, but it has "
            f"{f'{start + len(data):,}' if len(data) < wanted else 'more'}. Download it again."
        )
    return np.frombuffer(memoryview(data).toreadonly(), dtype=np.uint8).reshape(shape)


def _read_shape(path: Path, file: BufferedIOBase) -> tuple[int, ...]:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or not 1 <= start[3] <= _MAX_DIMENSIONS:
        raise DataError(f"{path}: not an idx file: it starts with {start.hex(' ') or 'nothing'}, not 00 00 08 0n.")
    if start[2] != _UINT8:
        raise DataError(f"{path}: an idx file of bytes (type 08) is needed, this one has type {start[2]:02x}.")
    sides = file.read(4 * start[3])
    if len(sides) < 4 * start[3]:
        raise DataError(f"{path}: cut short inside its header ({4 + len(sides)} bytes). Download it again.")
    return struct.unpack(f">{start[3]}I", sides)


def _read_at_most(file: BufferedIOBase, count: int) -> bytearray:
    data = bytearray()
    # In pieces: a single read would allocate the whole size that a header claims.
    while piece := file.read(min(_PIECE, count - len(data))):
        data += piece
    return data


def find_idx(path: Path) -> dict[str, Path]:
    """Return the files of pictures in a folder, or the file itself, by the name of their set ("train", "t10k")."""
    found: dict[str, Path] = {}
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:  # the plain name sorts before the same with .gz
        match = _IMAGES.match(file.name)
        if match and file.is_file():
            found.setdefault(match["set"], file)
    return found


def _read_pair(images: Path) -> Part:
    base = re.sub("images", "labels", re.sub("idx3", "idx1", images.name, flags=re.IGNORECASE), flags=re.IGNORECASE)
    bare = base.removesuffix(".gz")
    spelt = [images.with_name(name) for name in (base, bare, f"{bare}.gz")]
    labels = next((path for path in spelt if path.exists()), None)
    if labels is None:
        raise DataError(f"{images}: its labels {base} are not beside it. Put them there.")
    return check_part(read_idx(images), read_idx(labels), f"{images} with {labels.name}")


def read_sets(images: dict[str, Path]) -> dict[Split | None, Part]:
    """Read several sets by split, each a file of pictures and the file of labels beside it.

    Raises DataError: two sets claim one split, there are no labels, a file is wrong, or the counts differ.
    """
    parts: dict[Split | None, Part] = {}
    for name, path in images.items():
        split = split_named(re.split(r"[-_.]", name)[-1])
        if split in parts:
            raise DataError(f"{path.parent}: has more than one set for {split or 'all'}; point at one images file.")
        parts[split] = _read_pair(path)
    return {split: parts[split] for split in (*SPLITS, None) if split in parts}
