"""Live sources against real servers in this process."""

import logging
import re
import socket
import sys

import numpy as np
import pytest

import processes
from live_servers import http_server, rtsp_server
from sightsmith.core.errors import PictureError, SettingsError
from sightsmith.core.placement import Bounds
from sightsmith.runtime.live import Patience, _live, address_source, camera_source, find_source
from video_files import frames_THWC, numbers, write_video

pytest.importorskip("av")
SOON = Patience(answer=10, first=0.01, most=0.02, tries=3)


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """Return the bytes of an MPEG-TS of 12 frames."""
    path = tmp_path_factory.mktemp("ts") / "a.ts"
    return write_video(path, frames_THWC(12), codec="mpeg2video", container="mpegts").read_bytes()


def read(source):
    """Return the frames of a source until it ends, and why it ended."""
    frames = []
    try:
        frames.extend(source.frames())
    except PictureError as error:
        return frames, f"{error}"
    return frames, ""


def test_an_address_that_ends_is_opened_again_and_given_up_after_some_tries(stream, caplog):
    with http_server(stream, stream) as address:
        source = address_source(address, SOON)
        with caplog.at_level(logging.WARNING):
            frames, why = read(source)
    assert all(frame.live for frame in frames)
    assert [index for index, frame in enumerate(frames) if frame.fresh] == [0, len(frames) // 2]
    times = [frame.time for frame in frames]
    assert times[0] == 0
    assert times == sorted(times)
    assert np.diff(times[: len(times) // 2]) == pytest.approx(0.04, abs=1e-3)
    assert numbers(frame.picture(None) for frame in frames)[:10] == list(range(10))
    assert why == f"{address}: lost (Connection refused), and not found again in 3 tries."
    assert caplog.messages[0] == f"{address}: lost (Input/output error). Try 1 of 3 in 0.01 s."
    assert len(caplog.messages) == 4


def test_a_camera_of_the_network_is_read_by_rtsp_and_its_password_is_not_told(stream):
    with rtsp_server(stream) as address:
        frames, why = read(address_source(address, SOON))
    assert numbers(frame.picture(None) for frame in frames)[:10] == list(range(10))
    assert "secret" not in why
    assert "rtsp://***@127.0.0.1" in why


def test_a_whole_video_on_a_server_is_read_once(tmp_path):
    """Its last frame comes 20 s after the others: a picture that stands still is no break."""
    times = [*(0.04 * index for index in range(11)), 20.0]
    video = write_video(tmp_path / "a.mkv", frames_THWC(12), codec="mpeg4", times=times).read_bytes()
    with http_server(video, b"", whole=True) as address:
        frames, why = read(address_source(address, SOON))
    assert (len(frames), why) == (12, "")
    assert not any(frame.live for frame in frames)  # it waits for a slow model
    assert [frame.fresh for frame in frames] == [True] + [False] * 11


def test_a_whole_video_whose_connection_is_lost_is_not_answered_twice(tmp_path):
    video = write_video(tmp_path / "a.mkv", frames_THWC(100), codec="mjpeg", pixels="yuvj420p").read_bytes()
    with http_server(video[: len(video) // 2], video, whole=True) as address:
        frames, why = read(address_source(address, SOON))
    assert 30 < len(frames) < 60
    assert re.fullmatch(rf"{address}: lost \(.*\) before its end; \d\.\d s of it are answered\. .*", why)


def test_a_codec_that_no_file_may_have_is_refused(tmp_path):
    video = write_video(tmp_path / "a.ts", frames_THWC(12), codec="mpeg1video", container="mpegts").read_bytes()
    refused = pytest.raises(PictureError, match="the codec mpeg1video is not read here")
    with http_server(video) as address, refused:
        next(address_source(address, SOON).frames())


def test_frames_over_the_bound_of_pixels_are_refused(stream, monkeypatch):
    monkeypatch.setattr("sightsmith.runtime.live.UNBOUNDED", Bounds(max_pixels=1000))
    with http_server(stream) as address, pytest.raises(PictureError, match="64×48 is over the bound of 1,000 pixels"):
        next(address_source(address, SOON).frames())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="lavfi stands in for the devices of Linux")
def test_a_device_is_read_in_its_own_time_and_opened_again_when_it_is_gone():
    """FFmpeg's generator of pictures is opened as a camera is, by a format and without an address."""
    source = _live("camera 0", "testsrc=size=64x48:rate=50:duration=0.2", "lavfi", {}, SOON)
    begun, frames = [], []
    for frame in source.frames():
        frames.append(frame)
        begun += [frame.time] if frame.fresh else []
        if len(begun) == 2:
            break
    assert [frame.time for frame in frames[:10]] == pytest.approx([0.02 * index for index in range(10)])
    assert frames[0].picture(None).size == (64, 48)
    assert begun[1] >= frames[9].time


def test_a_server_that_sends_a_playlist_is_refused():
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n"
    refused = pytest.raises(PictureError, match=r"cannot be opened .* no playlist")
    with http_server(playlist, b"") as address, refused:
        next(address_source(address, SOON).frames())


def test_a_server_that_is_silent_is_left_after_a_while():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/live"
        with pytest.raises(PictureError, match=r"cannot be opened \(no data for too long\)"):
            next(address_source(address, Patience(answer=0.3)).frames())


def test_nothing_listens():
    with pytest.raises(PictureError, match=r"cannot be opened \(Connection refused\)"):
        next(address_source(f"http://127.0.0.1:{processes.free_port()}/live").frames())


@pytest.mark.parametrize("address", ["http://h/live.m3u8", "https://h/a.mpd?x=1", "HTTP://h/list.sdp"])
def test_a_playlist_is_refused_by_its_name(address):
    with pytest.raises(SettingsError, match="a playlist, which names further addresses"):
        address_source(address)


def test_a_camera_may_name_its_stream_as_a_description():
    assert address_source("rtsp://me:secret@camera.local/live1.sdp").name == "rtsp://***@camera.local/live1.sdp"


def test_an_address_that_is_none_is_named_without_its_password():
    with pytest.raises(SettingsError, match=r"^rtsp://\*\*\*@\[::1/a: no address \(Invalid IPv6 URL\)"):
        address_source("rtsp://me:secret@[::1/a")


@pytest.mark.parametrize("address", ["file:///etc/passwd", "concat://a", "ftp://h/a.mp4", "pipe://0"])
def test_other_protocols_are_refused(address):
    with pytest.raises(SettingsError, match="a stream comes from rtsp, rtsps"):
        address_source(address)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="cameras are files in /dev")
def test_a_camera_that_is_absent_is_named():
    with pytest.raises(PictureError, match=r"camera 97: no such camera \(/dev/video97\)\. "):
        camera_source(97)


@pytest.mark.parametrize(
    ("inputs", "camera", "told"), [([], None, "got 0"), (["a", "b"], None, "2"), (["a"], 0, "1 and a")]
)
def test_a_stream_is_of_one_source(inputs, camera, told):
    with pytest.raises(SettingsError, match=f"name one source.*{told}"):
        find_source(inputs, camera)
