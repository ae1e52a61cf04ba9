"""The batcher, with decoding and running that can be held back and let go."""

import asyncio
import threading

import pytest

from sightsmith.core.errors import PictureError
from sightsmith.serving.batching import Batcher
from sightsmith.serving.decoders import Decoders


class Bench:
    """A model that doubles numbers, notes its runs, and waits at its door where told to."""

    def __init__(self) -> None:
        self.runs: list[list[int]] = []
        self.door = threading.Event()
        self.door.set()
        self.entered = threading.Semaphore(0)

    def decode(self, picture: bytes) -> int:
        if picture == b"bad":
            raise PictureError("bad: not a picture")
        return int(picture)

    def run(self, numbers: list[int], whole: bool) -> list[int]:
        self.entered.release()
        self.door.wait(10)
        self.runs.append(numbers)
        if -1 in numbers:
            raise RuntimeError("the model broke")
        return [(20 if whole else 2) * number for number in numbers]


def with_batcher(work, *, batch=8, wait=0.0, limit=60.0):
    bench = Bench()

    async def main():
        with Decoders(4) as decoders:
            batcher = Batcher(bench.decode, bench.run, decoders, batch=batch, wait=wait, limit=limit)
            batcher.start()
            try:
                return await work(batcher, bench)
            finally:
                batcher.stop()

    return asyncio.run(main())


async def entered(bench):
    await asyncio.get_running_loop().run_in_executor(None, bench.entered.acquire)


def test_a_single_picture_runs_alone():
    async def work(batcher, bench):
        assert await batcher.answer(b"21") == 42
        assert bench.runs == [[21]]

    with_batcher(work, wait=60.0)  # had it waited for company, the test would time out


def test_what_arrives_during_a_run_makes_the_next_batches_in_order_and_no_larger_than_allowed():
    async def work(batcher, bench):
        bench.door.clear()
        first = asyncio.create_task(batcher.answer(b"0"))
        await entered(bench)
        others = [asyncio.create_task(batcher.answer(str(n).encode())) for n in range(1, 11)]
        while batcher._inbox.qsize() < 10:
            await asyncio.sleep(0)
        bench.door.set()
        assert await asyncio.gather(first, *others) == [2 * n for n in range(11)]
        assert [len(run) for run in bench.runs] == [1, 8, 2]
        assert (batcher.load.pictures, batcher.load.runs, batcher.load.largest) == (11, 3, 8)

    with_batcher(work)


def test_a_picture_waits_for_those_being_decoded():
    slow = threading.Event()

    async def work(batcher, bench):
        plain = batcher._decode
        batcher._decode = lambda picture: (slow.wait(10), plain(picture))[1] if picture == b"2" else plain(picture)
        late = asyncio.create_task(batcher.answer(b"2"))
        early = asyncio.create_task(batcher.answer(b"1"))
        while not batcher._from_pool:
            await asyncio.sleep(0)
        slow.set()
        assert await asyncio.gather(early, late) == [2, 4]
        assert bench.runs == [[1, 2]]

    with_batcher(work, wait=60.0)


def test_waiting_for_others_ends():
    slow = threading.Event()

    async def work(batcher, bench):
        plain = batcher._decode
        batcher._decode = lambda picture: (slow.wait(10), plain(picture))[1] if picture == b"2" else plain(picture)
        late = asyncio.create_task(batcher.answer(b"2"))
        assert await batcher.answer(b"1") == 2
        slow.set()
        assert await late == 4
        assert bench.runs == [[1], [2]]

    with_batcher(work, wait=0.01)


def test_a_bad_picture_fails_alone():
    async def work(batcher, bench):
        answers = await asyncio.gather(*(batcher.answer(p) for p in (b"1", b"bad", b"3")), return_exceptions=True)
        assert (answers[0], answers[2]) == (2, 6)
        assert isinstance(answers[1], PictureError)

    with_batcher(work, wait=1.0)


def test_a_broken_run_fails_its_pictures_and_the_next_run_works():
    async def work(batcher, bench):
        with pytest.raises(RuntimeError, match="the model broke"):
            await batcher.answer(b"-1")
        assert await batcher.answer(b"4") == 8

    with_batcher(work)


