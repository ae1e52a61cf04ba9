"""Clips as input: which frames a net sees, the same everywhere; random ones in training; stored without loss."""

import io
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightsmith.core.errors import PictureError, SettingsError
from sightsmith.core.placement import Bounds
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.core.video import Clip
from sightsmith.inputs import clip
from sightsmith.inputs.parts.moments import random_moments, usual_moments
from sightsmith.inputs.parts.survey import Wanted
from video_files import frames_THWC, numbers, write_video

GREY = Preprocessing(height=12, width=16, colour="grey", resize="squash", mean=(0.5,), std=(0.25,))
SETTINGS = clip.Settings(frames=4, picture=GREY)
DENSE = clip.Settings(frames=4, sampling="dense", spacing=0.2, picture=GREY)

samplings = st.one_of(
    st.tuples(st.sampled_from(["uniform", "segments"]), st.none()),
    st.tuples(st.just("dense"), st.floats(0.001, 10)),
)


@given(seconds=st.floats(0.001, 1e5), count=st.integers(1, 64), sampled=samplings, seed=st.integers(0, 9))
def test_moments_are_in_the_clip_in_order_and_the_same_again(seconds, count, sampled, seed):
    drawn = [random_moments(seconds, count, *sampled, np.random.default_rng(seed)) for _ in range(2)]
    usual = [usual_moments(seconds, count, *sampled) for _ in range(2)]
    for once, again in (drawn, usual):
        assert once.shape == (count,)
        assert (once >= 0).all()
        assert (once < seconds).all()
        assert (np.diff(once) >= 0).all()
        np.testing.assert_array_equal(once, again)


@given(count=st.integers(1, 64), rate=st.floats(1, 240))
def test_as_many_frames_as_a_clip_has_are_each_taken_once(count, rate):
    thw = np.arange(count, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    item = Clip(thw, rate=rate)
    picture = replace(GREY, height=2, width=2)
    for settings in (
        clip.Settings(frames=count, picture=picture),
        clip.Settings(frames=count, sampling="segments", picture=picture),
        clip.Settings(frames=count, sampling="dense", spacing=1 / rate, picture=picture),
    ):
        np.testing.assert_array_equal(clip.feeds(item, settings)[clip.FRAMES][:, 0, 0, 0], np.arange(count))


def shown(item, settings=SETTINGS):
    return numbers(clip.feeds(item, settings)[clip.FRAMES])


def test_frames_are_spread_over_the_clip_or_dense_in_its_middle():
    item = Clip(frames_THWC(24), rate=10.0)
    assert shown(item) == [3, 9, 15, 21]
    assert shown(item, replace(SETTINGS, sampling="segments")) == [3, 9, 15, 21]
    assert shown(item, DENSE) == [9, 11, 13, 15]
    assert shown(replace(item, start=0.4, end=1.2)) == [5, 7, 9, 11]


def test_a_clip_that_is_too_short_repeats_frames():
    assert shown(frames_THWC(1)) == [0, 0, 0, 0]
    assert shown(frames_THWC(2)) == [0, 0, 1, 1]
    assert shown(Clip(frames_THWC(5), rate=10.0), DENSE) == [1, 3, 4, 4]


def test_training_draws_moments_by_the_sampling():
    item, rng = Clip(frames_THWC(28), rate=10.0), np.random.default_rng(0)

    def drawn(settings):
        return {tuple(numbers(clip.drawn(item, settings, rng, 1.0)[clip.FRAMES])) for _ in range(30)}

    assert drawn(SETTINGS) == {tuple(shown(item))}
    segments = drawn(replace(SETTINGS, sampling="segments"))
    assert len(segments) > 20
    assert all(7 * part <= number < 7 * (part + 1) for numbers in segments for part, number in enumerate(numbers))
    dense = drawn(DENSE)
    assert len(dense) > 10
    assert all(np.diff(numbers).tolist() == [2, 2, 2] for numbers in dense)


def test_training_draws_one_part_of_all_frames():
    ramp = np.tile(np.arange(64, dtype=np.uint8), (6, 48, 1)) + 10 * np.arange(6, dtype=np.uint8)[:, None, None]
    settings = replace(SETTINGS, frames=6)
    thwc = clip.drawn(Clip(ramp), settings, np.random.default_rng(1), 0.3)[clip.FRAMES]
    assert thwc.shape == (6, 12, 16, 1)
    assert np.ptp(thwc[0]) < 60, "a part is narrower than the whole"
    for frame in range(6):
        np.testing.assert_allclose(thwc[frame].astype(int) - 10 * frame, thwc[0], atol=1)
    whole = clip.drawn(Clip(ramp), settings, np.random.default_rng(1), 1.0)[clip.FRAMES]
    np.testing.assert_array_equal(whole, clip.feeds(Clip(ramp), settings)[clip.FRAMES])


def test_frames_of_several_sizes_are_brought_to_one():
    first, second = frames_THWC(2, (32, 24))
    mixed = Clip((first, np.asarray(second)[:12, :16], first, second))
    assert clip.feeds(mixed, SETTINGS)[clip.FRAMES].shape == (4, 12, 16, 1)
    assert clip.drawn(mixed, SETTINGS, np.random.default_rng(0), 0.5)[clip.FRAMES].shape == (4, 12, 16, 1)
    assert clip.face(mixed).size == (64, 48)


def test_a_stored_clip_has_the_same_pixels_without_a_video_decoder(tmp_path):
    pytest.importorskip("av")
    noise = np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), dtype=np.uint8)
    path = write_video(tmp_path / "noise.mp4", noise)
    colour = Preprocessing(height=16, width=16, crop_fraction=0.8)
    for settings in (clip.Settings(frames=5, picture=colour), replace(DENSE, picture=colour)):
        stored = clip.encode(path, settings)
        assert clip.suffix(stored) == ".zip"
        assert zipfile.ZipFile(io.BytesIO(stored)).namelist() == [
            "clip.json",
            *(f"{at:05}.png" for at in range(settings.frames)),
        ]
        expected = clip.feeds(path, settings)[clip.FRAMES]
        np.testing.assert_array_equal(clip.feeds(stored, settings)[clip.FRAMES], expected)
        assert clip.encode(path, settings) == stored
    assert clip.suffix(path.read_bytes()) == ".mp4"


