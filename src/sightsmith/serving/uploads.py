"""Reading a request, bounded while it streams in: one file (a raw body, a form or JSON), or the fields of a JSON."""

import asyncio
import base64
import binascii
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from sightsmith.core.names import shortened
from sightsmith.serving.failures import RefusalError, busy, refuse_unknown
from sightsmith.serving.forms import Form
from sightsmith.serving.settings import ServeSettings

_ENVELOPE = 10_000  # Bytes allowed on top of the file for a form's or JSON's own text
_SHORT = 200_000  # Bytes of JSON that are read in less than 0.5 ms, in which the event loop may wait
_TEXT = 4096  # Bytes of a form's field that is no file
_LEAST_HELD = 8  # Largest files that all requests together may hold, however short the models' queues are


class Held:
    """The body bytes that all requests hold in memory together, at most the size of a full queue of largest files.

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

    content: bytes  # of the file
    fields: dict[str, Any]  # beside the file
    place: Literal["form", "JSON"] = "form"  # of the fields; those of a form are texts


async def read_file(
    request: Request,
    form: Form,
    settings: ServeSettings,
    add: Callable[[int], None],
    threads: Executor,
    known: tuple[str, ...],
) -> Sent:
    """Return the file that a request carries.

    Never holds more than `settings.max_upload` bytes of body (a third more for JSON's base64).

    Args:
        form: how the file is sent.
        add: called with the size of each received piece of the body; see `Held`.
        threads: decode a large text.
        known: names of the fields that JSON may have beside the file.

    Raises RefusalError: 400, 408, 413, 415 or 503; the message says what to do instead.
    """
    noun = f"a {form.noun}"
    async with _bounded(request, settings, f"the {form.noun}'s file"):
        sent = await _read(_Body(request, settings.max_upload, add, noun), form, threads, known)
    if len(sent.content) > settings.max_upload:
        raise _too_large(settings.max_upload, noun)
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
    noun: str

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


async def _read(body: _Body, form: Form, threads: Executor, known: tuple[str, ...]) -> Sent:
    content_type, options = parse_options_header(body.request.headers.get("content-type", ""))
    kind = content_type.decode("latin-1").lower()
    if kind in {"", "application/octet-stream"} or kind.startswith(form.family):
        return Sent(await body.whole(body.limit), {})
    if kind == "multipart/form-data":
        return await _from_form(body, form, options.get(b"charset", b"utf-8").decode("latin-1"))
    if kind == "application/json":
        text = await body.whole(body.limit * 4 // 3 + _ENVELOPE)
        if len(text) <= _SHORT:
            return _from_json(text, form, known)
        return await asyncio.get_running_loop().run_in_executor(threads, _from_json, text, form, known)
    hint = ""
    if kind == "application/x-www-form-urlencoded":
        hint = f" (curl says so by itself: use `{_curl(form)}`, or add `-H 'Content-Type: {form.types[0]}'`)"
    raise RefusalError(
        415,
        f"content type {shortened(kind)!r} is not a {form.noun}{hint}. Send the file with its own type "
        f"({', '.join(form.types)}), multipart/form-data with a field 'file', or application/json as "
        f'{{"{form.field}": "<base64>"}}.',
    )


def _curl(form: Form) -> str:
    return f"curl -F file=@{form.sample}"


def _too_large(limit: int, noun: str) -> RefusalError:
    return RefusalError(413, f"{noun} may have {limit:,} bytes, this request has more. Make it smaller.")


async def _from_form(body: _Body, form: Form, charset: str) -> Sent:
    # The parser would decode names with whatever codec of Python the client asks for, some of them quadratic.
    if charset.lower() not in {"utf-8", "utf8"}:
        raise RefusalError(415, f"a form's charset must be utf-8, this one has {shortened(charset)!r}. Leave it out.")
    pieces = body.pieces(body.limit + _ENVELOPE)
    parser = MultiPartParser(body.request.headers, pieces, max_files=1, max_fields=8, max_part_size=_TEXT)
    parser.spool_max_size = 0  # in memory: the file of a request never touches the disk
    try:
        sent = await parser.parse()
    except MultiPartException as error:
        raise RefusalError(
            400, f"not a form with one {form.noun}: {error.message} Send it as `{_curl(form)}`."
        ) from None
    except UnicodeError:
        raise RefusalError(400, f"the form's text is not utf-8. Send it as `{_curl(form)}`.") from None
    try:
        refuse_unknown(sent, ("file", *form.part_fields), "form field")
        for name in sent:
            if len(sent.getlist(name)) > 1:
                raise RefusalError(400, f"form field {name!r} is given more than once.")
        file = sent.get("file")
        if not isinstance(file, UploadFile):
            raise RefusalError(400, f"the form has no file in its field 'file'. Send it as `{_curl(form)}`.")
        return Sent(await file.read(), {name: value for name, value in sent.items() if name != "file"})
    finally:
        await sent.close()


def _from_json(body: bytes, form: Form, known: tuple[str, ...]) -> Sent:
    field = form.field
    rest, text = _cut_out(body, form)
    try:
        asked = json.loads(rest)
        if text is not None and isinstance(asked, dict) and asked.get(field) == "":
            asked[field] = json.loads(text) if b"\\" in text else text[1:-1].decode()
    except (ValueError, RecursionError) as error:
        raise RefusalError(400, f"the body is not JSON: {error}") from None
    if not isinstance(asked, dict):
        raise RefusalError(400, f'the JSON must be an object: {{"{field}": "<base64>"}}')
    refuse_unknown(asked, (field, *known), "JSON field")
    file = asked.pop(field, None)
    if not isinstance(file, str):
        raise RefusalError(400, f'the JSON field "{field}" must be the {form.noun}\'s file in base64.')
    if file.startswith("data:"):
        file = file.partition(",")[2]
    try:
        return Sent(base64.b64decode(file, validate=True), asked, "JSON")
    except (binascii.Error, ValueError):
        message = f'the JSON field "{field}" is not base64. `base64 -w0 {form.sample}` makes it.'
        raise RefusalError(400, message) from None


def _cut_out(body: bytes, form: Form) -> tuple[bytes, bytes | None]:
    """Return a large JSON without the text of its file, and that text in its quotes; a small one as it is, and None.

    The JSON parser blocks all other threads while it works, so it gets a few KB only.

    Raises RefusalError: 400, too much of it is not the file.
    """
    if len(body) <= _ENVELOPE:
        return body, None
    found = re.compile(rb'"%b"\s*:\s*"' % form.field.encode()).search(body, 0, _ENVELOPE)
    end = -1 if found is None else body.find(b'"', found.end())
    if found is None or len(body) - (end - found.end()) > _ENVELOPE:
        raise RefusalError(
            400,
            f'the JSON must be an object with the {form.noun}\'s file in base64, {{"{form.field}": "<base64>"}}; all '
            f"else in it may have {_ENVELOPE:,} bytes. This one has more, or is not JSON.",
        )
    return body[: found.end()] + body[end:], body[found.end() - 1 : end + 1]
