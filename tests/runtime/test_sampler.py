import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sightsmith.inputs.parts.moments import usual_moments
from sightsmith.runtime.streams import Frame, Sampler

gaps = st.lists(st.floats(0.004, 0.5), min_size=1, max_size=40)


def sampled(times, spacing, end, fresh=()):
    """Return the moments, and the times of the frames shown then."""
    sampler, found = Sampler(spacing), []
    for index, time in enumerate(times):
        found += sampler.add(Frame(time, lambda near: None, fresh=index in fresh))
    return [(moment, frame.time) for moment, frame in [*found, *sampler.end(end)]]


@given(gaps, st.floats(0.01, 1))
def test_the_frame_of_a_moment_is_the_last_that_is_not_after_it(gaps, spacing):
    times = np.concatenate([[0.0], np.cumsum(gaps)])
    assume(spacing / 2 < times[-1] + 0.03)  # a shorter source is seen once
    found = sampled(times, spacing, times[-1] + 0.04)
    assert [moment for moment, _ in found] == pytest.approx([(k + 0.5) * spacing for k in range(len(found))])
    for moment, time in found:
        assert time == times[times <= moment + 1e-6][-1]
    assert (len(found) + 0.5) * spacing >= times[-1] + 0.04 - 1e-5  # none is left out


@given(st.integers(1, 30), st.sampled_from([5.0, 10.0, 25.0, 29.97]), st.floats(0.03, 0.4))
def test_a_clip_of_the_trained_length_is_seen_as_by_the_input(count, rate, spacing):
    seconds = count * spacing
    times = np.arange(int(np.ceil(seconds * rate - 1e-6))) / rate
    moments = [moment for moment, _ in sampled(times, spacing, seconds)]
    assert moments == pytest.approx(usual_moments(seconds, count, "dense", spacing).tolist(), abs=2e-5)


def test_a_source_that_began_anew_is_sampled_from_there():
    found = sampled([0, 0.1, 0.2, 7.0, 7.1, 7.2], 0.1, 7.25, fresh={3})
    assert [round(moment, 6) for moment, _ in found] == [0.05, 0.15, 7.05, 7.15]


def test_the_last_frame_is_not_shown_for_as_long_as_a_truncated_file_says():
    assert len(sampled([0.0, 0.1], 0.1, 3600.0)) == 11


def test_a_source_shorter_than_half_a_gap_is_seen_once():
    assert sampled([0.0], 1.0, 0.04) == [(0.0, 0.0)]


def test_nothing_is_seen_of_nothing():
    assert sampled([], 0.1, 1.0) == []
