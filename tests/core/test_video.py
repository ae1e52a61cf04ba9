"""Clips: which frames, at which times, how upright; bad files are named, and nothing but the file is opened."""

import io
import os
import re
import socket
import struct
import sys
import threading
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightsmith.core.errors import PictureError, SettingsError, TooManyPixelsError
from sightsmith.core.placement import Bounds
from sightsmith.core.video import Clip, frames, open_clip, pick, read_header
from video_files import frames_THWC, numbers, remuxed, write_repeated, write_sound, write_video

pytest.importorskip("av", reason="needs PyAV: pip install 'sightsmith[video]'")

COUNT = 28
OUT_OF_ORDER = {"bf": "2", "qmax": "2"}
"""Options of an encoder whose frames are stored out of order, and finely enough to be told apart."""
FORMATS = {
    "mpeg4.mp4": {},
    "order.mp4": {"options": OUT_OF_ORDER},
    "order.mov": {"options": OUT_OF_ORDER},
    "order.mkv": {"options": OUT_OF_ORDER},
    "order.ts": {"options": OUT_OF_ORDER},
    "order.avi": {"options": OUT_OF_ORDER},  # without times of presentation
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "vp8.webm": {"codec": "libvpx"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "mjpeg.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "ffv1.mkv": {"codec": "ffv1", "pixels": "bgr0"},
    "deep.mkv": {"codec": "ffv1", "pixels": "yuv420p10le"},
    "grey.mkv": {"codec": "ffv1", "pixels": "gray"},
    "deep_grey.mkv": {"codec": "ffv1", "pixels": "gray16le"},
    "clear.mkv": {"codec": "ffv1", "pixels": "bgra"},
}


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Return a video of 28 frames, 1.12 s, whose keyframes are 8 frames apart."""
    return write_video(tmp_path_factory.mktemp("video") / "a.mp4", frames_THWC(COUNT), options={"g": "8"})


@pytest.mark.parametrize("name", FORMATS)
def test_every_frame_comes_once_and_in_order(name, tmp_path):
    path = write_video(tmp_path / name, frames_THWC(COUNT), **FORMATS[name])
    header = read_header(Clip(path))
    assert (header.width, header.height, header.rate, header.variable) == (64, 48, 25, False)
    assert header.seconds == pytest.approx(COUNT / 25, abs=0.002)
    assert header.frames in (0, COUNT)
    times, images = zip(*frames(Clip(path)), strict=True)
    assert times == pytest.approx(np.arange(COUNT) / 25, abs=0.002)
    assert numbers(images) == list(range(COUNT))
    assert {image.mode for image in images} == {"L" if "grey" in name else "RGB"}
    assert numbers(pick(Clip(path), [0, 0.5, 0.5, 1.1, 9])) == [0, 12, 12, 27, 27]
    assert numbers(pick(Clip(path.read_bytes()), [0.5])) == [12]


def test_h264_is_read_alike_in_every_container(shared_data):
    video = (shared_data("fight_clips") / "fight" / "fi001.mp4").read_bytes()
    times, expected = zip(*frames(Clip(video), near=64), strict=True)
    assert len(times) == 53
    for form in ("mov", "matroska", "mpegts"):
        found, images = zip(*frames(Clip(remuxed(video, form)), near=64), strict=True)
        assert found == pytest.approx(times, abs=0.002), form
        assert images == expected, form


def test_h264_that_does_not_say_how_far_its_frames_are_out_of_order_keeps_them_all(shared_data):
    """The flag before that number, the first of four ones near the end of the parameters, is cleared."""
    video = bytearray((shared_data("fight_clips") / "fight" / "fi001.mp4").read_bytes())
    begin = video.rindex(b"avcC") + 12
    length = int.from_bytes(video[begin - 2 : begin], "big")
    bits = "".join(f"{byte:08b}" for byte in video[begin : begin + length])
    at = bits.rindex("1111")
    video[begin + at // 8] ^= 0x80 >> at % 8
    assert len(list(frames(Clip(remuxed(bytes(video), "matroska")), near=64))) == 53


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts"])
def test_times_of_a_variable_rate_are_those_of_the_frames(name, tmp_path):
    times = [0, 0.04, 0.08, 0.5, 0.54, 2, 2.04, 5]
    path = write_video(tmp_path / name, frames_THWC(8), times=times)
    assert read_header(Clip(path)).variable
    assert read_header(Clip(path)).seconds == pytest.approx(5.04, abs=0.03)
    assert [time for time, _ in frames(Clip(path))] == pytest.approx(times, abs=0.002)
    assert numbers(pick(Clip(path), [0.02, 0.3, 0.5, 1.9, 2.0, 4.9, 5.0])) == [0, 2, 3, 4, 5, 6, 7]


def test_the_first_frame_is_at_zero_whatever_the_file_counts_from(tmp_path):
    late = write_video(tmp_path / "late.mkv", frames_THWC(5), times=[7, 7.04, 7.08, 7.12, 7.16])
    assert [time for time, _ in frames(Clip(late))] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16], abs=0.002)
    # an MP4 with frames out of order starts before 0 and has an edit list that says so
    edited = write_video(
        tmp_path / "edited.mp4", frames_THWC(5), options={"bf": "2"}, container_options={"use_editlist": "1"}
    )
    assert [time for time, _ in frames(Clip(edited))] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16], abs=0.002)


def test_what_an_edit_list_cuts_off_is_no_part_of_the_video(tmp_path):
    """As a phone trims: the frames before and after the part are still in the file."""
    path = write_video(tmp_path / "trimmed.mp4", frames_THWC(COUNT), options={**OUT_OF_ORDER, "g": "8"})
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12  # after version, flags and the number of parts: duration in ms, and start
    start = int.from_bytes(data[at + 4 : at + 8], "big") + 5 * 512
    data[at : at + 8] = (400).to_bytes(4, "big") + start.to_bytes(4, "big")
    clip = Clip(bytes(data))
    header = read_header(clip)
    assert (header.seconds, header.declared, header.variable) == (pytest.approx(0.4), pytest.approx(0.4), False)
    times, images = zip(*frames(clip), strict=True)
    assert times == pytest.approx(np.arange(10) / 25, abs=0.002)
    assert numbers(images) == list(range(5, 15))
    assert numbers(pick(clip, [0.1, 9])) == [7, 14]


def test_frames_without_times_are_named(tmp_path):
    data = bytearray(write_video(tmp_path / "a.ts", frames_THWC(5)).read_bytes())
    at = -1
    while (at := data.find(b"\0\0\1\xe0", at + 1)) >= 0:  # the start of each frame; its flags say which times follow
        data[at + 7] &= 0x3F
    with pytest.raises(PictureError, match="its frames have no times"):
        read_header(Clip(bytes(data)))


def test_a_clip_is_the_part_from_its_start_to_before_its_end(video):
    assert numbers(image for _, image in frames(Clip(video, start=0.4, end=0.6))) == [10, 11, 12, 13, 14]
    with open_clip(Clip(video, start=0.4, end=99)) as reading:
        assert (reading.start, reading.end) == (0.4, pytest.approx(1.12))
    with pytest.raises(PictureError, match=r"starts at 2 s, and the video ends at 1\.12 s"):
        read_header_of_part = open_clip(Clip(video, start=2.0))
        with read_header_of_part:
            pass


def test_far_moments_are_sought_and_give_the_same_frames(tmp_path):
    """Keyframes are 2 s apart, moments up to 24 s."""
    levels = frames_THWC(28).repeat(2, axis=0)  # a frame a second, a brightness every two
    for name in ("long.mp4", "long.mkv", "long.ts", "long.avi"):
        path = write_video(tmp_path / name, levels, rate=1, options={"g": "4", "bf": "2"})
        moments = [0.1, 1.0, 25.3, 25.9, 47.1, 53.9]
        assert numbers(pick(Clip(path), moments)) == [int(moment / 2) for moment in moments], name
        assert numbers(image for _, image in frames(Clip(path, start=31.0, end=34.0))) == [15, 16, 16], name


def test_a_video_with_one_keyframe_is_not_decoded_again_for_each_moment(tmp_path, monkeypatch):
    from sightsmith.core.video_files import OpenVideo

    path = write_video(tmp_path / "one_key.mp4", frames_THWC(28).repeat(2, axis=0), rate=1, options={"g": "999"})
    decoded = []
    decode = OpenVideo.decode
    monkeypatch.setattr(OpenVideo, "decode", lambda self, packet: decoded.append(1) or decode(self, packet))
    assert numbers(pick(Clip(path), [1, 13, 26, 38, 50, 55])) == [0, 6, 13, 19, 25, 27]
    assert len(decoded) < 3 * 56


@pytest.mark.parametrize(("degrees", "corner"), [(0, (0, 0)), (90, (0, 1)), (180, (1, 1)), (270, (1, 0))])
@pytest.mark.parametrize("flip", [False, True])
def test_rotation_tags_turn_frames_upright(degrees, corner, flip, tmp_path):
    stored = np.zeros((3, 32, 64, 3), np.uint8)
    stored[:, :16, :32] = 255  # the upper left quarter
    path = write_video(tmp_path / "turned.mp4", stored, rotation=degrees, flip=flip)
    header = read_header(Clip(path))
    _, image = next(frames(Clip(path)))
    assert image.size == (header.width, header.height) == ((64, 32) if degrees % 180 == 0 else (32, 64))
    assert header.ignored_rotation == ""
    quarters = np.asarray(image.convert("L").resize((2, 2), Image.Resampling.BOX))
    expected = np.zeros((2, 2))
    expected[corner[0], 1 - corner[1] if flip else corner[1]] = 255
    np.testing.assert_allclose(quarters, expected, atol=12)


def test_a_rotation_tag_of_another_angle_is_ignored_and_told(tmp_path):
    path = write_video(tmp_path / "odd.mp4", frames_THWC(3), rotation=45)
    header = read_header(Clip(path))
    assert (header.width, header.height, header.rotation, header.ignored_rotation) == (64, 48, 0, "45°")


def test_a_rotation_tag_that_does_not_rotate_is_ignored_and_told(tmp_path):
    data = write_video(tmp_path / "odd.mp4", frames_THWC(3), rotation=90).read_bytes()
    tag = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    header = read_header(Clip(data.replace(tag, bytes(36))))
    assert (header.width, header.height, header.rotation, header.ignored_rotation) == (64, 48, 0, "no rotation")


@pytest.mark.parametrize("form", ["mp4", "ts"])
def test_pixels_that_are_not_square_and_odd_sizes(form, tmp_path):
    import av

    path = tmp_path / f"wide.{form}"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 33, 17, "yuv420p"
        stream.codec_context.sample_aspect_ratio = 2
        out.mux(stream.encode(av.VideoFrame.from_ndarray(frames_THWC(1, (33, 17))[0], format="rgb24")))
        out.mux(stream.encode(None))
    header = read_header(Clip(path))
    assert (header.width, header.height) == (66, 17)
    (image,) = pick(Clip(path), [0.0])
    assert image.size == (66, 17)
    assert header.seconds == pytest.approx(0.04)


def test_frames_are_reduced_to_no_less_than_what_is_near(tmp_path):
    path = write_video(tmp_path / "large.mp4", frames_THWC(2, (640, 480)))
    assert pick(Clip(path), [0.0], near=100)[0].size == (160, 120)
    assert pick(Clip(path), [0.0], near=300)[0].size == (640, 480)


def test_pictures_and_arrays_are_clips_at_their_rate(tmp_path):
    thwc = frames_THWC(6)
    paths = []
    for at, frame in enumerate(thwc):
        paths.append(tmp_path / f"{at}.png")
        Image.fromarray(frame).save(paths[-1])
    for clip in (Clip(thwc, rate=10), Clip(thwc[..., 0], rate=10), Clip(tuple(paths), rate=10)):
        assert read_header(clip).seconds == pytest.approx(0.6)
        times, images = zip(*frames(clip), strict=True)
        assert times == pytest.approx(np.arange(6) / 10)
        assert numbers(images) == list(range(6))
        assert numbers(pick(clip, [0.0, 0.3, 0.35, 5.0])) == [0, 3, 3, 5]


def test_parts_of_a_file_that_are_damaged_are_counted(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), dtype=np.uint8)
    path = write_video(tmp_path / "torn.mkv", noise, options={"g": "5"})
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 3, len(data) // 2, 97):
        data[at] ^= 0xFF
    with open_clip(Clip(bytes(data))) as reading:
        times = [time for time, _ in reading.all()]
        assert reading.damaged > 0
    assert times == sorted(set(times))
    assert 10 <= len(times) <= 30


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts"])
def test_files_with_random_faults_are_read_or_named(name, tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    whole = write_video(tmp_path / name, noise, options={"g": "4"})
    read = named = 0
    for _ in range(16):
        data = np.frombuffer(whole.read_bytes(), np.uint8).copy()
        places = rng.integers(0, len(data) if rng.random() < 0.5 else 1500, rng.integers(1, 30))
        data[places] = rng.integers(0, 256, len(places))
        try:
            with open_clip(
                Clip(data[: rng.integers(1, 2 * len(data))].tobytes()), Bounds(max_pixels=99_999)
            ) as reading:
                assert all(image.size == (reading.header.width, reading.header.height) for _, image in reading.all())
                assert len(list(reading.at([reading.seconds * share for share in (0.1, 0.5, 0.9)]))) == 3
            read += 1
        except PictureError:
            named += 1
    assert read > 1
    assert named > 0


def noisy_mp4(tmp_path, **options) -> bytes:
    """Return a video of some 20 KB."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 48, 64, 3), dtype=np.uint8)
    return write_video(tmp_path / "noise.mp4", noise, **options).read_bytes()


def mp4_without_frames(tmp_path) -> bytes:
    """Return a video whose header is whole, and is cut off where its frames begin."""
    whole = noisy_mp4(tmp_path, container_options={"movflags": "faststart"})
    return whole[: whole.index(b"mdat") + 4]


def unknown_codec(tmp_path) -> bytes:
    video = write_video(tmp_path / "a.mkv", frames_THWC(3)).read_bytes()
    return video.replace(b"V_MPEG4/ISO/ASP", b"V_ANOTHER/CODEC")


def compressed_header() -> bytes:
    """Return a QuickTime file of 1 KB whose header expands to 1 MiB."""
    packed = (1 << 20).to_bytes(4, "big") + zlib.compress(bytes(1 << 20))

    def box(kind: bytes, *content: bytes) -> bytes:
        joined = b"".join(content)
        return (8 + len(joined)).to_bytes(4, "big") + kind + joined

    return box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"moov", box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", packed)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda tmp: b"", "an empty file"),
        (lambda tmp: b"\0" * 600, "not a video in a known container"),
        (lambda tmp: b"hello, no video " * 40, "not a video in a known container"),
        (lambda tmp: write_sound(tmp / "song.mp4"), r"no video in it \(audio alone\)"),
        (lambda tmp: noisy_mp4(tmp)[:900], "truncated or damaged"),
        (lambda tmp: mp4_without_frames(tmp), "none of its frames can be decoded|or it is damaged"),
        (lambda tmp: unknown_codec(tmp), "its codec is unknown"),
        (lambda tmp: compressed_header(), "its header is compressed"),
        (lambda tmp: tmp, "a folder, not a video"),
        (lambda tmp: tmp / "none.mp4", "no such file. Correct"),
        (lambda tmp: "rtsp://10.0.0.1/camera", "no such file. Addresses are not read"),
        (lambda tmp: np.zeros((0, 4, 4), np.uint8), "without a frame"),
        (lambda tmp: np.zeros((48, 64, 3), np.uint8), r"the shape of one picture.* it is array\[None\]"),
        (lambda tmp: np.zeros((4, 4, 4), np.float32), "uint8"),
        (lambda tmp: (), "without a frame"),
        (lambda tmp: 7, "value of type int"),
    ],
)  # fmt: skip
def test_what_is_no_clip_is_named(make, message, tmp_path):
    with pytest.raises(PictureError, match=message):
        read_header(Clip(make(tmp_path)))


