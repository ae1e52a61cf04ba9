"""Pictures to try on the page: the witnesses, in a form that every browser shows."""

import io
from collections.abc import Iterable
from typing import NamedTuple

from sightsmith.core.images import decode, sniff

_NOT_SHOWN = ("image/tiff", "image/x-portable-anymap")


class Example(NamedTuple):
    """An encoded picture and its media type."""

    content: bytes
    kind: str


def for_browsers(pictures: Iterable[bytes]) -> tuple[Example, ...]:
    """Return the pictures as they are if a browser can show them, else (TIFF, PPM) as PNG."""
    return tuple(map(_example, pictures))


def _example(picture: bytes) -> Example:
    found = sniff(picture)
    if found and found[1] not in _NOT_SHOWN:
        return Example(picture, found[1])
    written = io.BytesIO()
    decode(picture).save(written, "PNG")
    return Example(written.getvalue(), "image/png")
