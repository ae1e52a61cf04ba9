"""Parts of picture files that Pillow does not check: built to take much time or memory, or rows that are missing.

JPEG: ITU-T T.81, B.1 (markers), B.2.3 (scans). TIFF 6.0, section 15 (tiles). W3C PNG, third edition, 2025: 5, 7.2, 11.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from typing import IO

from PIL import JpegImagePlugin
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile

from sightsmith.core.errors import PictureError, TooManyPixelsError
from sightsmith.core.placement import MAX_SIDE

_MOST_SCANS = 100
"""Scans of a JPEG; encoders write about ten. Each costs a pass over the whole picture and needs only 14 bytes."""
_MOST_PASSES = 20
"""Scans of a JPEG with the maximum number of pixels; encoders write at most 18 by default."""
_MOST_SEGMENTS = 2_000  # Marker segments of a JPEG that may have many scans
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""A marker that ends the pixel data of a JPEG, in which 0xFF is followed by 0, by a restart or by itself."""
_FIRST_FRAME, _START_OF_IMAGE, _END_OF_IMAGE, _SCAN = 0xC0, 0xD8, 0xD9, 0xDA
_START = 8  # Bytes of the signature of a PNG, which chunks follow: length, kind, data, checksum
_HEAD, _CHECKSUM = 8, 4
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # By the colour type of the header
_PIECE = 1 << 16  # Bytes that are read or unpacked at once


def check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    """Refuse a picture with too many pixels, or with a side so long that few pixels take much memory."""
    width, height = size
    if width * height > max_pixels:
        raise TooManyPixelsError(
            f"{name}: a picture may have {max_pixels / 1e6:g} million pixels, this one has "
            f"{width}×{height} = {width * height / 1e6:,.1f} million. Make it smaller."
        )
    if max(width, height) > MAX_SIDE:
        raise TooManyPixelsError(
            f"{name}: a picture may be {MAX_SIDE:,} pixels wide and high, this one is {width}×{height}. Make it "
            "smaller, or cut it into parts."
        )


def check_tiles(image: TiffImageFile, name: str, max_pixels: int) -> None:
    """Refuse tiles that decode to far more pixels than the picture; unlike strips, tiles may extend beyond it."""
    wide, long = (int(image.tag_v2.get(tag, 0)) for tag in (TILEWIDTH, TILELENGTH))
    if wide <= 0 or long <= 0:
        return
    unfolded = -(-image.width // wide) * -(-image.height // long) * wide * long
    if unfolded > 2 * max_pixels:  # twice, because tiles at the right and lower edge may overlap the border
        raise TooManyPixelsError(
            f"{name}: tiles may unfold to {2 * max_pixels / 1e6:g} million pixels, those of {wide}×{long} of this "
            f"picture of {image.width}×{image.height} have {unfolded / 1e6:,.1f} million. Save it without tiles."
        )


def check_scans(image: JpegImagePlugin.JpegImageFile, name: str, max_pixels: int) -> None:
    """Refuse a JPEG made of so many scans that decoding a few kilobytes takes seconds."""
    file = image.fp
    if file is None or _is_one_scan(image, file):
        return
    place = file.tell()
    file.seek(0)
    scans = _count_scans(file)
    file.seek(place)
    if scans > _MOST_SCANS:
        raise PictureError(
            f"{name}: a JPEG may have {_MOST_SCANS} scans, or {_MOST_SEGMENTS:,} parts, this one has more. "
            "Export it again as a baseline JPEG."
        )
    scanned, most = scans * image.width * image.height, _MOST_PASSES * max_pixels
    if scanned > most:
        raise PictureError(
            f"{name}: a JPEG may have {most / 1e6:,.1f} million pixels in all its scans, this one has {scans} of "
            f"{image.width}×{image.height} = {scanned / 1e6:,.1f} million. Export it again as a baseline JPEG."
        )


def _is_one_scan(image: JpegImagePlugin.JpegImageFile, file: IO[bytes]) -> bool:
    """Tell whether the first scan holds the whole picture, as usual; libjpeg then reads no other."""
    if "progressive" in image.info:
        return False
    # Pillow leaves the file position after that scan's header, which has the number of channels.
    length = 6 + 2 * image.layers
    place = file.tell()
    file.seek(max(0, place - length - 2))
    header = file.read(length + 2)
    file.seek(place)
    return header.startswith(struct.pack(">BBHB", 0xFF, _SCAN, length, image.layers))


def _count_scans(file: IO[bytes]) -> int:
    """Count the scans of a JPEG from its start, up to one more than allowed."""
    scans = 0  # read as libjpeg reads them: data that a phone or camera appends to a picture does not count
    for _ in range(_MOST_SEGMENTS):
        kind = _next_marker(file)
        if kind is None or kind == _END_OF_IMAGE or scans > _MOST_SCANS:
            return scans
        scans += kind == _SCAN
        if kind >= _FIRST_FRAME and kind != _START_OF_IMAGE:
            file.seek(max(2, int.from_bytes(file.read(2), "big")) - 2, io.SEEK_CUR)
    return _MOST_SCANS + 1


def _next_marker(file: IO[bytes]) -> int | None:
    """Return the kind of the next marker and move the file position after it; None at the end."""
    while len(chunk := file.read(_PIECE)) > 1:
        if found := _MARKER.search(chunk):
            file.seek(found.end() - len(chunk), io.SEEK_CUR)
            return chunk[found.end() - 1]
        if chunk.endswith(b"\xff"):
            file.seek(-1, io.SEEK_CUR)
    return None


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
    """Tell whether a PNG that is not interlaced has all pixel bytes that its header requires."""
    # Pillow leaves rows black that are missing from an intact compressed stream.
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
