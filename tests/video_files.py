"""Small videos made by PyAV: each frame is of one brightness, which tells its number after any codec.

The encoders are FFmpeg's own and libvpx; H.264 is read from real data. x264 and x265, which are under the GPL, write
only what has no other encoder here: a frame of 8K in H.264, on which FFmpeg would start a decoder at once, frames that
refer to sixteen others, and HEVC.
"""

import io
from fractions import Fraction
from pathlib import Path

import numpy as np

STEP = 8  # Grey levels from one frame to the next


def frames_THWC(count: int, size: tuple[int, int] = (64, 48), first: int = 0) -> np.ndarray:
    """Return frames (T, H, W, 3), `size` as (width, height), of brightness 20 + STEP × number."""
    levels = 20 + STEP * (first + np.arange(count))
    return np.broadcast_to(levels[:, None, None, None], (count, size[1], size[0], 3)).astype(np.uint8)


def numbers(images) -> list[int]:
    """Return the number of each frame, by its brightness."""
    return [round((np.asarray(image, dtype=float).mean() - 20) / STEP) for image in images]


def write_video(
    path: Path,
    frames,
    *,
    codec="mpeg4",
    pixels="yuv420p",
    rate=25,
    times=None,
    rotation=0,
    flip=False,
    options=None,
    container_options=None,
    container=None,
):
    """Write frames (T, H, W, 3) as a video; `times` in seconds, else by the rate; `rotation` clockwise in degrees."""
    import av

    tick = Fraction(1, 1000) if times is not None else Fraction(1, rate)
    with av.open(str(path), "w", format=container, options=container_options or {}) as out:
        video = out.add_stream(codec, rate=rate, options=options or {})
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = pixels
        video.codec_context.time_base = tick
        if rotation or flip:
            video.set_display_rotation(-rotation, hflip=flip)
        for at, frame in enumerate(frames):
            raw = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            raw.pts, raw.time_base = at if times is None else round(times[at] * 1000), tick
            out.mux(video.encode(raw))
        out.mux(video.encode(None))
    return path


def write_repeated(path: Path, size: tuple[int, int], count: int, codec="mpeg4", seconds=6, **options):
    """Write the same encoded grey frame, `size` as (width, height), `count` times in `seconds`: quick to make."""
    import av

    width, height = size
    with av.open(str(path), "w") as out:
        video = out.add_stream(codec, rate=25, options=options)
        video.height, video.width, video.pix_fmt = height, width, "yuv420p"
        grey = np.full((height * 3 // 2, width), 128, np.uint8)
        encoded = [*video.encode(av.VideoFrame.from_ndarray(grey, format="yuv420p")), *video.encode(None)]
        content, base = bytes(encoded[0]), Fraction(1, 90_000)
        for number in range(count):
            packet = av.Packet(content)
            packet.stream, packet.time_base, packet.is_keyframe = video, base, number == 0
            packet.pts = packet.dts = number * seconds * 90_000 // count
            out.mux(packet)
    return path


def write_empty(path: Path):
    """Write a video without a frame."""
    import av

    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.open()
        out.start_encoding()
    return path


def remuxed(data: bytes, form: str) -> bytes:
    """Return the frames of a video, as they are encoded, in a container of FFmpeg's name `form`."""
    import av

    out = io.BytesIO()
    with av.open(io.BytesIO(data)) as source, av.open(out, "w", format=form) as target:
        video = source.streams.video[0]
        copied = target.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.dts is not None:
                packet.stream = copied
                target.mux(packet)
    return out.getvalue()


def claiming(data: bytes, count: int) -> bytes:
    """Return an MP4 whose header names so many frames of a byte each, of the length of the real ones."""
    forged = bytearray(data)
    for kind, at, numbers in ((b"stsz", 8, (1, count)), (b"stts", 12, (count,)), (b"stsc", 16, (count,))):
        begin = forged.rindex(kind) + at
        forged[begin : begin + 4 * len(numbers)] = b"".join(number.to_bytes(4, "big") for number in numbers)
    return bytes(forged)


def write_sound(path: Path):
    """Write a file that has sound alone."""
    import av

    with av.open(str(path), "w") as out:
        sound = out.add_stream("aac", rate=8000, layout="mono")
        raw = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        raw.rate = 8000
        out.mux(sound.encode(raw))
        out.mux(sound.encode(None))
    return path
