"""Clips: parts of videos, decoded late, in presentation order and in bounded memory.

A clip is a part of a video file, of pictures in order, or of an array. Times are seconds since the first frame. Those
of a file come from the timestamps of its frames, so that a variable frame rate, edit lists and late starts are right.
Frames are upright (by the rotation tag of the file or the EXIF orientation of the pictures), with square pixels.

Shapes: T frames, H height, W width, C channels.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.counts import many
from sightsmith.core.errors import PictureError, SettingsError, TooManyPixelsError
from sightsmith.core.images import Settled, decode, printable
from sightsmith.core.images import read_header as read_picture_header
from sightsmith.core.placement import UNBOUNDED, Bounds
from sightsmith.core.video_decoding import SLACK, FileFrames, MakePicture, VideoHeader
from sightsmith.core.video_files import Deadline

Video = Path | str | bytes | tuple[Settled, ...] | NDArray[np.generic]
"""A path or the encoded bytes of a video file, pictures in order, or an array (T, H, W) or (T, H, W, 1|3) of uint8."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A part of a video, decoded late.

    Raises SettingsError: start, end or rate is out of range.
    """

    video: Video
    start: float = 0.0  # seconds, ≥ 0
    end: float | None = None  # seconds, > start; None for the end of the video
    rate: float = 25.0  # frames a second of pictures and arrays, which have no times of their own, > 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and self.start >= 0):
            raise SettingsError(f"clip.start must be ≥ 0 s, got {self.start!r}")
        if self.end is not None and not (math.isfinite(self.end) and self.end > self.start):
            raise SettingsError(f"clip.end must be after its start of {self.start:g} s, got {self.end!r}")
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise SettingsError(f"clip.rate must be > 0 frames a second, got {self.rate!r}")


class Reading:
    """An open clip.

    Attributes:
        header: facts of the whole video.
        start: of the clip, in seconds of the video.
        end: of the clip, not after that of the video.
    """

    def __init__(self, frames: "FileFrames | _Stills", clip: Clip, name: str) -> None:
        self._frames, self.header = frames, frames.header
        self._stop = clip.end or math.inf  # of a whole video each frame, even if its end is not where it seems to be
        self.start, self.end = clip.start, min(self._stop, self.header.seconds)
        if self.start >= self.end:
            raise PictureError(
                f"{name}: the clip starts at {self.start:g} s, and the video ends at {self.header.seconds:.2f} s. "
                "Correct its start."
            )

    @property
    def seconds(self) -> float:
        """Duration of the clip, > 0."""
        return self.end - self.start

    @property
    def damaged(self) -> int:
        """Parts met so far that could not be decoded well."""
        return self._frames.damaged

    def all(self, near: int | None = None) -> Iterator[tuple[float, Image.Image]]:
        """Yield the time and the picture of each frame, as `frames`."""
        yield from ((time, picture(near)) for time, picture in self.lazily())

    def lazily(self) -> Iterator[tuple[float, MakePicture]]:
        """Yield the time of each frame, and the function that converts it to a picture."""
        yield from self._frames.lazily(self.start, self._stop)

    def watch(self, moments: Sequence[float], near: int | None = None) -> tuple[list[Image.Image], int]:
        """Decode every frame, and return the pictures shown at moments of the clip, and the number of frames."""
        images: list[Image.Image] = []
        shown: MakePicture | None = None
        count = 0
        for time, picture in self.lazily():
            while shown is not None and len(images) < len(moments) and moments[len(images)] < time - SLACK:
                images.append(shown(near))
            if self._frames.late:
                picture(near)
            shown, count = picture, count + 1
        if shown is None:  # the clip lies between two frames: the first of them is shown
            return list(self.at(moments, near)), 1
        return [*images, *(shown(near) for _ in moments[len(images) :])], count

    def at(self, moments: Sequence[float], near: int | None = None) -> Iterator[Image.Image]:
        """Yield the picture shown at each moment of the video, in ascending order, in one pass.

        It is the last frame that is not after the moment; far moments are sought, so that what lies between is not
        decoded.
        """
        yield from self._frames.at(moments, near)


@contextmanager
def open_clip(clip: Clip, bounds: Bounds = UNBOUNDED) -> Iterator[Reading]:
    """Open a clip for reading.

    Args:
        bounds: on the pixels of a frame, and on the time from now to the end of reading and the memory meanwhile, both
            checked between frames and at reads of the file.

    Raises:
        PictureError: no such file, no video in it, no known container or codec, damaged, outside the video, or over a
            bound; also when frames are read.
        SettingsError: PyAV is not installed.
    """
    name = describe(clip)
    deadline = Deadline(name, bounds)
    if isinstance(clip.video, (Path, str, bytes)):
        with FileFrames(clip.video, name, bounds, deadline) as frames:
            yield Reading(frames, clip, name)
    else:
        yield Reading(_Stills(clip, name, bounds, deadline), clip, name)


def read_header(clip: Clip, bounds: Bounds = UNBOUNDED) -> VideoHeader:
    """Return facts of the clip's video; its first frame is decoded. Raises as `open_clip`."""
    with open_clip(clip, bounds) as reading:
        return reading.header


