"""Reading the one picture of a request: a raw body, a multipart form or JSON, bounded while it streams in."""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncGenerator

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from sightsmith.serving.failures import RefusalError, refuse_unknown
from sightsmith.serving.settings import ServeSettings

RAW = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff")
"""Content types of a raw body that the documentation names; any image/… and application/octet-stream will do."""

_ENVELOPE = 10_000
"""Bytes allowed on top of the picture for a form's or JSON's own text."""


async def read_picture(request: Request, settings: ServeSettings) -> bytes:
    """Return the encoded bytes of the picture that a request carries.

    Never holds more than `settings.max_upload` bytes of body (a third more for JSON's base64).

    Raises:
        RefusalError: 400, 408, 413 or 415; the message says what to send instead.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RefusalError(
            415, "a compressed body (Content-Encoding) is not accepted. Send the picture's file as it is."
        )
    try:
        async with asyncio.timeout(settings.upload_seconds):
            picture = await _read(request, settings.max_upload)
    except TimeoutError:
        raise RefusalError(408, f"the request took longer than {settings.upload_seconds:g} s to arrive.") from None
    if len(picture) > settings.max_upload:
        raise _too_large(settings.max_upload)
    return picture


async def _read(request: Request, limit: int) -> bytes:
    kind = parse_options_header(request.headers.get("content-type", ""))[0].decode("latin-1").lower()
    if kind in {"", "application/octet-stream"} or kind.startswith("image/"):
        return b"".join([chunk async for chunk in _bounded(request, limit, limit)])
    if kind == "multipart/form-data":
        return await _from_form(request, limit)
    if kind == "application/json":
        return _from_json(b"".join([chunk async for chunk in _bounded(request, limit * 4 // 3 + _ENVELOPE, limit)]))
    hint = ""
    if kind == "application/x-www-form-urlencoded":
        hint = " (curl says so by itself: use `curl -F file=@picture.jpg`, or add `-H 'Content-Type: image/jpeg'`)"
    raise RefusalError(
        415,
        f"content type {kind!r} is not a picture{hint}. Send the file with its own type ({', '.join(RAW)}), "
        'multipart/form-data with a field \'file\', or application/json as {"image": "<base64>"}.',
    )


async def _bounded(request: Request, most: int, limit: int) -> AsyncGenerator[bytes]:
    """Yield the body, refusing as soon as it is known to be larger than `most`; `limit` is what people are told."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise _too_large(limit)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _too_large(limit)
        yield chunk


def _too_large(limit: int) -> RefusalError:
    return RefusalError(413, f"a picture may have {limit:,} bytes, this request has more. Make the picture smaller.")


async def _from_form(request: Request, limit: int) -> bytes:
    parser = MultiPartParser(request.headers, _bounded(request, limit + _ENVELOPE, limit), max_files=1, max_fields=8)
    parser.spool_max_size = 0  # in memory: a picture of a request never touches the disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RefusalError(
            400, f"not a form with one picture: {error.message} Send it as `curl -F file=@picture.jpg`."
        ) from None
    try:
        refuse_unknown(form, ("file",), "form field")
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise RefusalError(400, "the form has no file in its field 'file'. Send it as `curl -F file=@picture.jpg`.")
        return await file.read()
    finally:
        await form.close()


def _from_json(body: bytes) -> bytes:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusalError(400, f"the body is not JSON: {error}") from None
    if not isinstance(asked, dict):
        raise RefusalError(400, 'the JSON must be an object: {"image": "<base64>"}')
    refuse_unknown(asked, ("image",), "JSON field")
    text = asked.get("image")
    if not isinstance(text, str):
        raise RefusalError(400, 'the JSON field "image" must be the picture\'s file in base64.')
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RefusalError(400, 'the JSON field "image" is not base64. `base64 -w0 picture.jpg` makes it.') from None
