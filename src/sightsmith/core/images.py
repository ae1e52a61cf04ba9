"""Decoding pictures within bounds, the same way everywhere: EXIF orientation, colour modes, bit depths.

JPEG is decoded at a reduced scale if a smaller picture is requested, which gives most of the speed for
photographs (libjpeg computes the inverse cosine transform at 1/2, 1/4 or 1/8 of the size).
"""

import io
import math
import re
import struct
import time
import warnings
import zlib
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, ImageOps, JpegImagePlugin, PngImagePlugin
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, PLANAR_CONFIGURATION, TiffImageFile

from sightsmith.core.counts import many
from sightsmith.core.errors import PictureError, TooManyPixelsError
from sightsmith.core.image_files import check_scans, check_size, check_tiles, has_all_rows, says_more_behind
from sightsmith.core.placement import MAX_PIXELS

Settled = Path | str | bytes | NDArray[np.generic] | Image.Image
Picture = Settled | bytearray | memoryview | io.BytesIO
"""A reference to a picture, decoded late: a path, encoded bytes (also as bytearray, memoryview or BytesIO, which is
read whole; its position does not change), an (H, W) or (H, W, 1|3|4) array, or a PIL image."""

_SIGNATURES = {
    "JPEG": (rb"\xff\xd8\xff", ".jpg", "image/jpeg"),
    "PNG": (rb"\x89PNG", ".png", "image/png"),
    "WEBP": (rb"RIFF.{4}WEBP", ".webp", "image/webp"),
    "BMP": (rb"BM.{4}\0\0", ".bmp", "image/bmp"),
    "TIFF": (rb"II\*\0|MM\0\*", ".tif", "image/tiff"),
    "PPM": (rb"P[1-6][\s#]", ".ppm", "image/x-portable-anymap"),
}
"""First bytes of each format, its usual file extension, and its media type."""
FORMATS = tuple(_SIGNATURES)
"""Formats decoded, by Pillow's names; PPM covers PGM and PBM. No other decoder of Pillow is ever tried."""

EXTENSIONS = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp",
    ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
})  # fmt: skip
"""File extensions of pictures, in lower case; the format is detected from the content."""