@pytest.mark.parametrize("wrong", ["compressed", "overlapping", "no rate", "torn"])
def test_an_archive_of_something_else_is_refused(wrong):
    buffer = io.BytesIO()
    form = zipfile.ZIP_DEFLATED if wrong == "compressed" else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", form) as archive:
        archive.writestr("clip.json" if wrong != "no rate" else "other.json", '{"rate": 25.0}' + " " * 500)
        if wrong == "overlapping":
            archive.filelist += archive.filelist * 4
    data = buffer.getvalue()[: -40 if wrong == "torn" else None]
    with pytest.raises(PictureError, match=r"no stored clip of frames|without a frame"):
        clip.feeds(data, SETTINGS)


def test_a_face_is_four_frames_spread_over_the_clip(tmp_path):
    sheet = clip.face(Clip(frames_THWC(8)))
    assert sheet.size == (128, 96)
    quarters = [sheet.crop((x, y, x + 64, y + 48)) for y in (0, 48) for x in (0, 64)]
    assert numbers(quarters) == [1, 3, 5, 7]
    with pytest.raises(PictureError, match="over the bound"):
        clip.face(Clip(frames_THWC(8)), max_pixels=100)


def test_the_deadline_holds_for_all_frames_together():
    with pytest.raises(PictureError, match="to decode"):
        clip.feeds(Clip(frames_THWC(5)), SETTINGS, Bounds(seconds=0))


