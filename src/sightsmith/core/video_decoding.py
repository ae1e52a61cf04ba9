"""Decoding a video file: its frames upright and in presentation order, or those shown at given moments.

Times are seconds since the first frame that can be decoded. They never go back: a frame whose timestamp is missing or
not after the one before follows it by the usual gap.

Source: FFmpeg, `libavutil/display.h`: a rotation tag is a matrix (a b · c d · …) that moves the stored point (x, y),
with y downwards, to (ax + cy, bx + dy).
"""

import math
import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from PIL import Image

from sightsmith.core.errors import PictureError
from sightsmith.core.images import decode
from sightsmith.core.placement import Bounds
from sightsmith.core.video_files import CONTAINERS, Deadline, OpenVideo, Source, check_frame_size

if TYPE_CHECKING:
    from sightsmith.core.video_files import Packet, VideoFrame

MakePicture = Callable[[int | None], Image.Image]
"""Converts a decoded frame to an upright picture; the argument is `near` of `frames` in video.py."""
SLACK = 1e-6  # Seconds by which a frame may come after the moment at which it is shown: rounding

_SEEK_FROM = 10.0  # Seconds to the next moment from which a seek is tried: usual distance of keyframes, at most
_SEEK_BACK = (0.0, 2.0, 10.0)  # Seconds before a moment that are sought, until the first frame there is not after it
_FAR = 1e6  # A time after the end of any video, in seconds
_HEAD = 32  # Packets at the start whose times are looked at
_UNEVEN = 1.2  # Gaps between frames vary if the largest is so many times the usual one,
_ROUNDING = 0.002  # and so many seconds longer: containers round times to milliseconds
_WIDEST = 4  # Pixels of a larger width : height are a fault of the header
_TURNS = {  # Signs of a, b, c, d
    (1, 0, 0, 1): (0, None),
    (0, 1, -1, 0): (90, Image.Transpose.ROTATE_270),
    (-1, 0, 0, -1): (180, Image.Transpose.ROTATE_180),
    (0, -1, 1, 0): (270, Image.Transpose.ROTATE_90),
    (-1, 0, 0, 1): (0, Image.Transpose.FLIP_LEFT_RIGHT),
    (1, 0, 0, -1): (180, Image.Transpose.FLIP_TOP_BOTTOM),
    (0, 1, 1, 0): (90, Image.Transpose.TRANSPOSE),
    (0, -1, -1, 0): (270, Image.Transpose.TRANSVERSE),
}
"""Degrees clockwise, and Pillow's name, of each way to turn a frame; the last four mirror it too."""


@dataclass(frozen=True, slots=True)
class VideoHeader:
    """Facts of a video that are known once its first frame is decoded."""

    width: int  # of a frame in square pixels, upright
    height: int  # of a frame in square pixels, upright
    seconds: float  # from the first frame to the end of the last, > 0
    rate: float  # frames a second on average, as far as known, > 0
    declared: float = 0.0  # seconds as the file says, 0 if it does not
    frames: int = 0  # as the file says, 0 if it does not; some may be damaged
    container: str = ""  # such as MP4; empty for pictures and arrays
    codec: str = ""  # by FFmpeg's name, of pictures by Pillow's; empty for arrays
    mode: str = ""  # format of the stored pixels, such as yuv420p; of pictures by Pillow's name
    rotation: int = 0  # degrees clockwise by which frames were turned upright: 0, 90, 180 or 270
    ignored_rotation: str = ""  # a tag that is no right angle, which is ignored, in words; empty for none
    variable: bool = False  # whether the gaps between frames differ, at the start or the end


@dataclass(frozen=True, slots=True)
class _Frame:
    """A decoded frame, not yet converted."""

    time: float
    raw: "VideoFrame"


class _Timed(NamedTuple):
    """Facts of a packet, in seconds on the clock of the file."""

    time: float  # when it is shown
    decoded: float  # when it is decoded, not after any later packet is shown
    length: float | None  # None if unknown
    is_key: bool


@dataclass(slots=True)
class _Tail:
    """Facts of the last packets: in a file without an index those of all, so each takes 8 bytes."""

    times: "array[float]" = field(default_factory=lambda: array("d"))  # when each is shown, in seconds
    end: float = -math.inf  # of the last that is shown, in seconds
    has_key: bool = False  # whether a keyframe is among them


