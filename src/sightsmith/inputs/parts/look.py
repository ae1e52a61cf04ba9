"""What the check of data wants to know of an item: its header, its content, its face and its faults."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from sightsmith.core.images import Header, Picture, settled

_AT_ONCE = 1 << 20  # Bytes of a file that are hashed at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    header: Header
    digest: bytes  # SHA-256 of the content, 32 bytes
    size: int = 0  # bytes of the file, 0 for arrays
    face: Image.Image  # one picture that stands for the item
    faults: Mapping[str, str] = field(default_factory=dict)  # of an item that can be used: its code, and a note


def content_of(picture: Picture) -> bytes:
    """Return a picture's content: the bytes of its file, or the type, shape and values of an array.

    Raises OSError: the file cannot be read.
    """
    picture = settled(picture)
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, (str, Path)):
        return Path(picture).read_bytes()
    array = np.asarray(picture) if isinstance(picture, Image.Image) else picture
    return f"{array.dtype.str}{array.shape}".encode() + array.tobytes()


def file_digest(path: Path) -> bytes:
    """Return the SHA-256 of a file of any size, in little memory. Raises OSError: it cannot be read."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_AT_ONCE):
            sha.update(part)
    return sha.digest()
