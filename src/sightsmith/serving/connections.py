"""Closing a connection on which a request begins and does not come.

uvicorn has a timer for a connection that is idle after an answer; it has none for one that never asks, or stops in the
middle of a request's header. Enough of those take every file descriptor of the process.
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 30.0
"""Seconds that the header of a request may take to arrive."""


class PatientProtocol(H11Protocol):
    """uvicorn's protocol, with a bound on the time that a request's header may take."""

    header_seconds = HEADER_SECONDS
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait for the rest of a header where that is what is missing."""
        super().data_received(data)
        if not self._waits_for_header():
            self._stop()
        elif self._timer is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self.header_seconds, self._give_up)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self._waits_for_header():
            self.transport.close()

    def _waits_for_header(self) -> bool:
        return self.cycle is None or self.cycle.response_complete
