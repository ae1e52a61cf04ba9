"""Answers along a video by small real models, in every backend."""

import gc
import re
import threading
import weakref
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from moving_clips import FRAMES, RATE, there_and_back
from sightsmith.core.errors import PictureError, SettingsError
from sightsmith.core.video import Clip
from sightsmith.model import load
from sightsmith.runtime.file_source import file_source
from sightsmith.runtime.settings import PredictSettings
from sightsmith.runtime.stream_output import open_stream
from sightsmith.runtime.streams import Answering, Arrival, Frame, Source, answered, arrivals, spacing_of
from video_files import frames_THWC, write_video

pytest.importorskip("av")
VIDEO = Clip(there_and_back(), rate=RATE)


@pytest.fixture(scope="module", params=["carries", "window"])
def model(request, moving_bars_bundles):
    with load(moving_bars_bundles / request.param, backend="openvino", precision="fp32") as loaded:
        yield loaded


def test_frames_are_as_far_apart_as_in_training(model):
    witnesses = model.bundle.witnesses()  # of clips of half a second
    assert spacing_of(model.manifest.definition.input_settings, witnesses) == pytest.approx(1 / RATE)


def test_answers_follow_the_video_as_it_goes_on(model):
    steps = list(model.stream(VIDEO))
    carries = model.manifest.name == "carries"
    first, gap = (0.05, 0.1) if carries else (0.45, 0.3)  # of a window of .5 s: every .25 s, at its next frame
    times = [first + gap * index for index in range(40 if carries else 12)]
    assert [step.time for step in steps] == pytest.approx([*times, *([] if carries else [3.95])])
    answers = {round(step.time, 2): step.answer.label for step in steps}
    assert {label for time, label in answers.items() if 0.5 < time < 2} == {"right"}
    assert {label for time, label in answers.items() if time > 2.6} == {"left"}


def test_a_video_of_the_trained_length_is_answered_as_a_clip(model):
    whole = Clip(VIDEO.video[:FRAMES], rate=RATE)
    last = list(model.stream(whole))[-1]
    assert np.abs(last.answer.scores_K - model.predict(whole).scores_K).max() <= 1e-5


def test_answers_can_be_asked_for_less_often(model):
    *times, end = [step.time for step in model.stream(VIDEO, every=1.0)]
    assert np.diff(times) == pytest.approx([1.0] * 3)
    assert end == pytest.approx(3.95)  # about the last frames


def test_no_answers_are_nearer_than_asked_even_after_a_delay(model):
    every = 0.25
    answering = Answering(model.predictor, 1 / RATE, every)
    moments = [0.1 * index for index in range(20) if index < 10 or index >= 14]  # frames of .4 s were dropped
    steps = [answering.see(moment, VIDEO.video[0]) for moment in moments]
    times = [step.time for step in steps if step is not None]
    assert len(times) > 3
    assert np.diff(times).min() >= every - 1e-6


@pytest.mark.parametrize("count", [1, 2])
def test_a_video_shorter_than_a_window_is_answered_too(model, count):
    steps = list(model.stream(Clip(VIDEO.video[:count], rate=RATE)))
    assert len(steps) == (count if model.manifest.name == "carries" else 1)
    assert steps[-1].answer.label in model.names


def test_the_parts_of_a_long_video_are_given_by_a_clip(model):
    part = list(model.stream(replace(VIDEO, start=2.5, end=3.5)))
    assert part[-1].answer.label == "left"
    assert part[-1].time < 1


@pytest.mark.parametrize("start", [2.56, 2.44])
def test_a_part_that_starts_between_two_frames_is_answered_as_the_clip(model, start):
    part = Clip(VIDEO.video, start=start, end=start + FRAMES / RATE, rate=RATE)
    last = list(model.stream(part))[-1]
    assert np.abs(last.answer.scores_K - model.predict(part).scores_K).max() <= 1e-5


def test_a_part_between_two_frames_is_answered_about_the_one_that_is_shown(model):
    (step,) = model.stream(Clip(VIDEO.video, start=2.51, end=2.59, rate=RATE))
    assert step.time == pytest.approx(0.05)


def test_a_frame_that_is_shown_for_hours_is_no_list_of_moments(model):
    """The gap has 36 million moments."""
    shown = [Frame(0.0, lambda near: Image.fromarray(VIDEO.video[0])), Frame(3.6e6, lambda near: None)]
    source = Source("long gap", lambda: iter(shown))
    times = [
        arrival.time
        for arrival in islice(arrivals(source, model.manifest.definition.input_settings, 0.1, images=False), 3)
    ]
    assert times == pytest.approx([0.05, 0.15, 0.25])


