"""Parts of a PNG that Pillow does not check (W3C PNG, third edition, 2025: 5, 7.2, 11)."""

import struct
import zlib
from collections.abc import Iterator
from typing import IO

_START = 8  # Bytes of the signature, which chunks follow: length, kind, data, checksum
_HEAD, _CHECKSUM = 8, 4
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # By the colour type of the header
_PIECE = 1 << 16


def says_more_behind(file: IO[bytes]) -> bool:
    """Tell whether a PNG has EXIF data or XMP after its pixels; keeps the file position."""
    place = file.tell()
    found = behind = False
    for kind, length in _chunks(file):
        behind = behind or kind == b"IDAT"
        text = file.read(min(length, 24))
        found = behind and (kind == b"eXIf" or text.startswith((b"Raw profile type exif", b"XML:com.adobe.xmp")))
        if found:
            break
    file.seek(place)
    return found


def has_all_rows(file: IO[bytes]) -> bool:
    """Tell whether a PNG that is not interlaced has all pixel bytes that its header requires.

    Pillow leaves rows black that are missing from an intact compressed stream.
    """
    wanted = held = 0
    unpacker = zlib.decompressobj()
    for kind, length in _chunks(file):
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", file.read(10))
            wanted = height * (1 + -(-width * depth * _CHANNELS[colour] // 8))
        while kind == b"IDAT" and length > 0 and held < wanted:
            packed = file.read(min(length, _PIECE))
            length = length - len(packed) if packed else 0
            while packed and held < wanted:
                held += len(unpacker.decompress(packed, _PIECE))
                packed = unpacker.unconsumed_tail
    return held >= wanted


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield kind and length of each chunk, with the file position at its data; the caller may move it."""
    place = file.seek(_START)
    while len(head := file.read(_HEAD)) == _HEAD:
        length, kind = struct.unpack(">I4s", head)
        yield kind, length
        place = file.seek(place + _HEAD + length + _CHECKSUM)
