"""Clips of a model's data as videos that every browser plays: MP4 with VP9, whose encoder has a BSD licence."""

import io
from fractions import Fraction

import numpy as np

from sightsmith.core.video import Clip, open_clip
from sightsmith.core.video_files import import_av

_CODEC, _OPTIONS = "libvpx-vp9", {"lossless": "1", "deadline": "realtime", "cpu-used": "8"}
_TICK = Fraction(1, 90_000)  # Seconds


def video_of(clip: Clip) -> bytes:
    """Return a clip as a video; but for the colours of neighbouring pixels it has the same frames at the same times."""
    written, av = io.BytesIO(), import_av("service")
    with open_clip(clip) as reading, av.open(written, "w", format="mp4") as container:
        rate = Fraction(reading.header.rate).limit_denominator(1000)
        stream = container.add_stream(_CODEC, rate=rate, options=_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = reading.header.width, reading.header.height, "yuv420p"
        stream.codec_context.time_base = _TICK
        for time, image in reading.all():
            frame = av.Frame.from_ndarray(np.asarray(image.convert("RGB")), format="rgb24")
            frame.pts, frame.time_base, frame.duration = round(time / _TICK), _TICK, round(1 / rate / _TICK)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return written.getvalue()
