"""Writing an annotated video: each frame of a source at its own time and size, with the latest answer drawn over it.

Frames that are too narrow for words are enlarged.

The file is an MP4 in fragments of two seconds, so it can be played while it is written, is whole up to the last
fragment if the process is killed, and its index does not grow in memory. The codec is VP9 by libvpx, whose licence is
BSD; the better known H.264 encoder in PyAV's wheels, x264, is under the GPL.

Shapes: H W height and width of a frame.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.files import told
from sightsmith.core.video_files import import_av
from sightsmith.kinds.parts.shapes import Shape, draw_over

_CODEC = "libvpx-vp9"
_OPTIONS = {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "crf": "32", "b": "0"}
_FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
_TICK = Fraction(1, 90_000)  # Seconds of a unit of time, the usual one of videos
_NARROWEST = 240  # Pixels across: of fewer, letters cannot be read
_FRAGMENT = 2.0  # Seconds from keyframe to keyframe


class VideoWriter:
    """An annotated video that is being written; the first frame gives its size. Close it.

    Raises OutputError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        av = import_av(str(path))
        with told(path):
            self._file = path.open("wb", buffering=0)
        self._container = av.open(self._file, "w", format="mp4", options=_FRAGMENTS)
        self._stream: Any = None
        self._size, self._scale = (0, 0), 1  # of the first frame, and how many times larger it is drawn
        self._failed = False
        self._last = self._keyframe = -1.0
        self._gap = 1 / 25  # seconds from frame to frame, for which the last one is shown

    def add(self, time: float, image: Image.Image, shapes: Sequence[Shape]) -> None:
        """Write a frame, upright, at a time in seconds; one that is not after the frame before is left out."""
        if time <= self._last + _TICK:
            return
        if self._last >= 0:
            self._gap = time - self._last
        self._last = time
        image = image if image.mode == "RGB" else image.convert("RGB")
        if self._stream is None:
            self._size, self._scale = image.size, -(-_NARROWEST // image.width)
            self._stream = self._open_stream((image.width * self._scale, image.height * self._scale))
        if image.size != self._size:
            image = image.resize(self._size)
        self._encode(self._raw(time, np.asarray(draw_over(image, shapes, self._scale))))

    def close(self) -> None:
        """Write the frames that the encoder holds, and the end of the file; nothing more after a failed write."""
        try:
            if self._failed:
                return
            if self._stream is not None:
                self._encode(None)
            with told(self._path):
                self._container.close()
        finally:
            self._file.close()

    def _open_stream(self, size: tuple[int, int]) -> Any:
        stream = self._container.add_stream(_CODEC, options=_OPTIONS)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = _TICK
        return stream

    def _raw(self, time: float, pixels_HW3: NDArray[np.uint8]) -> Any:
        from av import VideoFrame
        from av.video.frame import PictureType

        raw = VideoFrame.from_ndarray(pixels_HW3, format="rgb24")
        raw.pts, raw.time_base = round(time / _TICK), _TICK
        if self._keyframe < 0 or time - self._keyframe >= _FRAGMENT:
            self._keyframe = time
            raw.pict_type = PictureType.I
        return raw

    def _encode(self, raw: Any) -> None:
        packets = self._stream.encode(raw)
        for packet in packets:
            packet.duration = round(self._gap / _TICK)
        self._failed = True  # if it raises: FFmpeg crashes when it goes on after that
        with told(self._path):
            self._container.mux(packets)
        self._failed = False
