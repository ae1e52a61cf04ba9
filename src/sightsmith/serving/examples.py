"""Pictures to try on the page: the witnesses, in a form that every browser shows."""

import io
from collections.abc import Iterable
from typing import NamedTuple

from sightsmith.core.images import decode

_SHOWN = ((b"\x89PNG", "image/png"), (b"\xff\xd8", "image/jpeg"), (b"RIFF", "image/webp"), (b"BM", "image/bmp"))
"""How the files begin that browsers show, and their media types."""


class Example(NamedTuple):
    """An encoded picture and its media type."""

    content: bytes
    kind: str


def for_browsers(pictures: Iterable[bytes]) -> tuple[Example, ...]:
    """Return the pictures as they are where a browser shows them, else (TIFF, PPM) as PNG."""
    return tuple(map(_example, pictures))


def _example(picture: bytes) -> Example:
    for start, kind in _SHOWN:
        if picture.startswith(start):
            return Example(picture, kind)
    written = io.BytesIO()
    decode(picture).save(written, "PNG")
    return Example(written.getvalue(), "image/png")
