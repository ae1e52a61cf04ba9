"""Producing items in a thread of its own, at most a few ahead of their reader."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
_PATIENCE = 2.0  # Seconds that closing waits for an item that is being made
_POLL = 0.2  # Seconds between looks at `stop`, which a signal may set


class ReadAhead(Generic[T]):
    """Items of an iterator that a thread runs; iterate over it once, and close it.

    An error of the iterator is raised in the reader, after the items before it.

    Args:
        items: closed by the thread, if it can be.
        most: items that may wait, ≥ 1.
        drops: whether for an item a full queue drops its oldest one instead of waiting for the reader.
        stop: ends the iteration once it is set, even while no item comes.

    Attributes:
        dropped: items that the reader never got.
    """

    def __init__(
        self,
        items: Iterator[T],
        most: int,
        *,
        drops: Callable[[T], bool] = lambda _: False,
        stop: threading.Event | None = None,
    ) -> None:
        self._items, self._most, self._drops = items, most, drops
        self._stop = stop or threading.Event()
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = self._over = False
        self._error: BaseException | None = None
        self.dropped = 0
        self._thread = threading.Thread(target=self._produce, name="frames", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        while not self._stop.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._over, _POLL)
                if not self._waiting and not self._over:
                    continue
                if not self._waiting:
                    if self._error is not None:
                        raise self._error
                    return
                item = self._waiting.popleft()
                self._changed.notify_all()
            yield item

    def close(self) -> None:
        """Stop the thread, after the item that it is making; a thread that hangs is left to the end of the process."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(_PATIENCE)

    def _produce(self) -> None:
        try:
            for item in self._items:
                if not self._add(item):
                    break
        except BaseException as error:  # noqa: BLE001 -- the reader raises it
            self._error = error
        finally:
            if hasattr(self._items, "close"):
                self._items.close()
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _add(self, item: T) -> bool:
        """Add an item, when there is room; false if the reader is gone."""
        with self._changed:
            if len(self._waiting) == self._most and self._drops(item):
                self._waiting.popleft()
                self.dropped += 1
            self._changed.wait_for(lambda: len(self._waiting) < self._most or self._closed)
            self._waiting.append(item)
            self._changed.notify_all()
            return not self._closed
