"""The number of threads follows recorded rates; no clock, no load."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightsmith.core.command import exit_code_of
from sightsmith.core.threads import ThreadPolicy

QUIET = {1: 400.0, 2: 780.0}
BUSY = {1: 300.0, 2: 100.0}  # two processes beside it: the threads wait for each other
STEP = 64


def run(policy: ThreadPolicy, rates: dict[int, float], seconds: float) -> tuple[float, list[str]]:
    """Compute for so long at these rates; return the pictures a second and the lines that were told."""
    spent, items, lines = 0.0, 0, []
    while spent < seconds:
        step = STEP / rates[policy.threads]
        line = policy.note(STEP, step)
        spent, items, lines = spent + step, items + STEP, [*lines, *([line] if line else [])]
    return items / spent, lines


@pytest.mark.parametrize(("rates", "best"), [(QUIET, 2), (BUSY, 1)])
def test_the_quickest_number_is_found_at_the_start_and_told_once(rates, best):
    policy = ThreadPolicy(2)
    _, lines = run(policy, rates, 10)
    assert policy.threads == best
    assert len(lines) == 1
    assert "tried at the start" in lines[0]
    rate, more = run(policy, rates, 300)
    assert rate >= max(rates.values()) / 1.25
    assert more == []


def test_it_follows_a_machine_that_gets_busy_and_quiet_again():
    policy = ThreadPolicy(2)
    run(policy, QUIET, 5)
    busy, lines = run(policy, BUSY, 120)
    assert busy >= BUSY[1] / 1.25
    assert len(lines) == 1
    assert lines[0].startswith("compute threads: 1 (the rate fell from 780 to")
    quiet, lines = run(policy, QUIET, 120)
    assert quiet >= QUIET[2] / 1.25
    assert len(lines) == 1
    assert lines[0].startswith("compute threads: 2 (")


def test_it_looks_again_where_the_rate_alone_tells_nothing():
    policy = ThreadPolicy(2)
    run(policy, BUSY, 60)
    assert policy.threads == 1
    _, lines = run(policy, {1: 300.0, 2: 600.0}, 120)
    assert policy.threads == 2
    assert "tried again" in lines[0]


def test_a_trial_misled_by_a_moment_is_made_good_soon():
    policy = ThreadPolicy(2)
    run(policy, BUSY, 8)
    assert policy.threads == 1
    rate, _ = run(policy, QUIET, 60)
    assert rate >= QUIET[2] / 1.25


def test_one_core_leaves_nothing_to_try():
    policy = ThreadPolicy(1)
    assert run(policy, {1: 50.0}, 30) == (pytest.approx(50), [])


@given(most=st.integers(1, 64), best=st.integers(0, 2), gain=st.floats(1.3, 20))
def test_whichever_candidate_is_quickest_is_taken(most, best, gain):
    candidates = sorted({1, max(1, most // 2), most})
    winner = candidates[min(best, len(candidates) - 1)]
    policy = ThreadPolicy(most)
    run(policy, {threads: 100.0 * (gain if threads == winner else 1) for threads in candidates}, 60)
    for _ in range(1000):  # a trial may be under way
        if policy.threads == winner:
            break
        policy.note(STEP, 0.5)
    assert policy.threads == winner


def test_a_command_prints_what_changes_while_it_works(capsys):
    log = logging.getLogger("sightsmith.runtime")
    assert exit_code_of(lambda: log.info("batches of %d: compute threads: 1", 8)) == 0
    assert exit_code_of(lambda: log.info("and 2")) == 0
    assert capsys.readouterr() == ("", "batches of 8: compute threads: 1\nand 2\n")
