"""A clip of few frames in one file: a ZIP archive of lossless pictures and their rate.

It is decoded to the same pixels everywhere, which no version of a video decoder promises.
"""

import io
import json
import zipfile
from collections.abc import Sequence

from PIL import Image

from sightsmith.core.errors import PictureError
from sightsmith.core.video import Clip

SUFFIX = ".zip"

_FACTS = "clip.json"
_START = b"PK\x03\x04"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # One date for all, so that equal clips are equal bytes


def is_stored(data: bytes) -> bool:
    return data.startswith(_START)


def pack(images: Sequence[Image.Image], rate: float) -> bytes:
    """Return frames as the bytes of an archive; `rate` in frames a second."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_FACTS, _EPOCH), json.dumps({"rate": rate}))
        for index, image in enumerate(images):
            picture = io.BytesIO()
            image.save(picture, "PNG")
            archive.writestr(zipfile.ZipInfo(f"{index:05}.png", _EPOCH), picture.getvalue())
    return buffer.getvalue()


def unpack(data: bytes) -> Clip:
    """Return the clip of an archive of `pack`. Raises PictureError: it is another one, or damaged."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise ValueError("its entries are compressed")
            if sum(entry.file_size for entry in entries) > len(data):
                raise ValueError("its entries overlap")
            rate = float(json.loads(archive.read(_FACTS))["rate"])
            pictures = sorted(entry.filename for entry in entries if entry.filename != _FACTS)
            return Clip(tuple(archive.read(name) for name in pictures), rate=rate)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError, NotImplementedError) as error:
        raise PictureError(
            f"archive of {len(data):,} bytes: no stored clip of frames ({error}). Give a video file instead."
        ) from error
