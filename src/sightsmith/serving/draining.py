"""Delivering a refusal that was decided before the whole request had arrived.

If a server responds and closes while the client still sends, the client's system discards the response ("connection
reset by peer"). So the rest is first read and discarded, up to a limit.
"""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BYTES = 64_000_000
_SECONDS = 5.0
_TOO_SLOW = 408


class Draining:
    """Reads the rest of a request's body before its answer begins; a plain ASGI layer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; if its body is not read to the end, read it before the answer is sent."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        rest = _Rest(Headers(scope=scope), receive)

        async def send_after_rest(message: Message) -> None:
            if message["type"] == "http.response.start" and not rest.read:
                await rest.discard(message["status"])
                if not rest.read:
                    MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, rest.receive, send_after_rest)


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
        if self._held_back or status == _TOO_SLOW:
            return
        left = _BYTES
        try:
            async with asyncio.timeout(_SECONDS):
                while not self.read and left > 0:
                    left -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            return
