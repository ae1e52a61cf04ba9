"""Pictures that arrive together run through the model together, and so do seeds of pictures to make.

Each model has one thread, which takes decoded pictures from an inbox and runs them; a pool of threads decodes into that
inbox. Very small pictures, and seeds, go there undecoded, since handing them over costs more than decoding. A single
picture runs at once. While others are being decoded it waits a few milliseconds for them, and while the model is busy
those that arrive form the next batch; so batches grow with the load. One call passes a whole batch to the event loop.
"""

import asyncio
import math
import struct
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sightsmith.core.images import too_slow
from sightsmith.core.video import Clip
from sightsmith.inputs.seed import Seed
from sightsmith.runtime.runner import Placed, Value
from sightsmith.serving.schemas import Load

THREADS = "model"  # Name prefix of the threads that run models
_TINY_PIXELS = 65_536
_TINY_BYTES = 16_384

Item = bytes | Clip | Seed | Callable[[], Any]
"""An encoded picture, a clip, a seed, or a function that returns a decoded picture, called where it is decoded."""

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Waiting:
    item: Item
    answer: "asyncio.Future[Value]"
    whole: bool
    placed: Placed | None = None  # None: not decoded yet, or it could not be
    pooled: bool = True  # A thread of the pool decodes it
    begun: float = math.inf  # When that thread took it up, in the event loop's time
    watch: asyncio.TimerHandle | None = None  # Checks for the decoding timeout


def _is_tiny(picture: Item) -> bool:
    """Tell whether decoding costs less than handing over: a seed, or a PNG of few bytes and few pixels."""
    if not isinstance(picture, bytes):
        return isinstance(picture, Seed)
    if not 24 <= len(picture) <= _TINY_BYTES or not picture.startswith(b"\x89PNG\r\n\x1a\n"):
        return False
    width, height = struct.unpack_from(">II", picture, 16)
    return bool(0 < width * height <= _TINY_PIXELS)