def test_an_endless_stream_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "camera.mp4")
    for endless in (tmp_path / "camera.mp4", "/dev/zero"):
        with pytest.raises(PictureError, match="a pipe or a device, not a file"):
            read_header(Clip(endless))


def test_a_frame_that_cannot_be_decoded_is_named_with_its_clip(tmp_path):
    for at in range(3):
        Image.new("RGB", (9, 9)).save(tmp_path / f"{at}.png")
    (tmp_path / "2.png").write_bytes(b"")
    with pytest.raises(PictureError, match=r"0\.png and its 3 frames: .*2\.png: an empty file"):
        list(frames(Clip(tuple(tmp_path / f"{at}.png" for at in range(3)))))


def test_a_picture_and_other_codecs_are_named(tmp_path):
    picture = io.BytesIO()
    Image.new("RGB", (40, 40)).save(picture, "JPEG")
    with pytest.raises(PictureError, match="a picture, not a video"):
        read_header(Clip(picture.getvalue()))
    path = write_video(tmp_path / "old.mkv", frames_THWC(3), codec="mpeg1video")
    with pytest.raises(PictureError, match="the codec mpeg1video is not read here"):
        read_header(Clip(path))


PLAYLISTS = {
    "hls": b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:10,\n{0}\n#EXT-X-ENDLIST\n",
    "concat": b"ffconcat version 1.0\nfile '{0}'\n",
    "dash": b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{0}</BaseURL></MPD>',
    "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "pls": b"[playlist]\nFile1={0}\n",
}


