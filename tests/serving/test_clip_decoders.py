"""The processes that decode clips, without a service: their memory is bounded, and given back."""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from processes import clip_processes
from sightsmith.core.errors import PictureError
from sightsmith.core.placement import Bounds
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.core.video import Clip
from sightsmith.inputs import Reader, clip
from sightsmith.serving.clip_decoders import ClipDecoders, clip_bounds
from sightsmith.serving.decoders import Decoders
from video_files import write_video

pytest.importorskip("av", reason="needs PyAV: pip install 'sightsmith[video]'")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured, and bounded, on Linux")

SIZE = (3200, 2400)
BOUNDS = clip_bounds(SIZE[0] * SIZE[1], 60.0)
PICTURE = Preprocessing(height=16, width=16, mean=(0.5,) * 3, std=(0.5,) * 3, resize="squash")
READER = Reader("clip", clip.Settings(frames=2, picture=PICTURE))


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Clip:
    """Return a small file whose frames are large, sixteen of them kept for the next ones to refer to: 180 MB."""
    path = tmp_path_factory.mktemp("large") / "large.mp4"
    options = {"preset": "ultrafast", "x264-params": "ref=16:bframes=0"}
    frames_THWC = np.zeros((20, *SIZE[::-1], 3), np.uint8)
    return Clip(write_video(path, frames_THWC, codec="libx264", options=options).read_bytes())


@pytest.fixture
def decoders() -> Iterator[ClipDecoders]:
    with ClipDecoders(1) as started:
        started.start()
        yield started


def megabytes() -> float:
    """Return the memory of the one process that decodes."""
    (pid,) = clip_processes(os.getpid())
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6


def test_the_memory_of_a_clip_is_given_back(decoders, large, video):
    for _ in range(2):
        decoders.feeds(Clip(video), READER, BOUNDS)
    before = megabytes()
    assert decoders.feeds(large, READER, BOUNDS)[clip.FRAMES].shape == (2, 16, 16, 3)
    decoders.feeds(Clip(video), READER, BOUNDS)
    assert megabytes() < before + 60


def test_a_clip_that_takes_too_much_memory_is_refused_and_the_next_one_is_answered(decoders, large, video):
    with pytest.raises(PictureError, match="takes more memory than it may have"):
        decoders.feeds(large, READER, Bounds(seconds=60.0, memory=80e6))
    assert decoders.feeds(Clip(video), READER, Bounds(seconds=60.0, memory=80e6))[clip.FRAMES].shape == (2, 16, 16, 3)


def test_clips_hold_up_no_pictures():
    let_go = threading.Event()
    with Decoders(2) as decoders:
        clips = [decoders.clips.submit(let_go.wait, 60) for _ in range(4)]
        assert decoders.submit(len, "picture").result(60) == 7
        assert not any(clip.done() for clip in clips)
        let_go.set()
