"""Security headers for browsers and proxies, and the check of the host."""

from collections.abc import Callable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sightsmith.core.names import shortened
from sightsmith.serving.settings import ServeSettings

_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
HEADERS = {
    "Content-Security-Policy": "; ".join(_POLICY),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


_ENCODED = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class SecurityHeaders:
    """Adds `HEADERS` to each answer, and `Connection: close` once the service is leaving.

    A plain ASGI layer, so it neither buffers nor slows a body.
    """

    def __init__(self, app: ASGIApp, leaving: Callable[[], bool]) -> None:
        self._app, self._leaving = app, leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and add the headers to its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                closing = [(b"connection", b"close")] if self._leaving() else []
                message["headers"] = [*message.get("headers", ()), *_ENCODED, *closing]
            await send(message)

        await self._app(scope, receive, send_with_headers)


class RequestChecks:
    """Refuses an ambiguous request, and one for a host name that is not allowed.

    The first may hide another request from a proxy; the parser refuses a length that is given twice.
    The second is how a web page reaches a service on its visitor's machine: it points its own name there (DNS
    rebinding).
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app, self._hosts = app, allowed_hosts(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 400 or 421."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        values = {
            wanted: [value for name, value in scope["headers"] if name == wanted]
            for wanted in (b"host", b"transfer-encoding")
        }
        hosts, codings = values[b"host"], values[b"transfer-encoding"]
        if len(hosts) > 1 or (not hosts and scope["http_version"] == "1.1"):
            return _ambiguous(f"a request names its host once, this one {len(hosts)} times. Send one Host.")
        if any(coding.strip().lower() != b"chunked" for coding in codings):
            return _ambiguous(
                "a body comes as it is or chunked, and this one has another Transfer-Encoding. Leave it out."
            )
        if hosts and self._hosts is not None and _host(hosts[0]) not in self._hosts:
            message = (
                f"this service is not {shortened(hosts[0].decode('latin-1'))!r}. Use one of its names "
                f"({', '.join(sorted(self._hosts))}), or start it with --allowed-hosts and this name."
            )
            return JSONResponse({"error": message}, 421)
        return None


def _ambiguous(message: str) -> JSONResponse:
    return JSONResponse({"error": message}, 400, headers={"Connection": "close"})


def allowed_hosts(settings: ServeSettings) -> frozenset[str] | None:
    """Return the names that a request may call the service by, in lower case; None is any.

    On a loopback address those of loopback and of the settings; elsewhere the same if the settings have some, else any.
    """
    host = settings.host.lower()
    loopback = host in _LOOPBACK or host.startswith("127.")
    if not loopback and not settings.allowed_hosts:
        return None
    return _LOOPBACK | {host} | {name.lower() for name in settings.allowed_hosts}


def _host(header: bytes) -> str:
    """Return the host of a Host header: without its port, brackets and a final dot."""
    text = header.decode("latin-1").strip().lower()
    host = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
    return host.removesuffix(".")
