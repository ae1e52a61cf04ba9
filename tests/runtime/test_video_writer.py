from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightsmith.core.errors import OutputError
from sightsmith.core.video import Clip, open_clip
from sightsmith.kinds.parts.shapes import Shape
from sightsmith.runtime.video_writer import VideoWriter

BARS = [Shape(shape="bar", name="right", text="93.0%", share=0.93)]


def write(path, times, size=(64, 48), shapes=()):
    writer = VideoWriter(path)
    for index, time in enumerate(times):
        writer.add(time, Image.new("RGB", size, (20 + 10 * index,) * 3), list(shapes))
    writer.close()
    return path


def read(path):
    with open_clip(Clip(path)) as reading:
        return reading.header, list(reading.all())


@pytest.mark.parametrize(
    ("size", "scale"), [((64, 48), 4), ((63, 47), 4), ((17, 9), 15), ((239, 61), 2), ((241, 33), 1), ((426, 240), 1)]
)
def test_frames_keep_their_times_and_their_size_but_narrow_ones(tmp_path, size, scale):
    times = [0.0, 0.04, 0.08, 0.2, 0.21, 1.5]
    header, frames = read(write(tmp_path / "a.mp4", times, size))
    assert (header.width, header.height) == (size[0] * scale, size[1] * scale)
    assert [time for time, _ in frames] == pytest.approx(times, abs=1e-4)
    levels = [np.asarray(image).mean() for _, image in frames]
    assert levels == pytest.approx([20 + 10 * index for index in range(6)], abs=3)


def test_the_last_frame_is_shown_as_long_as_the_one_before_it(tmp_path):
    header, _ = read(write(tmp_path / "a.mp4", [0.1 * index for index in range(31)]))
    assert header.seconds == pytest.approx(3.1, abs=1e-3)
    assert not header.variable


def test_the_answer_covers_the_lower_third_alone(tmp_path):
    _, [(_, image), *_] = read(write(tmp_path / "a.mp4", [0.0, 0.1], (320, 240), BARS))
    pixels_HWC = np.asarray(image, dtype=float)
    assert abs(pixels_HWC[:150] - 20).max() < 8
    assert pixels_HWC[-15:].mean() > 120


def test_a_grey_frame_and_one_of_another_size_fit_in(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4")
    writer.add(0.0, Image.new("RGB", (64, 48)), BARS)
    writer.add(0.1, Image.new("L", (32, 24), 200), [])
    writer.close()
    header, frames = read(tmp_path / "a.mp4")
    assert (header.width, len(frames)) == (256, 2)


def test_a_frame_that_is_not_after_the_one_before_is_left_out(tmp_path):
    _, frames = read(write(tmp_path / "a.mp4", [0.0, 0.1, 0.1, 0.05, 0.2]))
    assert [round(time, 3) for time, _ in frames] == [0, 0.1, 0.2]


def test_what_is_written_can_be_played_before_the_end(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4")
    for index in range(120):
        writer.add(index / 20, Image.new("RGB", (64, 48), (index, 0, 0)), [])
    _, frames = read(tmp_path / "a.mp4")
    assert len(frames) >= 40  # all fragments of two seconds but the last
    writer.close()
    assert len(read(tmp_path / "a.mp4")[1]) == 120


def test_a_folder_that_is_not_there_is_an_error_that_says_so(tmp_path):
    with pytest.raises(OutputError, match=r"b/a\.mp4: cannot be written"):
        VideoWriter(tmp_path / "b" / "a.mp4")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_full_disk_is_an_error_that_says_so(tmp_path):
    """The write of a fragment fails, or the one that closes the video."""
    (tmp_path / "a.mp4").symlink_to("/dev/full")
    told = r"a\.mp4: cannot be written .*No space left.*Make room"
    for count in (50, 5):
        with pytest.raises(OutputError, match=told), closing(VideoWriter(tmp_path / "a.mp4")) as writer:
            for index in range(count):
                writer.add(index / 10, Image.new("RGB", (64, 48)), [])


def test_a_video_without_frames_can_be_closed(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4")
    writer.close()
    assert (tmp_path / "a.mp4").exists()
