"""A fixed number of threads that tell how long all of them have been busy."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

THREADS = "decode"  # Name prefix of the threads that decode

T = TypeVar("T")


class Threads(ThreadPoolExecutor):
    """A pool that starts all threads at once, and reports how long all of them have been busy.

    Starting a thread later, when memory is short, may hang.

    Attributes:
        count: threads.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count, thread_name_prefix=THREADS)
        self.count = count
        self._lock = threading.Lock()
        self._given = self._ended = 0
        self._moved = time.monotonic()
        barrier = threading.Barrier(count + 1)
        for _ in range(count):
            self.submit(barrier.wait)
        barrier.wait()

    def submit(self, call: Callable[..., T], /, *arguments: Any, **named: Any) -> Future[T]:
        with self._lock:
            if self._given - self._ended < self.count:
                self._moved = time.monotonic()
            self._given += 1
        future = super().submit(call, *arguments, **named)
        future.add_done_callback(self._note)
        return future

    def stuck(self) -> float:
        """Return the seconds since a thread was last free; 0 if one is free now."""
        with self._lock:
            return time.monotonic() - self._moved if self._given - self._ended >= self.count else 0.0

    def _note(self, future: Future[T]) -> None:
        with self._lock:
            self._ended += 1
            if not future.cancelled():  # before its turn
                self._moved = time.monotonic()