def test_a_child_process_can_read_a_clip():
    """What it is given and what it gives back, errors too, survive the way."""
    given = pickle.loads(pickle.dumps((Clip(frames_THWC(5), start=0.1, rate=10.0), SETTINGS, Bounds(seconds=60))))
    assert numbers(clip.feeds(*given)[clip.FRAMES]) == [1, 2, 3, 4]
    with pytest.raises(PictureError) as told:
        clip.feeds(b"no video", SETTINGS)
    assert str(pickle.loads(pickle.dumps(told.value))) == str(told.value)


@pytest.mark.parametrize(
    "wrong",
    [{"frames": 0}, {"frames": 5000}, {"sampling": "dense"}, {"spacing": 0.5}, {"sampling": "dense", "spacing": 0.0}],
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(SettingsError, match=r"clip\.(frames|spacing)"):
        clip.Settings(**{"frames": 4, "picture": GREY, **wrong})


def test_the_survey_and_the_choice_look_at_frames(tmp_path):
    pytest.importorskip("av")
    path = write_video(tmp_path / "a.mkv", frames_THWC(10), codec="ffv1", pixels="gray")
    seen = clip.survey([path, frames_THWC(3, (40, 30))])
    assert (seen.count, seen.side, seen.in_memory) == (2, 39, False)
    assert seen.grey
    wanted = Wanted(side=24, colour="grey", resize="crop", frames=6, sampling="dense", spacing=0.1)
    chosen = clip.choose(wanted, [path])
    assert (chosen.frames, chosen.sampling, chosen.spacing, chosen.picture.shape) == (6, "dense", 0.1, (24, 24, 1))
    assert chosen.picture.mean == pytest.approx(((20 + 8 * 4.5) / 255,), abs=0.03)
    again = clip.choose(replace(wanted, like=chosen.picture), [frames_THWC(1)])
    assert again.picture.mean == chosen.picture.mean


def test_real_clips_become_batches(shared_data):
    pytest.importorskip("av")
    settings = clip.Settings(frames=4, picture=Preprocessing(height=32, width=32))
    for path in sorted(shared_data("fight_clips").glob("*/*.mp4"))[::8]:
        thwc = clip.feeds(path, settings)[clip.FRAMES]
        assert thwc.shape == (4, 32, 32, 3)
        assert thwc.std() > 10


def test_a_reduced_clip_shows_the_frames_of_the_video_at_its_usual_moments():
    rng = np.random.default_rng(0)
    video_THWC = rng.integers(0, 256, (97, 16, 20, 3), dtype=np.uint8)
    item = Clip(video_THWC, start=0.4, end=3.6, rate=25.0)
    for sampling, frames in (("uniform", 5), ("segments", 8), ("uniform", 60)):
        settings = clip.Settings(frames=frames, sampling=sampling, picture=Preprocessing(height=16, width=16))
        kept = clip.reduced(item, settings)
        assert len(kept.video) == (2 if 2 * frames >= 80 else 4) * frames
        assert kept.video.nbytes == clip.reduced_bytes(item, settings)
        assert (clip.feeds(kept, settings)["frames"] == clip.feeds(item, settings)["frames"]).all()


@pytest.mark.parametrize("times", [None, [0, 0.04, 0.05, 0.3, 0.31, 0.5, 0.53, 0.8, 1.1, 1.14, 1.2, 1.9, 2.2]])
def test_a_reduced_clip_does_so_if_times_are_rounded_or_uneven(times, tmp_path):
    """Matroska rounds times to milliseconds: the frames of 30 a second are late or early by a third of one."""
    pytest.importorskip("av")
    path = write_video(tmp_path / "a.mkv", frames_THWC(13), rate=30, times=times, codec="ffv1", pixels="gray")
    for frames in range(3, 17):
        settings = replace(SETTINGS, frames=frames)
        assert shown(clip.reduced(path, settings), settings) == shown(path, settings)


def test_a_reduced_clip_is_little_larger_than_the_input():
    item = Clip(np.zeros((9, 100, 200), np.uint8))
    settings = clip.Settings(
        frames=2, picture=Preprocessing(height=20, width=20, colour="grey", mean=(0.5,), std=(0.5,))
    )
    assert clip.reduced(item, settings).video.shape == (8, 25, 50)