class Batcher:
    """Runs one model on batches of pictures, one run after another in one thread of its own."""

    def __init__(
        self,
        decode: Callable[[Any], Placed],
        run: Callable[[list[Placed], bool], list[Value]],
        decoders: Executor,
        *,
        batch: int,
        wait: float,
        limit: float,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            decode: from an item to the model's input and its placement; called in `decoders` and in the model's thread.
            run: from inputs, and whether whole answers are wanted, to the answers, in order; called in
                one thread, never twice at once.
            wait: seconds that a picture waits for others that are being decoded.
            limit: seconds that `decoders` may take for one picture; a request over this limit gets an
                error, even if the thread cannot be stopped.
        """
        self.load = Load(pictures=0, runs=0, largest=0)
        self._decode, self._run, self._decoders = decode, run, decoders
        self._batch, self._wait, self._limit = batch, wait, limit
        self._inbox: SimpleQueue[_Waiting | Callable[[], None] | None] = SimpleQueue()
        # Each counter is written by one thread alone, so neither needs a lock.
        self._pooled = 0
        self._from_pool = 0
        self._under_way: set[asyncio.Future[Value]] = set()
        self._stopped = False

    def start(self) -> None:
        """Begin to work for the running event loop."""
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._work, name=THREADS, daemon=True).start()

    def stop(self) -> None:
        """Stop working; waiting pictures are cancelled, and a run that does not end is not waited for."""
        self._stopped = True
        self._inbox.put(None)
        for answer in tuple(self._under_way):
            answer.cancel()

    async def answer(self, picture: Item, *, whole: bool = False) -> Value:
        """Decode one picture or seed, run it with those that arrive with it, and return its answer.

        Args:
            whole: argument of `run`; pictures of one batch with different values run separately.

        Raises PictureError: this picture cannot be decoded, or not in time; others of its batch are unaffected.
        """
        waiting = _Waiting(picture, self._loop.create_future(), whole)
        if _is_tiny(picture):
            waiting.pooled = False
            self._inbox.put(waiting)
        else:
            self._pooled += 1  # first, because the arrivals are compared with it
            self._decoders.submit(self._decode_pooled, waiting)
            self._watch(waiting)
        self._under_way.add(waiting.answer)
        try:
            return await waiting.answer
        finally:
            self._under_way.discard(waiting.answer)
            if waiting.watch is not None:
                waiting.watch.cancel()

    async def in_model_thread(self, call: Callable[[], T]) -> T:
        """Run `call` between two batches in the model's thread and return its result."""
        result: asyncio.Future[T] = self._loop.create_future()

        def run() -> None:
            try:
                value = call()
            except Exception as error:  # noqa: BLE001 - whatever it is, who asked must hear of it
                self._tell(_fail, (result,), error)
            else:
                self._tell(_succeed, (result,), (value,))

        self._inbox.put(run)
        return await result

    def _watch(self, waiting: _Waiting) -> None:
        """Fail a picture whose decoding takes too long; else check again at its deadline."""
        if waiting.placed is not None or waiting.answer.done():
            return
        now = self._loop.time()
        over = min(waiting.begun, now) + self._limit
        if now < over:
            waiting.watch = self._loop.call_at(over, self._watch, waiting)
        else:
            _fail((waiting.answer,), too_slow(self._limit))

    def _decode_pooled(self, waiting: _Waiting) -> None:
        waiting.begun = self._loop.time()
        try:
            self._decode_one(waiting)
        finally:
            self._inbox.put(waiting)

    def _decode_one(self, waiting: _Waiting) -> None:
        if waiting.answer.done():
            return
        try:
            waiting.placed = self._decode(waiting.item)
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits must hear of it
            self._tell(_fail, (waiting.answer,), error)

    def _work(self) -> None:
        while not self._stopped:
            taken: list[_Waiting] = []
            call = self._fill(taken)
            taken = [waiting for waiting in taken if not waiting.answer.done()]
            for whole in (False, True):
                if some := [waiting for waiting in taken if waiting.whole is whole]:
                    self._run_batch(some, whole)
            if call is not None:
                call()

    def _fill(self, taken: list[_Waiting]) -> Callable[[], None] | None:
        """Take pictures from the inbox until the batch is full, the wait is over, or a call arrives."""
        deadline: float | None = None
        while len(taken) < self._batch:
            try:
                news = self._inbox.get(block=not taken)
            except Empty:
                if self._pooled == self._from_pool:
                    return None
                now = time.monotonic()
                deadline = deadline or now + self._wait
                try:
                    news = self._inbox.get(timeout=max(0.0, deadline - now))
                except Empty:
                    return None
            if not isinstance(news, _Waiting):
                return news
            self._from_pool += news.pooled
            if not news.pooled:
                self._decode_one(news)
            if news.placed is not None:
                taken.append(news)
        return None

    def _run_batch(self, taken: list[_Waiting], whole: bool) -> None:
        futures = [waiting.answer for waiting in taken]
        try:
            answers = self._run([waiting.placed for waiting in taken if waiting.placed is not None], whole)
            if len(answers) != len(taken):
                raise ValueError(f"the model gave {len(answers)} answers to {len(taken)} pictures")
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            self._tell(_fail, futures, error)
            return
        self._tell(self._succeed_counted, futures, answers)

    def _succeed_counted(self, futures: list["asyncio.Future[Value]"], answers: list[Value]) -> None:
        self.load.pictures += len(answers)
        self.load.runs += 1
        self.load.largest = max(self.load.largest, len(answers))
        _succeed(futures, answers)

    def _tell(self, call: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: no client waits any more
            self._loop.call_soon_threadsafe(call, *arguments)


def _succeed(futures: Iterable["asyncio.Future[T]"], values: Iterable[T]) -> None:
    for future, value in zip(futures, values, strict=True):
        if not future.done():
            future.set_result(value)


def _fail(futures: Iterable["asyncio.Future[T]"], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