class FileFrames:
    """The frames of a video file, as a context manager; raises as `OpenVideo`, and PictureError without any frame.

    Attributes:
        header: facts of the video.
    """

    late = False  # frames are decoded one after the other

    def __init__(self, source: Source, name: str, bounds: Bounds, deadline: Deadline) -> None:
        self._source, self._name, self._bounds, self._deadline = source, name, bounds, deadline
        self._video = OpenVideo(source, name, bounds, deadline)
        self._origin: float | None = None
        self._jumps = True
        try:
            self.header, self._size, self._turn = self._look()
        except BaseException:
            self._video.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._video.close()

    @property
    def damaged(self) -> int:
        """Packets and frames that could not be decoded well, since reading last began at the start."""
        return self._video.damaged

    def lazily(self, start: float, end: float) -> Iterator[tuple[float, MakePicture]]:
        """Yield the time of each frame in start ≤ time < end, and the function that converts it to a picture.

        Converting takes longer than decoding.
        """
        held, following = self._jump(start) if start >= _SEEK_FROM else self._from_start()
        for frame in chain([held], following):
            if frame.time >= end - SLACK:
                return
            if frame.time >= start - SLACK:
                yield frame.time, partial(self._image, frame)

    def at(self, moments: Sequence[float], near: int | None) -> Iterator[Image.Image]:
        """Yield the picture shown at each moment, in order: the last frame that is not after it, or the first."""
        held, following = self._from_start()
        ahead = next(following, None)
        image: Image.Image | None = None
        for moment in moments:
            if ahead is not None and self._jumps and moment - ahead.time > _SEEK_FROM:
                before, image = held.time, None
                held, following = self._jump(moment)
                ahead = next(following, None)
                self._jumps = held.time > before  # keyframes that are farther apart would be decoded again and again
            while ahead is not None and ahead.time <= moment + SLACK:
                held, ahead, image = ahead, next(following, None), None
            if image is None:
                image = self._image(held, near)
            yield image

    def _look(self) -> tuple[VideoHeader, tuple[int, int], Image.Transpose | None]:
        """Return the header, the size of a frame before it is turned, and how it is turned."""
        first, head = self._head()
        self._origin = first.time
        width, height = self._square_size(first.raw)
        check_frame_size(width, height, self._name, self._bounds)
        degrees, turn, ignored = _turn_of(first.raw)
        stream = self._video.stream  # read before `_tail`, which may open the file again: then this one is freed
        rate = self._rate
        upright = (height, width) if degrees in (90, 270) else (width, height)
        header = VideoHeader(
            *upright,
            seconds=1 / rate,
            rate=rate,
            declared=self._video.declared,
            frames=stream.frames,
            container=CONTAINERS[self._video.demuxer],
            codec=stream.codec_context.codec.canonical_name,
            mode=first.raw.format.name,
            rotation=degrees,
            ignored_rotation=ignored,
            variable=_is_uneven(head),
        )
        begin = first.time if self._has_presentation_times or not head else head[0]
        return self._with_end(header, begin), (width, height), turn

    def _with_end(self, header: VideoHeader, begin: float) -> VideoHeader:
        """Return the header with what the last packets tell."""
        tail = self._tail()
        uneven = header.variable or _is_uneven(tail.times)
        return replace(header, seconds=max(tail.end - begin, header.seconds), variable=uneven)

    def _square_size(self, raw: "VideoFrame") -> tuple[int, int]:
        """Return the size of a frame in square pixels, of the same height, once one is decoded."""
        stream = self._video.stream  # the decoder alone may know the shape of a pixel
        return _square(raw.width, raw.height, stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio)

    @property
    def _rate(self) -> float:
        """Frames a second on average, as far as known."""
        stream = self._video.stream
        return float(stream.average_rate or stream.guessed_rate or 25)

    def _head(self) -> tuple[_Frame, list[float]]:
        """Return the first frame, and the times of the first packets before which no other frame can come."""
        first: _Frame | None = None
        seen: list[_Timed] = []
        for packet in self._video.packets():
            if first is None:
                first = next(self._frames_of(packet, None), None)
            seen += self._times_of(packet)
            if first is not None and len(seen) >= _HEAD:
                break
        if first is None:
            raise PictureError(f"{self._name}: none of its frames can be decoded. Export it again or delete it.")
        if not seen:
            raise PictureError(f"{self._name}: its frames have no times. Export it again, such as to MP4.")
        return first, [each.time for each in seen if each.time <= seen[-1].decoded]

    def _tail(self) -> _Tail:
        """Return facts of the packets from a keyframe near the end, without decoding them; of all if there is none."""
        wanted = _FAR
        for back in _SEEK_BACK:
            if not self._video.seek(wanted - back):
                break
            found = self._rest()
            if found.has_key:
                return found
            wanted = min(found.times, default=wanted)
        self._rewind()
        return self._rest()

    def _rest(self) -> _Tail:
        """Return facts of the packets from here to the end."""
        rest, gap = _Tail(), 1 / self._rate
        for packet in self._video.packets():
            for each in self._times_of(packet):
                rest.times.append(each.time)
                rest.end = max(rest.end, each.time + (each.length or gap))
                rest.has_key |= each.is_key
        return rest

    @property
    def _has_presentation_times(self) -> bool:
        """Whether packets say when they are shown; AVI only counts them in the order of decoding."""
        return self._video.demuxer != "avi"

    def _stamp(self, one: "Packet[Any] | VideoFrame") -> float | None:
        ticks = one.pts if self._has_presentation_times else one.dts
        return None if ticks is None or one.time_base is None else float(ticks * one.time_base)

    def _times_of(self, packet: "Packet[Any]") -> Iterator[_Timed]:
        """Yield the facts of a packet, unless it has no time or lies outside the edit list of the file."""
        time, base = self._stamp(packet), packet.time_base
        if time is not None and base is not None and not packet.is_discard:
            decoded = time if packet.dts is None else float(packet.dts * base)
            length = float(packet.duration * base) if packet.duration else None
            yield _Timed(time, decoded, length, packet.is_keyframe)

    def _frames_of(self, packet: "Packet[Any]", last: float | None) -> Iterator[_Frame]:
        """Decode a packet, after a frame at the time `last`."""
        gap = 1 / self._rate
        for raw in self._video.decode(packet):
            check_frame_size(raw.width, raw.height, self._name, self._bounds)
            time = last + gap if last is not None else 0.0
            stamp = self._stamp(raw)
            if stamp is not None and (last is None or stamp - (self._origin or 0.0) > last):
                time = stamp - (self._origin or 0.0)
            last = time
            yield _Frame(time, raw)

    def _decoded(self) -> Iterator[_Frame]:
        """Yield the frames from here to the end."""
        last: float | None = None
        for packet in self._video.packets():
            for frame in self._frames_of(packet, last):
                last = frame.time
                yield frame

    def _rewind(self) -> None:
        """Open the file again: some containers do not seek back to their first frame."""
        self._video.close()
        self._video = OpenVideo(self._source, self._name, self._bounds, self._deadline)

    def _from_start(self) -> tuple[_Frame, Iterator[_Frame]]:
        self._rewind()
        return self._split(self._decoded())

    def _jump(self, moment: float) -> tuple[_Frame, Iterator[_Frame]]:
        """Return a frame that is not after a moment, near it, and the iterator of those that follow."""
        for back in _SEEK_BACK:
            if not self._video.seek((self._origin or 0.0) + moment - back):
                break
            frames = self._decoded()
            first = next(frames, None)
            if first is not None and first.time <= moment + SLACK:
                return first, frames
        return self._from_start()

    def _split(self, frames: Iterator[_Frame]) -> tuple[_Frame, Iterator[_Frame]]:
        first = next(frames, None)
        if first is None:
            raise PictureError(f"{self._name}: changed while it was read. Try again.")
        return first, frames

    def _image(self, frame: _Frame, near: int | None) -> Image.Image:
        return to_picture(frame.raw, self._size, self._turn, near)