@pytest.mark.parametrize("name", ["clip.mp4", "clip.ts", "list.m3u8", "frame%03d.png"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_is_refused_by_its_content_and_opens_nothing(kind, name, video, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        for target in (url, str(video)):
            path = tmp_path / name
            path.write_bytes(PLAYLISTS[kind].replace(b"{0}", target.encode()))
            for source in (path, path.read_bytes()):
                with pytest.raises(PictureError, match="a playlist, which names other files"):
                    read_header(Clip(source))
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_movie_that_refers_to_another_file_is_read_without_it(tmp_path):
    """The media of this QuickTime file lie, by its own words, in another file: none of them is opened."""
    path = write_video(tmp_path / "refers.mov", frames_THWC(3))
    data = bytearray(path.read_bytes())
    at = data.index(b"dref") + 12  # after version, flags and the number of entries: the size of the first
    data[at + 4 : at + 8] = b"alis"
    data[at + 8 : at + 12] = bytes(4)  # flags: not in this file
    assert numbers(image for _, image in frames(Clip(bytes(data)))) == [0, 1, 2]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Return videos of 7680 × 4320 pixels, by container; the streams of the last begin after 6 MB of nothing."""
    folder = tmp_path_factory.mktemp("large")
    avi = write_repeated(folder / "large.avi", (7680, 4320), 1).read_bytes()
    stream = write_repeated(folder / "large.ts", (7680, 4320), 3, codec="libx264", preset="ultrafast").read_bytes()
    empty = b"\x47\x1f\xff\x10" + 184 * b"\xff"
    return {"avi": avi, "ts": stream, "late": 32_000 * empty + stream}


def test_frames_far_over_the_bound_are_refused_too(large):
    with pytest.raises(PictureError, match="far over the bound of 1,000,000 pixels a frame"):
        read_header(Clip(large["avi"]), Bounds(max_pixels=1_000_000))


@pytest.mark.parametrize("form", ["avi", "ts", "late"])
def test_frames_over_the_bound_are_refused_before_they_are_decoded(form, large):
    clip, bounds = Clip(large[form]), Bounds(max_pixels=20_000_000)
    with taken_memory() as taken, pytest.raises(TooManyPixelsError, match=r"7680×4320 is over the bound of 20,000,000"):
        read_header(clip, bounds)
    assert taken() < 30e6, "a decoded frame takes 50 MB"


def test_frames_of_8k_are_read_by_default(large):
    with open_clip(Clip(large["avi"])) as reading:
        assert (reading.header.width, reading.header.height) == (7680, 4320)
        assert next(reading.at([0.0], near=24)).size == (43, 24)


def test_arrays_over_the_bound_are_refused():
    with pytest.raises(TooManyPixelsError, match="over the bound"):
        read_header(Clip(np.zeros((1, 50, 50), np.uint8)), Bounds(max_pixels=2_000))


def test_a_frame_that_grows_in_the_middle_is_refused_too(tmp_path):
    """Two streams of MPEG-TS one after the other: the size is another from the second on."""

    def both(codec):
        sizes = ((64, 48), (640, 480))
        return b"".join(
            write_video(tmp_path / "a.ts", frames_THWC(5, size), codec=codec).read_bytes() for size in sizes
        )

    with pytest.raises(TooManyPixelsError, match="640×480 is over the bound"):
        list(frames(Clip(both("mpeg4")), bounds=Bounds(max_pixels=200_000)))
    images = [image for _, image in frames(Clip(both("mpeg4")))]
    assert {image.size for image in images} == {(64, 48)}
    assert numbers(images) == [0, 1, 2, 3, 4] * 2, "none is lost, although the times of the second start anew"
    with open_clip(Clip(both("mpeg2video")), Bounds(max_pixels=10_000)) as reading:  # no decoder starts on the second
        assert numbers(image for _, image in reading.all()) == [0, 1, 2, 3]
        assert reading.damaged > 0


def test_decoding_stops_at_its_deadline(video):
    with pytest.raises(PictureError, match=r"may take 0 s to decode"):
        list(frames(Clip(video), bounds=Bounds(seconds=0)))
    with pytest.raises(PictureError, match=r"may take 0 s to decode"):
        list(frames(Clip(frames_THWC(3)), bounds=Bounds(seconds=0)))


@contextmanager
def taken_memory():
    """Yield the function that tells by how many bytes the memory of this process grew since then, at most."""
    reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not os.access(reset, os.W_OK):
        pytest.skip("needs /proc, which tells the memory of a process")

    def read(name):
        return int(re.search(rf"{name}:\s+(\d+) kB", status.read_text())[1]) * 1024

    reset.write_text("5")  # the peak is now what is taken now
    before = read("VmRSS")
    yield lambda: read("VmHWM") - before


def test_memory_does_not_grow_with_the_length(tmp_path):
    """A video of 8,192 frames, which together take 75 MB."""
    path = write_repeated(tmp_path / "long.mp4", (64, 48), 8192)
    with open_clip(Clip(path)) as reading, taken_memory() as taken:
        assert reading.header.frames == 8192
        assert sum(1 for _ in reading.lazily()) == 8192
        assert taken() < 10e6


def test_clips_are_read_in_several_threads(video):
    found = [None] * 4

    def read(at):
        found[at] = numbers(pick(Clip(video), [0.2, 0.9]))

    threads = [threading.Thread(target=read, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[5, 22]] * 4


@pytest.mark.parametrize("wrong", [{"start": -1.0}, {"start": 3.0, "end": 3.0}, {"rate": 0.0}, {"start": float("nan")}])
def test_a_part_that_cannot_be_is_refused(wrong):
    with pytest.raises(SettingsError, match=r"clip\.(start|end|rate) must be"):
        Clip("a.mp4", **wrong)


def test_without_pyav_the_extra_is_named(monkeypatch, video):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(SettingsError, match=r"a\.mp4: videos are read by PyAV.*pip install 'sightsmith\[video\]'"):
        read_header(Clip(video))
    assert read_header(Clip(frames_THWC(3))).frames == 3, "arrays need no PyAV"


def test_real_clips_are_read_whole(shared_data):
    for path in sorted(shared_data("fight_clips").glob("*/*.mp4"))[::9]:
        header = read_header(Clip(path))
        times, images = zip(*frames(Clip(path), near=64), strict=True)
        assert len(images) == header.frames
        assert times[-1] + 1 / header.rate == pytest.approx(header.seconds, abs=0.05)
        assert min(images[0].size) >= 64
