"""Reading a request, bounded while it streams in: one picture (a raw body, a form or JSON), or the fields of a JSON."""

import asyncio
import base64
import binascii
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from sightsmith.core.names import shortened
from sightsmith.serving.failures import RefusalError, busy, refuse_unknown
from sightsmith.serving.settings import ServeSettings

RAW = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff")
"""Content types of a raw body that the documentation names; any image/… and application/octet-stream will do."""
_ENVELOPE = 10_000  # Bytes allowed on top of the picture for a form's or JSON's own text
_SHORT = 200_000  # Bytes of JSON that are read in less than 0.5 ms, in which the event loop may wait
_IMAGE_FIELD = re.compile(rb'"image"\s*:\s*"')
_TEXT = 4096  # Bytes of a form's field that is no file; such fields are not used
_LEAST_HELD = 8  # Largest pictures that all requests together may hold, however short the models' queues are


class Held:
    """The body bytes that all requests hold in memory together, at most the size of a full queue of largest pictures.

    A limit on bytes, not on requests: clients that send slowly, or nothing, hold few bytes, so that any
    number of them blocks no other client.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.bytes = 0
        self.most = max(settings.queue, _LEAST_HELD) * settings.max_upload

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """Yield a function to call with each number of received bytes; they are released at the block's end.

        Raises RefusalError: 503, the bound is reached; from the call.
        """
        mine = 0

        def add(count: int) -> None:
            nonlocal mine
            if self.bytes + count > self.most:
                held = f"requests under way hold {self.bytes:,} bytes of {self.most:,} they may"
                raise busy(f"{held}. Send it again later.")
            self.bytes += count
            mine += count

        try:
            yield add
        finally:
            self.bytes -= mine


@dataclass(frozen=True, slots=True)
class Sent:
    """What a request carries."""

    picture: bytes  # encoded
    fields: dict[str, Any]  # those of its JSON beside the picture


async def read_picture(
    request: Request, settings: ServeSettings, add: Callable[[int], None], threads: Executor, known: tuple[str, ...]
) -> Sent:
    """Return the picture that a request carries.

    Never holds more than `settings.max_upload` bytes of body (a third more for JSON's base64).

    Args:
        add: called with the size of each received piece of the body; see `Held`.
        threads: decode a large text.
        known: names of the fields that JSON may have beside the picture.

    Raises RefusalError: 400, 408, 413, 415 or 503; the message says what to do instead.
    """
    async with _bounded(request, settings, "the picture's file"):
        sent = await _read(_Body(request, settings.max_upload, add), threads, known)
    if len(sent.picture) > settings.max_upload:
        raise _too_large(settings.max_upload)
    return sent


async def read_fields(request: Request, settings: ServeSettings, add: Callable[[int], None]) -> dict[str, Any]:
    """Return the fields of a request that is a JSON object of at most 10 KB.

    Args:
        add: called with the size of each received piece of the body; see `Held`.

    Raises RefusalError: 400, 408, 413, 415 or 503; the message says what to do instead.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusalError(
            415,
            f"content type {shortened(kind)!r} is not application/json. Send a JSON object with that content type.",
        )
    async with _bounded(request, settings, "the JSON"):
        body = await _Body(request, _ENVELOPE, add, "the JSON").whole(_ENVELOPE)
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusalError(400, f"the body is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise RefusalError(400, f'the JSON must be an object, such as {{"n": 1}}, got {shortened(repr(fields))}')
    return fields


@asynccontextmanager
async def _bounded(request: Request, settings: ServeSettings, noun: str) -> AsyncGenerator[None]:
    """Refuse a compressed body, and one that takes too long to arrive in the block."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RefusalError(415, f"a compressed body (Content-Encoding) is not accepted. Send {noun} as it is.")
    try:
        async with asyncio.timeout(settings.upload_seconds):
            yield
    except TimeoutError:
        raise RefusalError(408, f"the request took longer than {settings.upload_seconds:g} s to arrive.") from None


@dataclass(frozen=True, slots=True)
class _Body:
    """A request's body, read within its bounds."""

    request: Request
    limit: int  # Bytes of what it carries, as messages state it
    add: Callable[[int], None]
    noun: str = "a picture"

    async def pieces(self, most: int) -> AsyncGenerator[bytes]:
        """Yield the body, refusing as soon as it is known to be larger than `most`."""
        declared = self.request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            raise _too_large(self.limit, self.noun)
        size = 0
        async for chunk in self.request.stream():
            size += len(chunk)
            if size > most:
                raise _too_large(self.limit, self.noun)
            self.add(len(chunk))
            yield chunk

    async def whole(self, most: int) -> bytes:
        return b"".join([chunk async for chunk in self.pieces(most)])


async def _read(body: _Body, threads: Executor, known: tuple[str, ...]) -> Sent:
    content_type, options = parse_options_header(body.request.headers.get("content-type", ""))
    kind = content_type.decode("latin-1").lower()
    if kind in {"", "application/octet-stream"} or kind.startswith("image/"):
        return Sent(await body.whole(body.limit), {})
    if kind == "multipart/form-data":
        return Sent(await _from_form(body, options.get(b"charset", b"utf-8").decode("latin-1")), {})
    if kind == "application/json":
        text = await body.whole(body.limit * 4 // 3 + _ENVELOPE)
        if len(text) <= _SHORT:
            return _from_json(text, known)
        return await asyncio.get_running_loop().run_in_executor(threads, _from_json, text, known)
    hint = ""
    if kind == "application/x-www-form-urlencoded":
        hint = " (curl says so by itself: use `curl -F file=@picture.jpg`, or add `-H 'Content-Type: image/jpeg'`)"
    raise RefusalError(
        415,
        f"content type {shortened(kind)!r} is not a picture{hint}. Send the file with its own type ({', '.join(RAW)}), "
        'multipart/form-data with a field \'file\', or application/json as {"image": "<base64>"}.',
    )


def _too_large(limit: int, noun: str = "a picture") -> RefusalError:
    return RefusalError(413, f"{noun} may have {limit:,} bytes, this request has more. Make it smaller.")


async def _from_form(body: _Body, charset: str) -> bytes:
    # The parser would decode names with whatever codec of Python the client asks for, some of them quadratic.
    if charset.lower() not in {"utf-8", "utf8"}:
        raise RefusalError(415, f"a form's charset must be utf-8, this one has {shortened(charset)!r}. Leave it out.")
    pieces = body.pieces(body.limit + _ENVELOPE)
    parser = MultiPartParser(body.request.headers, pieces, max_files=1, max_fields=8, max_part_size=_TEXT)
    parser.spool_max_size = 0  # in memory: a picture of a request never touches the disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RefusalError(
            400, f"not a form with one picture: {error.message} Send it as `curl -F file=@picture.jpg`."
        ) from None
    except UnicodeError:
        raise RefusalError(400, "the form's text is not utf-8. Send it as `curl -F file=@picture.jpg`.") from None
    try:
        refuse_unknown(form, ("file",), "form field")
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise RefusalError(400, "the form has no file in its field 'file'. Send it as `curl -F file=@picture.jpg`.")
        return await file.read()
    finally:
        await form.close()


def _from_json(body: bytes, known: tuple[str, ...]) -> Sent:
    rest, text = _cut_out(body)
    try:
        asked = json.loads(rest)
        if text is not None and isinstance(asked, dict) and asked.get("image") == "":
            asked["image"] = json.loads(text) if b"\\" in text else text[1:-1].decode()
    except (ValueError, RecursionError) as error:
        raise RefusalError(400, f"the body is not JSON: {error}") from None
    if not isinstance(asked, dict):
        raise RefusalError(400, 'the JSON must be an object: {"image": "<base64>"}')
    refuse_unknown(asked, ("image", *known), "JSON field")
    image = asked.pop("image", None)
    if not isinstance(image, str):
        raise RefusalError(400, 'the JSON field "image" must be the picture\'s file in base64.')
    if image.startswith("data:"):
        image = image.partition(",")[2]
    try:
        return Sent(base64.b64decode(image, validate=True), asked)
    except (binascii.Error, ValueError):
        raise RefusalError(400, 'the JSON field "image" is not base64. `base64 -w0 picture.jpg` makes it.') from None


def _cut_out(body: bytes) -> tuple[bytes, bytes | None]:
    """Return a large JSON without the text of its picture, and that text in its quotes; a small one as it is, and None.

    The JSON parser blocks all other threads while it works, so it gets a few KB only.

    Raises RefusalError: 400, too much of it is not the picture.
    """
    if len(body) <= _ENVELOPE:
        return body, None
    found = _IMAGE_FIELD.search(body, 0, _ENVELOPE)
    end = -1 if found is None else body.find(b'"', found.end())
    if found is None or len(body) - (end - found.end()) > _ENVELOPE:
        raise RefusalError(
            400,
            f'the JSON must be an object with the picture\'s file in base64, {{"image": "<base64>"}}; all else in it '
            f"may have {_ENVELOPE:,} bytes. This one has more, or is not JSON.",
        )
    return body[: found.end()] + body[end:], body[found.end() - 1 : end + 1]