def test_a_model_that_loses_an_answer_is_an_error_not_a_wait():
    async def work(batcher, bench):
        batcher._run = lambda numbers, whole: []
        with pytest.raises(ValueError, match="0 answers to 1"):
            await batcher.answer(b"1")

    with_batcher(work)


def test_whole_answers_are_computed_only_for_those_who_want_them():
    async def work(batcher, bench):
        bench.door.clear()
        first = asyncio.create_task(batcher.answer(b"0"))
        await entered(bench)
        others = [asyncio.create_task(batcher.answer(str(n).encode(), whole=n % 2 == 0)) for n in range(1, 5)]
        while batcher._inbox.qsize() < 4:
            await asyncio.sleep(0)
        bench.door.set()
        assert await first == 0
        assert await asyncio.gather(*others) == [2, 40, 6, 80]
        assert bench.runs[0] == [0]
        assert {frozenset(run) for run in bench.runs[1:]} == {frozenset({1, 3}), frozenset({2, 4})}
        assert batcher.load.pictures == 5

    with_batcher(work)


def test_who_stops_waiting_is_left_out_of_the_next_run():
    async def work(batcher, bench):
        bench.door.clear()
        first = asyncio.create_task(batcher.answer(b"0"))
        await entered(bench)
        gone, stays = (asyncio.create_task(batcher.answer(p)) for p in (b"1", b"2"))
        while batcher._inbox.qsize() < 2:
            await asyncio.sleep(0)
        gone.cancel()
        bench.door.set()
        assert await first == 0
        assert await stays == 4
        assert bench.runs == [[0], [2]]

    with_batcher(work)


def test_a_run_that_hangs_does_not_hold_up_the_stop():
    async def work(batcher, bench):
        bench.door.clear()
        hanging = asyncio.create_task(batcher.answer(b"0"))
        await entered(bench)
        batcher.stop()
        assert bench.runs == []  # it is still at the door
        bench.door.set()
        hanging.cancel()

    with_batcher(work)


def test_stopping_cancels_what_waits():
    async def work(batcher, bench):
        bench.door.clear()
        first = asyncio.create_task(batcher.answer(b"0"))
        await entered(bench)
        second = asyncio.create_task(batcher.answer(b"1"))
        while not batcher._inbox.qsize():
            await asyncio.sleep(0)
        bench.door.set()
        batcher.stop()
        with pytest.raises(asyncio.CancelledError):
            await second
        first.cancel()

    with_batcher(work)


@pytest.mark.parametrize("threads_busy", [False, True])
def test_who_waits_for_decoding_that_takes_too_long_is_told_and_the_others_do_not_notice(threads_busy):
    slow = threading.Event()
    begun = threading.Semaphore(0)

    async def work(batcher, bench):
        plain = batcher._decode

        def decode(picture):
            if picture == b"9":
                begun.release()
                slow.wait(30)
            return plain(picture)

        batcher._decode = decode
        if threads_busy:  # until the picture has waited for longer than decoding may take
            for _ in range(4):
                batcher._decoders.submit(slow.wait, 0.5)
        late = asyncio.create_task(batcher.answer(b"9"))
        started = asyncio.get_running_loop().time()
        await asyncio.get_running_loop().run_in_executor(None, begun.acquire)
        assert await batcher.answer(b"1") == 2
        with pytest.raises(PictureError, match=r"may take 0\.2 s to decode"):
            await late
        assert asyncio.get_running_loop().time() - started > (0.7 if threads_busy else 0.2)
        slow.set()
        assert await batcher.answer(b"2") == 4
        assert [9] not in bench.runs

    with_batcher(work, limit=0.2)


def test_decoders_tell_for_how_long_none_has_been_free():
    with Decoders(2) as decoders:
        while decoders.stuck():  # the threads are just coming free from their start
            pass
        doors = [threading.Event() for _ in range(2)]
        first, second, *rest = [decoders.submit(door.wait, 30) for door in (*doors, *doors)]
        assert 0 < decoders.stuck() < 30
        last = decoders.stuck()
        assert decoders.stuck() > last
        assert rest[1].cancel()
        assert decoders.stuck() > last
        for door in doors:
            door.set()
        for ended in (first, second, rest[0]):
            ended.result(30)
        while decoders.stuck() or decoders._ended < 6:  # what notes the end runs a moment after the result is there
            pass
        assert decoders._given == decoders._ended == 6
