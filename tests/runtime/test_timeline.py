import numpy as np
import pytest

from sightsmith.core.errors import SettingsError
from sightsmith.kinds.labels.value import Labels
from sightsmith.runtime.streams import Arrival, Step
from sightsmith.runtime.timeline import Timeline

NAMES = ("quiet", "loud")


def add(timeline, time, loud, begun=0.0):
    answer = Labels(NAMES, np.array([1 - loud, loud], np.float32))
    timeline.add(Arrival(time, begun), Step(time, answer))


def test_an_answer_holds_until_the_next_one_and_the_last_to_the_end():
    timeline = Timeline("labels")
    add(timeline, 0.5, 0.2)
    timeline.add(Arrival(0.7, 0.0), None)
    add(timeline, 1.0, 0.9)
    ranges = timeline.ranges(1.75)
    assert (ranges.starts_R.tolist(), ranges.ends_R.tolist()) == ([0.5, 1.0], [1.0, 1.75])
    assert ranges.means_RK[:, 1] == pytest.approx([0.2, 0.9])
    assert ranges.shares_RK[:, 1].tolist() == [0, 1]
    assert ranges.seconds == 1.75


def test_nothing_is_answered_while_the_source_is_lost():
    timeline = Timeline("labels")
    add(timeline, 0.0, 0.9)
    timeline.add(Arrival(1.0, 0.0), None)
    add(timeline, 61.0, 0.9, begun=60.0)
    timeline.add(Arrival(62.0, 60.0), None)
    ranges = timeline.ranges(None)
    assert (ranges.starts_R.tolist(), ranges.ends_R.tolist()) == ([0.0, 61.0], [1.0, 62.0])


def test_a_single_answer_is_about_all_and_none_about_nothing():
    timeline = Timeline("labels")
    assert timeline.ranges(2.0) is None
    add(timeline, 1.9, 0.9)
    ranges = timeline.ranges(2.0)
    assert (ranges.starts_R.tolist(), ranges.ends_R.tolist()) == ([0.0], [2.0])


def test_hours_are_few_ranges_that_forget_neither_peaks_nor_gaps():
    """A connection that is lost again and again: for 9 minutes, and for a second every 100 s."""
    timeline, loud = Timeline("labels"), 0.0
    for time in range(20_000):
        if 5_000 <= time < 5_540 or time % 100 == 99:
            continue
        add(timeline, float(time), 1.0 if time in {7_000, 7_001} else 0.1, begun=float(time // 100))
        loud += time in {7_000, 7_001}
        assert len(timeline._ranges) <= 1200
    ranges = timeline.ranges(20_000.0)
    assert 240 <= len(ranges.starts_R) <= 481
    assert (ranges.starts_R[1:] >= ranges.ends_R[:-1]).all()
    gaps_R = ranges.starts_R[1:] - ranges.ends_R[:-1]
    assert gaps_R.max() == pytest.approx(542, abs=3)
    assert ranges.most_RK[:, 1].max() == 1.0
    seconds_R = ranges.ends_R - ranges.starts_R
    assert seconds_R @ ranges.shares_RK[:, 1] == pytest.approx(loud, abs=0.3)  # closed gaps count


def test_answers_without_a_timeline_are_refused():
    with pytest.raises(SettingsError, match="answers of the kind 'boxes' have no timeline"):
        Timeline("boxes")
