"""Pictures that arrive together run through the model together.

A picture is decoded in a pool of threads, then waits for its run. Alone, it runs at once. While others are being
decoded it waits a few milliseconds for them, and while the model is busy those that arrive gather into the next run;
so the batch grows with the load and a single request pays nothing for it.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

THREADS = "model"
"""How the names of the threads begin that run models."""

Pixels = TypeVar("Pixels")
Answer = TypeVar("Answer")
T = TypeVar("T")


@dataclass(slots=True)
class _Waiting(Generic[Pixels, Answer]):
    pixels: Pixels
    answer: "asyncio.Future[Answer]"
    counted: bool


@dataclass(slots=True)
class Load:
    """What a batcher has done so far: pictures answered, runs of the model, and the largest run."""

    pictures: int = 0
    runs: int = 0
    largest: int = 0


class Batcher(Generic[Pixels, Answer]):
    """Gathers pictures into runs of one model, which happen one after another in one thread of its own."""

    def __init__(
        self,
        decode: Callable[[bytes], Pixels],
        run: Callable[[list[Pixels]], list[Answer]],
        decoders: Executor,
        *,
        batch: int,
        wait: float,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            decode: from a picture's bytes to what the model takes; called in `decoders`.
            run: from what the model takes to the answers, in order; called in one thread, never twice at once.
            decoders: threads that decode.
            batch: most pictures of one run.
            wait: seconds that a picture waits for others that are being decoded.
        """
        self.load = Load()
        self._decode, self._run, self._decoders = decode, run, decoders
        self._batch, self._wait = batch, wait
        self._model = ThreadPoolExecutor(1, thread_name_prefix=THREADS)
        self._waiting: list[_Waiting[Pixels, Answer]] = []
        self._decoding = 0
        self._news = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to work, in the running event loop."""
        self._worker = asyncio.create_task(self._work(), name="batcher")

    async def stop(self) -> None:
        """Stop working; what still waits is cancelled, and a run that does not end is not waited for."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        for waiting in self._waiting:
            waiting.answer.cancel()
        self._model.shutdown(wait=False, cancel_futures=True)

    async def answer(self, picture: bytes, *, counted: bool = True) -> Answer:
        """Decode one picture, run it with those that arrive with it, and return its answer.

        Args:
            picture: encoded.
            counted: it is part of `load`.

        Raises:
            PictureError: this picture cannot be decoded; the others of its batch do not notice.
        """
        loop = asyncio.get_running_loop()
        self._decoding += 1
        try:
            pixels = await loop.run_in_executor(self._decoders, self._decode, picture)
            waiting: _Waiting[Pixels, Answer] = _Waiting(pixels, loop.create_future(), counted)
            self._waiting.append(waiting)
        finally:
            self._decoding -= 1
            self._news.set()
        return await waiting.answer

    async def in_model_thread(self, call: Callable[[], T]) -> T:
        """Return what `call` returns, run between two batches in the thread that runs the model."""
        return await asyncio.get_running_loop().run_in_executor(self._model, call)

    async def _work(self) -> None:
        while True:
            await self._gather()
            taken, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
            taken = [waiting for waiting in taken if not waiting.answer.done()]
            if taken:
                await self._run_batch(taken)

    async def _gather(self) -> None:
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        try:
            async with asyncio.timeout(self._wait):
                while self._decoding and len(self._waiting) < self._batch:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return

    async def _run_batch(self, taken: list[_Waiting[Pixels, Answer]]) -> None:
        pixels = [waiting.pixels for waiting in taken]
        try:
            answers = await self.in_model_thread(lambda: self._run(pixels))
            pairs = list(zip(taken, answers, strict=True))
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            for waiting in taken:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
            return
        for waiting, answer in pairs:
            if not waiting.answer.done():
                waiting.answer.set_result(answer)
        self._count(sum(waiting.counted for waiting in taken))

    def _count(self, pictures: int) -> None:
        self.load.pictures += pictures
        self.load.runs += pictures > 0
        self.load.largest = max(self.load.largest, pictures)
