"""Closing connections that would take every file descriptor or all memory of the process.

uvicorn closes connections that stay idle after a response. It has no timer for one that sends no request, stops in the
middle of a request's header, or never reads its responses, and no limit on headers. Only this file uses
undocumented attributes of uvicorn's protocol.
"""

import asyncio
import json
from typing import Any

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 30.0  # Seconds that the header of a request may take to arrive
WRITE_SECONDS = 30.0  # Seconds that a client may leave an answer unread
LAST_SECONDS = 0.5  # Seconds that an idle connection stays open at the end: a request may be on its way
HEADER_BYTES = 64 * 2**10  # Limit of a request's header, and of other bytes outside its body
_LEAST_PIECES = 10_000
_PIECE_BYTES = 16
"""Bytes that each piece (chunk) of a body beyond `_LEAST_PIECES` has on average; every one costs as much as a request's
line, however short it is."""
_RESERVE = 64
"""File descriptors kept for everything but connections, among them those accepted in one turn of the event loop."""
_MOST = 100_000
_OFFER = b"upgrade"


def connection_limit() -> int:
    """Return how many connections may be open at once under this process's bound on file descriptors."""
    try:
        import resource
    except ImportError:  # Windows
        return _MOST
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else min(_MOST, max(16, soft - _RESERVE))


class _Parser(HttpRequestParser):
    """httptools' parser, made to ignore an `Upgrade` header, as a server may.

    By itself it ends such a request after the header and loses the body. Java's client offers HTTP/2 in its first
    request, even with a body.
    """

    def __init__(self, protocol: "PatientProtocol") -> None:
        super().__init__(protocol)
        self._protocol = protocol
        # As uvicorn sets it: a request that says `Connection: close` is answered even with something behind it.
        self.set_dangerous_leniencies(lenient_data_after_close=True)

    def feed_data(self, data: Any) -> None:
        """Parse; after each `Upgrade`, parse again from a header without it."""
        rest = memoryview(data)
        while True:
            try:
                super().feed_data(rest)
            except HttpParserUpgrade as offer:
                rest = rest[offer.args[0] :]
                super().feed_data(self._protocol.header_without_offer())
            else:
                return


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds on the time for a header and for an answer, and on the number of connections."""

    header_seconds = HEADER_SECONDS
    write_seconds = WRITE_SECONDS
    _header_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _since = 0.0
    """When the client last did something, in the loop's time."""
    _header_bytes = 0
    """Bytes received since the last complete header or body piece."""
    _body_bytes = 0
    _body_pieces = 0
    """Pieces and bytes received of the current request's body."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.parser = _Parser(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for the first request; if there are too many connections, end the most idle one."""
        if len(self.connections) >= connection_limit():
            ours = (other for other in self.connections if isinstance(other, PatientProtocol))
            idle = (other for other in ours if other.waits_for_client())
            most_idle = min(idle, key=lambda other: other._since, default=None)
            (transport if most_idle is None else most_idle.transport).abort()
        super().connection_made(transport)
        # So that the loop reports any unread byte, not only those beyond 64 KB.
        transport.set_write_buffer_limits(high=0)
        self._wait_for_header()

    def data_received(self, data: bytes) -> None:
        """Take received bytes, and wait for the rest of an incomplete header."""
        self._since = self.loop.time()
        self._header_bytes += len(data)
        super().data_received(data)
        if self._header_bytes > HEADER_BYTES:
            self.send_400_response(f"a header may have {HEADER_BYTES:,} bytes, and this one goes on. Send less.")
        elif self._body_pieces > _LEAST_PIECES + self._body_bytes // _PIECE_BYTES:
            self.send_400_response(
                f"the body came in {self._body_pieces:,} chunks for {self._body_bytes:,} bytes. Send larger chunks."
            )
        if not self._lacks_request():
            self._stop_header()
        elif self._header_timer is None:
            self._wait_for_header()

    def on_headers_complete(self) -> None:
        """Begin the request; one with an `Upgrade` header is parsed again without it."""
        self._header_bytes = self._body_bytes = self._body_pieces = 0
        if self._offers():
            return
        super().on_headers_complete()
        self.headers = []  # trailers of a chunked body are not used

    def on_body(self, body: bytes) -> None:
        self._header_bytes = 0
        self._body_bytes += len(body)
        self._body_pieces += 1
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._header_bytes = 0
        if not self._offers():
            super().on_message_complete()

    def header_without_offer(self) -> bytes:
        """Return the header of the request that is being read, without its `Upgrade`."""
        first = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        kept = [b"%b: %b" % header for header in self.headers if header[0] != _OFFER]
        return b"\r\n".join([first, *kept, b"", b""])

    def send_400_response(self, msg: str) -> None:
        """Refuse malformed bytes with a JSON error, unless an answer has begun."""
        if not self._lacks_request() and (self.cycle.response_started or self.pipeline):
            self.transport.close()
            return
        body = json.dumps({"error": msg}).encode()
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        if self._write_timer is None:
            self._since = self.loop.time()
            self._write_timer = self.loop.call_later(self.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop waiting: everything has been sent."""
        self._stop_write()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_header()
        self._stop_write()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close after the current response, or after a short delay for a request in transit."""
        if self._lacks_request():
            self.loop.call_later(LAST_SECONDS, self._close_idle)
        else:
            super().shutdown()

    def waits_for_client(self) -> bool:
        """Tell whether the connection waits for the client; false if it is already closing."""
        return not self.transport.is_closing() and (self._lacks_request() or self._write_timer is not None)

    def _offers(self) -> bool:
        return any(name == _OFFER for name, _ in self.headers)

    def _wait_for_header(self) -> None:
        self._since = self.loop.time()
        self._header_timer = self.loop.call_later(self.header_seconds, self._close_idle)

    def _stop_header(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _stop_write(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _close_idle(self) -> None:
        if self._lacks_request():
            self.transport.close()

    def _lacks_request(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)
