import re

import numpy as np
import pytest

from sightsmith.kinds.labels import timeline
from sightsmith.kinds.labels.value import Labels
from sightsmith.kinds.parts.time_axis import clock
from sightsmith.kinds.parts.timeline import Ranges, draw_track, marks, totals

NAMES = tuple("abcdefgh")


def ranges(best, gap_after=None):
    """Return ranges of a second in which these classes are the best by .9; a gap of a second may follow one."""
    starts_R = np.arange(len(best), dtype=float)
    if gap_after is not None:
        starts_R[gap_after + 1 :] += 1
    means_RK = np.full((len(best), len(NAMES)), 0.1 / 7)
    means_RK[np.arange(len(best)), best] = 0.9
    shares_RK = np.eye(len(NAMES))[best]
    return Ranges(starts_R, starts_R + 1, means_RK, means_RK, shares_RK, seconds=float(starts_R[-1] + 1))


def test_times_of_one_class_are_joined_but_not_over_a_gap():
    runs = timeline.runs(ranges([1, 1, 2, 2, 2, 1], gap_after=3), NAMES)
    assert [(run.start, run.end, run.name, run.text) for run in runs] == [
        (0, 2, "b", "90%"),
        (2, 4, "c", "90%"),
        (5, 6, "c", "90%"),
        (6, 7, "b", "90%"),
    ]


def test_totals_are_the_longest_first():
    found = totals(ranges([1, 1, 2, 2, 2, 1, 2, 2]), NAMES)
    assert [(one.name, one.share, one.seconds) for one in found] == [("c", 5 / 8, 5), ("b", 3 / 8, 3)]


def test_of_many_classes_the_surest_have_tracks_in_the_order_of_the_model():
    made = timeline.tracks(ranges([7, 3, 0, 1, 2, 4]), NAMES)
    assert [one.name for one in made] == list("abcdeh")
    assert made[-1].on_R.tolist() == [True, False, False, False, False, False]


def test_the_answer_of_a_moment_is_the_best_class():
    answer = Labels(NAMES[:3], np.array([0.2, 0.5, 0.3], np.float32))
    assert timeline.chosen(answer).tolist() == [False, True, False]
    assert timeline.levels(answer) == pytest.approx([0.2, 0.5, 0.3])


def test_bars_stand_at_their_times_and_say_so():
    drawing = draw_track(timeline.tracks(ranges([1, 2, 1, 1]), NAMES)[1], ranges([1, 2, 1, 1]))
    assert re.findall(r'x="(\d+)"[^>]*class="mean( on)?"', drawing) == [
        ("0", " on"),
        ("250", ""),
        ("500", " on"),
        ("750", " on"),
    ]
    assert "<title>b 90%, 2 s to 3 s</title>" in drawing


@pytest.mark.parametrize("seconds", [0.04, 1, 7, 59, 61, 600, 5_000, 86_400, 10_000_000])
def test_the_axis_has_a_few_round_times_before_the_end(seconds):
    times = marks(seconds)
    assert 1 <= len(times) <= 7
    assert times[0] == 0
    assert all(time < seconds for time in times)
    assert len({clock(time, seconds) for time in times}) == len(times)


def test_times_are_written_by_the_length_of_the_video():
    assert [clock(time, 30) for time in (0, 7.55, 12.04)] == ["0", "7.55 s", "12 s"]
    assert [clock(time, 90) for time in (7.5, 60, 75.96)] == ["0:07.5", "1:00", "1:16"]
    assert clock(3725.4, 7200) == "1:02:05"
