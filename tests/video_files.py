"""Small videos made by PyAV: each frame is of one brightness, which tells its number after any codec."""

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
    codec="libx264",
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


def write_repeated(path: Path, frame_HWC, count: int):
    """Write the same encoded frame `count` times in 6 seconds: quick to make, slow to decode."""
    import av

    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"tune": "stillimage"})
        video.height, video.width = frame_HWC.shape[:2]
        video.pix_fmt = "yuv420p"
        encoded = [*video.encode(av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")), *video.encode(None)]
        content, base = bytes(encoded[0]), Fraction(1, 90_000)
        for number in range(count):
            packet = av.Packet(content)
            packet.stream, packet.time_base, packet.is_keyframe = video, base, True
            packet.pts = packet.dts = number * 540_000 // count
            out.mux(packet)
    return path


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
