"""The layer around the app: it refuses ambiguous requests and strange host names, and adds headers to each response.

A request that can be read in two ways may hide another one from a proxy; the parser refuses a length that is given
twice. A name that is not the service's own is how a web page reaches a service on its visitor's machine: it points its
own name there (DNS rebinding).

If a server responds and closes while the client still sends, the client's system discards the response ("connection
reset by peer"). So the rest of a request is first read and discarded, up to a limit.
"""

import asyncio
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sightsmith.core.names import shortened
from sightsmith.serving.failures import RefusalError, error_answer
from sightsmith.serving.settings import ServeSettings

_REST_BYTES = 64_000_000
_REST_SECONDS = 5.0
_TOO_SLOW = 408
_BLANK = " \t"  # Around a header's value; `strip` alone takes away Latin-1's too, which no parser does
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_ENCODED = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]


def guarded(app: ASGIApp, settings: ServeSettings, leaving: Callable[[], bool]) -> ASGIApp:
    """Wrap an app of HTTP alone; a plain ASGI layer, so it neither buffers nor slows a body.

    Args:
        leaving: whether to close each connection after its answer.
    """
    allowed = allowed_hosts(settings)

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        rest = _Rest(headers, receive)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                await rest.discard(message["status"])
                closing = [(b"connection", b"close")] if leaving() or not rest.read else []
                message["headers"] = [*message.get("headers", ()), *_ENCODED, *closing]
            await send(message)

        refusal = _refusal(headers, scope["http_version"], allowed)
        answer = refusal and error_answer(scope["path"], refusal)
        await (answer or app)(scope, rest.receive, send_with_headers)

    return guard


class _Rest:
    """The unread part of a request's body."""

    def __init__(self, headers: Headers, receive: Receive) -> None:
        self._receive = receive
        self._held_back = headers.get("expect", "").lower() == "100-continue"
        self.read = "transfer-encoding" not in headers and headers.get("content-length", "0") == "0"

    async def receive(self) -> Message:
        message = await self._receive()
        self._held_back = False
        self.read = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def discard(self, status: int) -> None:
        """Read to the end or to the bound; not if the client waits for a 100 Continue, or is too slow already."""
        if self.read or self._held_back or status == _TOO_SLOW:
            return
        left = _REST_BYTES
        try:
            async with asyncio.timeout(_REST_SECONDS):
                while not self.read and left > 0:
                    left -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            return


def _refusal(headers: Headers, http_version: str, allowed: frozenset[str] | None) -> RefusalError | None:
    hosts, codings = headers.getlist("host"), headers.getlist("transfer-encoding")
    if len(hosts) > 1 or (not hosts and http_version == "1.1"):
        return _ambiguous(f"a request names its host once, this one {len(hosts)} times. Send one Host.")
    if any(coding.strip(_BLANK).lower() != "chunked" for coding in codings):
        return _ambiguous("a body comes as it is or chunked, and this one has another Transfer-Encoding. Leave it out.")
    if hosts and allowed is not None and _without_port(hosts[0]) not in allowed:
        message = (
            f"this service is not {shortened(hosts[0])!r}. Use one of its names ({', '.join(sorted(allowed))}), or "
            "start it with --allowed-hosts and this name."
        )
        return RefusalError(421, message)
    return None


def _ambiguous(message: str) -> RefusalError:
    return RefusalError(400, message, {"Connection": "close"})


def allowed_hosts(settings: ServeSettings) -> frozenset[str] | None:
    """Return the names that a request may call the service by, in lower case; None is any.

    On a loopback address those of loopback and of the settings; elsewhere the same if the settings have some, else any.
    """
    host = settings.host.lower()
    loopback = host in _LOOPBACK or host.startswith("127.")
    if not loopback and not settings.allowed_hosts:
        return None
    return _LOOPBACK | {host} | {name.lower() for name in settings.allowed_hosts}


def _without_port(header: str) -> str:
    """Return the host of a Host header: without its port, brackets and a final dot."""
    text = header.strip(_BLANK).lower()
    host = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
    return host.removesuffix(".")