_WHITE_IS_ZERO, _SEPARATE = 0, 2  # Values of TIFF tags: a photometric interpretation and a planar configuration
_MOST_FRAMES = 1000  # Pages of a TIFF that are counted; each costs a seek and a read
_DAMAGE = (
    OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, AttributeError, AssertionError, OverflowError,
    MemoryError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
"""Exceptions of Pillow's decoders on damaged or malicious files."""


@dataclass(frozen=True, slots=True)
class Header:
    """Facts of a picture that are known before its pixels are decoded."""

    width: int  # in pixels, upright
    height: int  # in pixels, upright
    # channels and depth as stored, by Pillow's names: RGB, L (grey), RGBA, P (palette), CMYK, I;16 …; ends in ";16"
    # if colours or alpha have 16 bits, of which Pillow keeps only the upper byte
    mode: str
    format: str = ""  # by Pillow's name, such as PNG; empty for an array
    frames: int = 1  # pictures or pages in the file, at most 1,000 of a TIFF; the first is the one decoded
    quantisation: int = 0  # sum of a JPEG's luma table, which falls as the quality rises; 0 for other formats
    orientation: int = 1  # EXIF's, 1…8, by which decoding turns it upright; 1: as stored


def decode(
    picture: Picture, *, near: int | None = None, max_pixels: int = MAX_PIXELS, seconds: float = math.inf
) -> Image.Image:
    """Decode a picture to an upright RGB or grey (mode L) image.

    Transparency is laid over white; 16-bit grey keeps its upper byte; of several pages or frames the first is decoded.

    Args:
        near: side in pixels that is large enough for the result; a JPEG may then be decoded smaller than it
            is, but its shorter side never below this.
        max_pixels: bound on width × height.
        seconds: bound on the decoding time, checked at each read of the decoder; for encoded bytes.

    Raises PictureError: not a picture, not a known format, damaged, or over a bound.
    """
    name, picture = describe(picture), settled(picture)
    if isinstance(picture, np.ndarray):
        return _to_plain(_from_array(picture, name), name)
    try:
        if isinstance(picture, Image.Image):
            picture.load()
            return _to_plain(picture, name)
        return _decode_file(_source(picture, name, seconds), name, near, max_pixels)
    except _DAMAGE as error:
        raise _explained(picture, name, error) from error


def too_slow(seconds: float) -> PictureError:
    return PictureError(f"a picture may take {seconds:g} s to decode, this one took longer. Make it smaller.")


class _Timed(io.BytesIO):
    """Encoded bytes whose reads fail after a deadline, which stops a decoder inside a picture."""

    def __init__(self, data: bytes, seconds: float) -> None:
        super().__init__(data)
        self._seconds, self._until = seconds, time.monotonic() + seconds

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self._until:
            raise too_slow(self._seconds)
        return super().read(size)


def picture_size(picture: Picture) -> tuple[int, int]:
    """Return (width, height) in pixels, upright, as `read_header`."""
    header = read_header(picture)
    return header.width, header.height


def read_header(picture: Picture) -> Header:
    """Read a picture's size and mode without decoding the pixels of an encoded picture; raises as `decode`."""
    name, picture = describe(picture), settled(picture)
    if isinstance(picture, np.ndarray):
        picture = _from_array(picture, name)
    if isinstance(picture, Image.Image):
        return _header_of(picture)
    try:
        with Image.open(_source(picture, name), formats=FORMATS) as image:
            return _header_of(image)
    except _DAMAGE as error:
        raise _explained(picture, name, error) from error


def sniff(start: bytes) -> tuple[str, str] | None:
    """Return the file extension and media type for the first 12 bytes of a picture, None if unknown."""
    for pattern, ending, media_type in _SIGNATURES.values():
        if re.match(pattern, start, re.DOTALL):
            return ending, media_type
    return None


def describe(picture: object) -> str:
    """Return the name of a picture for messages; anything else is named by its type."""
    if isinstance(picture, (str, Path)):
        return printable(str(picture))
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return f"picture of {many(memoryview(picture).nbytes, 'byte')}"
    if isinstance(picture, io.BytesIO):
        return "closed BytesIO" if picture.closed else f"picture of {many(picture.getbuffer().nbytes, 'byte')}"
    if isinstance(picture, np.ndarray):
        return f"array of shape {picture.shape} and type {picture.dtype}"
    if isinstance(picture, Image.Image):
        return f"{picture.mode} picture of {picture.width}×{picture.height}"
    return f"value of type {type(picture).__name__}"


def settled(picture: Picture) -> Settled:
    """Return a picture, encoded data as `bytes`. Raises PictureError: its type holds no picture, or it is closed."""
    if isinstance(picture, (bytearray, memoryview)):
        return bytes(picture)
    if isinstance(picture, io.BytesIO) and not picture.closed:
        return picture.getvalue()
    if not isinstance(picture, (Path, str, bytes, np.ndarray, Image.Image)):
        raise PictureError(
            f"{describe(picture)}: a picture is a path, encoded bytes (bytes, bytearray, memoryview or an open "
            "io.BytesIO), a NumPy array of (height, width) or (height, width, 1|3|4), or a PIL image."
        )
    return picture


def printable(name: str) -> str:
    """Return a file name with bytes that are not UTF-8 shown as escapes, so that it can be printed and stored."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _decode_file(source: Path | io.BytesIO, name: str, near: int | None, max_pixels: int) -> Image.Image:
    with Image.open(source, formats=FORMATS) as image:
        check_size(image.size, name, max_pixels)
        if isinstance(image, TiffImageFile):
            check_tiles(image, name, max_pixels)
            _check_planes(image, name)
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            check_scans(image, name, max_pixels)
            if near is not None:
                image.draft(None, (near, near))
        image.load()
        if isinstance(image, PngImagePlugin.PngImageFile):
            _check_rows(image, source)
        return _to_plain(image, name)


def _check_rows(image: PngImagePlugin.PngImageFile, source: Path | io.BytesIO) -> None:
    """Refuse a PNG with missing rows. Pillow leaves those black, so a last row that is not black needs no check."""
    if image.crop((0, image.height - 1, *image.size)).getbbox(alpha_only=False) is not None:
        return
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
        if not has_all_rows(file):
            raise EOFError("its pixels end before its last row")


def _check_planes(image: TiffImageFile, name: str) -> None:
    """Refuse 16-bit colours stored plane by plane, whose bytes Pillow misreads as 8-bit pixels."""
    depths = image.tag_v2.get(BITSPERSAMPLE, (8,))
    if image.tag_v2.get(PLANAR_CONFIGURATION) == _SEPARATE and len(depths) > 1 and max(depths) > 8:
        raise PictureError(
            f"{name}: a TIFF with separate colour planes may have 8 bits a channel, this one has {max(depths)}. "
            "Save it with the colours of each pixel together."
        )


def _source(picture: Path | str | bytes, name: str, seconds: float = math.inf) -> Path | io.BytesIO:
    if isinstance(picture, bytes):
        if not picture:
            raise PictureError(f"{name}: nothing in it (zero bytes).")
        return io.BytesIO(picture) if seconds == math.inf else _Timed(picture, seconds)
    source = Path(picture)
    if source.is_dir():
        raise PictureError(f"{name}: a folder, not a picture.")
    if source.exists() and source.stat().st_size == 0:
        raise PictureError(f"{name}: an empty file (zero bytes). Copy it again or delete it.")
    return source


def _header_of(image: Image.Image) -> Header:
    orientation = _stored_orientation(image)
    width, height = image.size[::-1] if orientation >= 5 else image.size
    luma = sum(getattr(image, "quantization", {}).get(0, ()))
    return Header(width, height, _stored_mode(image), image.format or "", _frames(image), luma, orientation)


def _stored_mode(image: Image.Image) -> str:
    """Return the mode, with the depth that Pillow drops from colours and alpha when it decodes them."""
    tile = next(iter(getattr(image, "tile", ())), None)
    if tile is None or image.mode.startswith("I"):
        return image.mode
    arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
    raw_mode, *others = arguments or ("",)
    deep = ";16" in str(raw_mode) or (image.format == "PPM" and others and others[0] > 0xFF)
    return f"{image.mode};16" if deep else image.mode


def _frames(image: Image.Image) -> int:
    """Count the frames; the pages of a TIFF up to a bound, since a small file may have millions."""
    if not getattr(image, "is_animated", False):
        return 1
    if not isinstance(image, TiffImageFile):
        return int(getattr(image, "n_frames", 1))
    first, count = image.tell(), 1
    try:
        while count < _MOST_FRAMES:
            image.seek(count)
            count += 1
    except _DAMAGE:
        pass  # the end of the file, or a damaged page, which is not decoded
    image.seek(first)
    return count


def _stored_orientation(image: Image.Image) -> int:
    """Return the orientation by which the picture will be turned upright; from 5 on that swaps its sides."""
    if image.format == "TIFF":
        return 1  # Pillow gives the upright size and turns the pixels itself
    if image.format == "PNG" and image.fp is not None and "exif" not in image.info:  # type: ignore[attr-defined]
        # Pillow would decode all pixels to search for EXIF data after them, which is rare.
        too_large = image.width * image.height > MAX_PIXELS
        if too_large or not says_more_behind(image.fp):  # type: ignore[attr-defined]
            return 1
    return _orientation(image)


def _to_plain(image: Image.Image, name: str) -> Image.Image:
    # Pillow inverts pictures that have 0 as white only up to 8 bits.
    negative = isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO
    turned = ImageOps.exif_transpose(image) if _orientation(image) > 1 else image
    mode, transparent = turned.mode, "transparency" in turned.info
    if mode in {"RGB", "L"} and not transparent:
        return turned
    if mode.startswith("I"):
        return _from_deep_grey(turned, name, negative)
    if mode == "F":
        raise PictureError(f"{name}: floating-point pixels have no agreed range. Save it with 8 or 16 bits a channel.")
    if mode in {"RGBA", "LA", "PA", "RGBa", "La"} or transparent:
        clear, paper = turned.convert("RGBA"), Image.new("RGB", turned.size, "white")
        paper.paste(clear, mask=clear.getchannel("A"))
        return paper
    return turned.convert("L" if mode == "1" else "RGB")


def _from_deep_grey(image: Image.Image, name: str, negative: bool) -> Image.Image:
    values_HW = 0xFFFF - np.asarray(image) if negative else np.asarray(image)
    lowest, highest = int(values_HW.min()), int(values_HW.max())
    if lowest < 0 or highest > 0xFFFF:
        raise PictureError(f"{name}: grey values must be in 0…65535, found {lowest}…{highest}. Save it with 16 bits.")
    return Image.fromarray((values_HW.astype(np.uint16) >> 8).astype(np.uint8))


def _from_array(array: NDArray[np.generic], name: str) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in {2, 3} or (array.ndim == 3 and array.shape[2] not in {3, 4}) or 0 in array.shape:
        raise PictureError(f"{name}: a picture is (height, width) or (height, width, 1|3|4), none of them 0.")
    if array.dtype == np.uint16:
        array = (array.astype(np.uint16) >> 8).astype(np.uint8)
    if array.dtype != np.uint8:
        way_out = "For floats in 0…1 pass (255 * array).astype('uint8')."
        raise PictureError(f"{name}: pixels must be uint8 (0…255) or uint16. {way_out}")
    return Image.fromarray(np.ascontiguousarray(array))


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _explained(picture: Settled, name: str, error: Exception) -> PictureError:
    """Return the error that explains why a file cannot be used."""
    text = str(error)
    if isinstance(error, Image.DecompressionBombError):
        return TooManyPixelsError(f"{name}: far more pixels than a picture may have ({error}). Make it smaller.")
    if isinstance(error, FileNotFoundError):
        reason = "no such file."
    elif isinstance(error, PermissionError):
        reason = "this user may not read it. Change its permissions."
    elif "cannot identify" in text:
        reason = f"not a picture in a known format ({', '.join(FORMATS)}). Convert it or delete it."
    elif isinstance(error, EOFError) or "truncated" in text or "broken" in text or "premature" in text.lower():
        reason = f"truncated or damaged ({_bytes_of(picture)}{text}). Export it again or delete it."
    else:
        reason = f"cannot be decoded ({text or type(error).__name__}). Export it again or delete it."
    return PictureError(f"{name}: {reason}")


def _bytes_of(picture: Settled) -> str:
    if isinstance(picture, (str, Path)):
        return f"{many(Path(picture).stat().st_size, 'byte')}: "
    return f"{many(len(picture), 'byte')}: " if isinstance(picture, bytes) else ""


# A truncated picture is an error, not a half-grey picture.
if ImageFile.LOAD_TRUNCATED_IMAGES:  # pragma: no cover - only if another library switched it on first
    warnings.warn("another library lets Pillow accept truncated pictures; Sightsmith cannot refuse them", stacklevel=2)