def frames(clip: Clip, *, near: int | None = None, bounds: Bounds = UNBOUNDED) -> Iterator[tuple[float, Image.Image]]:
    """Yield the time in the video and the picture, RGB or grey, of each frame of a clip. Raises as `open_clip`.

    Args:
        near: side in pixels that is large enough for the result; frames are then reduced by a whole factor, their
            shorter side not below this.
    """
    with open_clip(clip, bounds) as reading:
        yield from reading.all(near)


def pick(
    clip: Clip, moments: Sequence[float], *, near: int | None = None, bounds: Bounds = UNBOUNDED
) -> list[Image.Image]:
    """Return the picture shown at each moment of the video, in ascending order. Raises as `open_clip`."""
    with open_clip(clip, bounds) as reading:
        return list(reading.at(moments, near))


def describe(clip: Clip) -> str:
    """Return the name of a clip for messages."""
    video: object = clip.video
    if isinstance(video, (Path, str)):
        return printable(str(video))
    if isinstance(video, bytes):
        return f"video of {many(len(video), 'byte')}"
    if isinstance(video, np.ndarray):
        return f"array of shape {video.shape} and type {video.dtype}"
    if isinstance(video, tuple):
        first = printable(str(video[0])) if video and isinstance(video[0], (Path, str)) else ""
        return f"{first} and its {many(len(video), 'frame')}" if first else many(len(video), "frame")
    return f"value of type {type(video).__name__}"


class _Stills:
    """Pictures in order, or an array, as the frames of a video."""

    damaged = 0
    late = True  # a picture is decoded only when it is converted

    def __init__(self, clip: Clip, name: str, bounds: Bounds, deadline: Deadline) -> None:
        self._pictures: Sequence[Settled] | NDArray[np.generic] = _checked(clip.video, name)
        self._name, self._rate, self._bounds, self._deadline = name, clip.rate, bounds, deadline
        with self._naming():
            first = read_picture_header(self._pictures[0])
        if isinstance(clip.video, np.ndarray) and first.width * first.height > bounds.max_pixels:
            raise TooManyPixelsError(
                f"{name}: over the bound of {bounds.max_pixels:,} pixels a frame. Make it smaller."
            )
        count = len(self._pictures)
        self.header = VideoHeader(
            first.width,
            first.height,
            seconds=count / self._rate,
            rate=self._rate,
            frames=count,
            codec=first.format,
            mode=first.mode,
        )

    def lazily(self, start: float, end: float) -> Iterator[tuple[float, MakePicture]]:
        for index in range(len(self._pictures)):
            time = index / self._rate
            if start - SLACK <= time < end - SLACK:
                yield time, partial(self._decoded, index)

    def at(self, moments: Sequence[float], near: int | None) -> Iterator[Image.Image]:
        last = len(self._pictures) - 1
        indices = (min(last, int((moment + SLACK) * self._rate)) for moment in moments)
        for index, same in groupby(indices):
            image = self._decoded(index, near)
            yield from (image for _ in same)

    def _decoded(self, index: int, near: int | None) -> Image.Image:
        self._deadline.check()
        picture, bounds = self._pictures[index], self._bounds
        with self._naming():
            return decode(picture, near=near, max_pixels=bounds.max_pixels, seconds=self._deadline.left)

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Put the name of the clip before errors that name one of its pictures."""
        try:
            yield
        except PictureError as error:
            raise type(error)(f"{self._name}: {error}") from error


def _checked(video: object, name: str) -> Sequence[Settled] | NDArray[np.generic]:
    """Return pictures or an array. Raises PictureError: it is neither, or has no frame."""
    if isinstance(video, np.ndarray):
        if video.dtype != np.uint8 or not (video.ndim == 3 or (video.ndim == 4 and video.shape[3] in (1, 3))):
            raise PictureError(
                f"{name}: a clip is (time, height, width) or (time, height, width, 1|3) of uint8 (0…255). For floats "
                "in 0…1 pass (255 * array).astype('uint8')."
            )
        if video.ndim == 3 and video.shape[2] == 3:
            raise PictureError(
                f"{name}: has the shape of one picture, (height, width, 3), and a clip is (time, height, width, 3). "
                "Of one frame it is array[None]."
            )
        if 0 in video.shape:
            raise PictureError(f"{name}: a clip without a frame or a pixel. Leave it out.")
        return video
    if not isinstance(video, tuple):
        raise PictureError(
            f"{name}: a clip is a path or the bytes of a video file, a tuple of pictures in order, or an array of "
            "(time, height, width, channels)."
        )
    if not video:
        raise PictureError(f"{name}: a clip without a frame. Leave it out.")
    return video
