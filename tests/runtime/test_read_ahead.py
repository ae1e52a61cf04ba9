import threading
from itertools import count

import pytest

from sightsmith.runtime.read_ahead import ReadAhead


def test_items_come_in_order_and_few_are_made_ahead():
    made = []

    def items():
        for number in range(50):
            made.append(number)
            yield number

    ahead = ReadAhead(items(), 3)
    read = []
    for item in ahead:
        read.append(item)
        assert len(made) <= len(read) + 4  # three that wait, and the one that is being added
    assert read == list(range(50))
    assert ahead.dropped == 0


def test_a_full_queue_drops_the_oldest_and_counts_them():
    over = threading.Event()

    def items():
        yield from range(10)
        over.set()

    ahead = ReadAhead(items(), 3, drops=lambda _: True)
    assert over.wait(30)
    assert list(ahead) == [7, 8, 9]
    assert ahead.dropped == 7


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        raise ValueError("no more")

    reading = iter(ReadAhead(items(), 3))
    assert next(reading) == 1
    with pytest.raises(ValueError, match="no more"):
        next(reading)


def test_closing_ends_an_endless_source_which_closes_itself():
    closed = threading.Event()

    def items():
        try:
            yield from count()
        finally:
            closed.set()

    ahead = ReadAhead(items(), 3)
    assert next(iter(ahead)) == 0
    ahead.close()
    assert closed.is_set()


def test_a_stop_ends_the_reading_even_if_nothing_comes():
    stop, never = threading.Event(), threading.Event()

    def items():
        yield 1
        never.wait(60)

    ahead = ReadAhead(items(), 3, stop=stop)
    reading = iter(ahead)
    assert next(reading) == 1
    threading.Timer(0.1, stop.set).start()
    assert list(reading) == []
    never.set()
    ahead.close()
