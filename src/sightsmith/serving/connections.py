"""Closing connections that would take every file descriptor of the process.

uvicorn has a timer for a connection that is idle after an answer; it has none for one that never asks, stops in the
middle of a request's header, or never reads its answers. This file is the one that uses attributes of uvicorn's
protocols which it does not document; both of its protocols, with httptools and with h11, have them.
"""

import asyncio

from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEADER_SECONDS = 30.0
"""Seconds that the header of a request may take to arrive."""
WRITE_SECONDS = 30.0
"""Seconds that a client may leave an answer unread."""
LAST_SECONDS = 0.5
"""Seconds that an idle connection stays open at the end: a request may be on its way."""
_RESERVE = 64
"""File descriptors kept for everything but connections, among them those accepted in one turn of the event loop."""
_MOST = 100_000


def connection_limit() -> int:
    """Return how many connections may be open at once under this process's bound on file descriptors."""
    try:
        import resource
    except ImportError:  # Windows
        return _MOST
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else min(_MOST, max(16, soft - _RESERVE))


class PatientProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # chosen when uvicorn is imported
    """uvicorn's protocol, with bounds on the time for a header and for an answer, and on the number of connections."""

    header_seconds = HEADER_SECONDS
    write_seconds = WRITE_SECONDS
    _header_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _since = 0.0
    """When the client last did something, in the loop's time."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait for the first request; where there are too many connections, end the most idle one."""
        if len(self.connections) >= connection_limit():
            idle = (other for other in self.connections if other.waits_for_client())
            most_idle = min(idle, key=lambda other: other._since, default=None)
            (transport if most_idle is None else most_idle.transport).abort()
        super().connection_made(transport)
        # So that the loop tells of every byte that is left unread, not of those beyond 64 KB.
        transport.set_write_buffer_limits(high=0)
        self._wait_for_header()

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait for the rest of a header where that is what is missing."""
        self._since = self.loop.time()
        super().data_received(data)
        if not self._lacks_request():
            self._stop_header()
        elif self._header_timer is None:
            self._wait_for_header()

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
        """Stop waiting."""
        self._stop_header()
        self._stop_write()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close after the answer under way, or in a moment: a request that is on its way is answered."""
        if self._lacks_request():
            self.loop.call_later(LAST_SECONDS, self._close_idle)
        else:
            super().shutdown()

    def waits_for_client(self) -> bool:
        """Tell whether nothing goes on here until the client sends or reads; not if it is being closed already."""
        return not self.transport.is_closing() and (self._lacks_request() or self._write_timer is not None)

    def _wait_for_header(self) -> None:
        self._since = self.loop.time()
        self._header_timer = self.loop.call_later(self.header_seconds, self._give_up)

    def _stop_header(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _stop_write(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _give_up(self) -> None:
        self._header_timer = None
        self._close_idle()

    def _close_idle(self) -> None:
        if self._lacks_request():
            self.transport.close()

    def _lacks_request(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)
