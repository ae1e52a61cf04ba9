"""The machine as it is, and how long work is told."""

import os

import pytest

from sightsmith.core import machine
from sightsmith.core.progress import duration, rate_and_eta, track


def test_the_machine_is_seen():
    seen = machine.this_machine()
    assert 1 <= seen.cores <= (os.cpu_count() or 1)
    assert seen.memory > 2**28
    assert seen.bf16 or not seen.amx
    assert f"{seen.cores} cores" in str(seen)


def test_affinity_limits_the_cores():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {next(iter(before))})
        assert machine.usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("seconds", "says"), [(0.44, "0.4 s"), (12.3, "12 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_times_read_well(seconds, says):
    assert duration(seconds) == says


def test_rate_and_time_left():
    assert rate_and_eta(100, 1100, 10.0) == "100 of 1,100, 10/s, 1 min 40 s left"
    assert rate_and_eta(100, None, 10.0) == "100, 10/s"
    assert rate_and_eta(1, 3, 4.0) == "1 of 3, 0.25/s, 8.0 s left"


def test_tracking_passes_the_items_on_in_order(capsys):
    assert list(track(range(100), "Counting")) == list(range(100))
    assert list(track(iter("abc"), "Counting", quiet=True)) == ["a", "b", "c"]
    assert capsys.readouterr().out == ""