@pytest.mark.parametrize("every", [0, -1.0, float("nan")])
def test_answers_at_no_distance_are_refused(model, every):
    with pytest.raises(SettingsError, match="every must be > 0 s"):
        next(model.stream(VIDEO, every=every))


def test_a_model_for_pictures_has_no_stream(digits_bundle):
    with load(digits_bundle) as digits, pytest.raises(SettingsError, match="about a single picture, not about a video"):
        next(digits.stream(VIDEO))


def test_an_endless_source_is_answered_with_few_frames_in_memory(model):
    """Each frame's picture counts itself out when it is freed."""
    alive, most = set(), 0

    def endless():
        number = 0
        while True:
            image = Image.fromarray(np.full((32, 32, 3), number % 256, np.uint8))
            alive.add(number)
            weakref.finalize(image, alive.discard, number)
            yield Frame(number / RATE, lambda near, image=image: image)
            number += 1

    settings = PredictSettings(stream=True)
    with open_stream(model.predictor, Source("endless", endless), settings) as (arriving, total):
        assert total is None
        for arrival, _ in arriving:
            most = max(most, len(alive))
            if arrival.time > 20:
                break
    gc.collect()
    assert most < 30


def test_a_frame_that_comes_after_a_break_starts_anew(model):
    """After 2 s to the right the source is lost for an hour, and then shows 2 frames."""

    def broken():
        for index, pixels in enumerate(VIDEO.video[:22]):
            late = 3600.0 if index >= 20 else 0.0
            yield Frame(index / RATE + late, lambda near, p=pixels: Image.fromarray(p), fresh=index == 20)

    settings = PredictSettings(stream=True)
    with open_stream(model.predictor, Source("camera", broken), settings) as (arriving, _):
        times = [step.time for _, step in arriving if step is not None]
    assert all(time < 2 or time > 3601 for time in times)
    if model.manifest.name == "window":
        assert sum(time > 3601 for time in times) == 1  # the answer to what there was of a window


def test_frames_that_a_live_source_sends_too_fast_are_dropped_and_counted(model, caplog):
    over = threading.Event()

    def burst():
        image = Image.fromarray(VIDEO.video[0])
        for index in range(100):
            yield Frame(index / RATE, lambda near: image, live=True)
        over.set()

    settings = PredictSettings(stream=True)
    with open_stream(model.predictor, Source("camera", burst), settings) as (arriving, _):
        next(arriving)
        assert over.wait(60)
        assert len(list(arriving)) <= 9  # those that waited, and an answer at the end
    assert re.search(r"camera: \d+ frames dropped: the model is slower than the source\.", caplog.text)


def test_a_break_is_noticed_even_if_the_frame_after_it_was_dropped(model):
    before = [Arrival(index / RATE, 0.0, VIDEO.video[index]) for index in range(9)]
    after = VIDEO.video[30 : 30 + FRAMES]
    arrived = [Arrival(100.2 + index / RATE, 100.0, pixels) for index, pixels in enumerate(after)]
    steps = [step for _, step in answered([*before, *arrived], Answering(model.predictor, 1 / RATE)) if step]
    alone = model.predict(Clip(after, rate=RATE))
    assert np.abs(steps[-1].answer.scores_K - alone.scores_K).max() <= 1e-5


@pytest.mark.parametrize(("change", "told"), [(b"\x47" + bytes(187), "grew"), (None, "shrank")])
def test_a_file_that_changes_while_it_is_read_is_named_after_the_answers(model, tmp_path, change, told):
    path = write_video(tmp_path / "a.ts", frames_THWC(30), codec="mpeg2video", container="mpegts")
    read = 0
    with pytest.raises(PictureError, match=rf"a\.ts: it {told} from .* bytes while it was read"):
        for frame in file_source(path).frames():
            read += 1
            if read == 2 and change:
                path.write_bytes(path.read_bytes() + change)
            elif read == 2:
                path.write_bytes(path.read_bytes()[:-188])
            assert frame.time >= 0
    assert read > 20


def test_a_truncated_video_is_answered_as_far_as_it_goes_and_named(model, tmp_path):
    path = write_video(tmp_path / "a.mkv", frames_THWC(100), codec="mjpeg", pixels="yuvj420p")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    last = 0.0
    with pytest.raises(PictureError, match=r"a\.mkv: cut-off \(.* of 4\.00 s are there\); the rest is answered"):
        for step in model.stream(path):
            last = step.time
    assert 2 < last < 3.2