def to_picture(
    raw: "VideoFrame", size: tuple[int, int], turn: Image.Transpose | None, near: int | None = None
) -> Image.Image:
    """Return a decoded frame as an upright picture, RGB or grey.

    Args:
        size: (width, height) in square pixels, before it is turned.
        turn: how it is turned.
        near: as of `frames` in video.py.
    """
    width, height = size
    shrink = max(1, min(width, height) // near) if near else 1
    made = raw.reformat(
        width=-(-width // shrink),
        height=-(-height // shrink),
        format=_pixel_format(raw),
        interpolation="AREA" if shrink > 1 else "BICUBIC",
        threads=1,
    )
    image = Image.fromarray(np.ascontiguousarray(made.to_ndarray()))
    return decode(image if turn is None else image.transpose(turn))


def layout(raw: "VideoFrame", aspect: Fraction | None) -> tuple[tuple[int, int], Image.Transpose | None]:
    """Return the size of a frame in square pixels, before it is turned, and how it is turned upright.

    Args:
        aspect: width : height of a stored pixel, None if unknown.
    """
    return _square(raw.width, raw.height, aspect), _turn_of(raw)[1]


def _pixel_format(raw: "VideoFrame") -> str:
    """Return FFmpeg's name of the 8-bit format that keeps a frame's colours and transparency."""
    components = raw.format.components
    if any(one.is_alpha for one in components):
        return "rgba"
    return "gray" if len(components) == 1 and not raw.format.has_palette else "rgb24"


def _turn_of(raw: "VideoFrame") -> tuple[int, Image.Transpose | None, str]:
    """Return degrees clockwise and the way to turn a frame upright, and in words a tag that is ignored."""
    stored: Any = raw.side_data.get("DISPLAYMATRIX")
    if stored is None:
        return 0, None, ""
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(stored))
    signs = (_sign(a), _sign(b), _sign(c), _sign(d))
    if signs in _TURNS:
        return *_TURNS[signs], ""
    is_rotation = (a, b) == (d, -c) and (a, b) != (0, 0)
    return 0, None, f"{round(math.degrees(math.atan2(b, a))) % 360}°" if is_rotation else "no rotation"


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _is_uneven(times: Sequence[float]) -> bool:
    gaps = np.diff(np.unique(times))
    return bool(len(gaps) > 1 and gaps.max() > _UNEVEN * np.median(gaps) + _ROUNDING)


def _square(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Return the size in square pixels, of the same height; `aspect` is width : height of a stored pixel."""
    if aspect is None or not 1 / _WIDEST <= aspect <= _WIDEST:
        return width, height
    return max(1, round(width * aspect)), height
