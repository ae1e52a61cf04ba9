"""Opening a video file: only known containers and codecs reach FFmpeg, and no file opens another one.

FFmpeg guesses the format by default, and some formats are lists of other files or addresses (HLS, DASH, concat, SDP).
Here the first bytes name the container, only its demuxer runs, and every request for another file is refused.

FFmpeg comes with PyAV (`av`, the extra `video`), which is imported when the first file is opened.
"""

import io
import math
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self

from sightsmith.core.counts import many
from sightsmith.core.errors import PictureError, SettingsError, TooManyPixelsError
from sightsmith.core.images import printable, sniff
from sightsmith.core.machine import used_memory
from sightsmith.core.placement import Bounds

if TYPE_CHECKING:
    from av import Packet as Packet
    from av import VideoFrame as VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

Source = Path | str | bytes

EXTENSIONS = frozenset({".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts"})
"""File extensions of videos, in lower case; the container is detected from the content."""
CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg2video", "mjpeg", "prores", "ffv1", "rawvideo")
"""Codecs that are decoded, by FFmpeg's names."""
CONTAINERS = {"mov": "MP4", "matroska": "Matroska", "avi": "AVI", "mpegts": "MPEG-TS"}
"""Containers that are read: FFmpeg's name, and one for people. MP4 covers QuickTime, and Matroska WebM."""

_SIGNATURES = {
    "mov": rb".{4}(ftyp|moov|mdat|wide|free|skip|pnot)",
    "matroska": rb"\x1a\x45\xdf\xa3",
    "avi": rb"RIFF.{4}AVI ",
    "mpegts": rb"(.{4})?\x47.{187}(.{4})?\x47",
}
"""First bytes of each container; packets of MPEG-TS have 188 bytes, and 4 more before each in files of cameras."""
_SUFFIXES = {"mov": ".mp4", "matroska": ".mkv", "avi": ".avi", "mpegts": ".ts"}
_PLAYLIST = re.compile(
    rb"(\xef\xbb\xbf)?\s*(#EXTM3U|ffconcat|v=0\s|\[playlist\]|\[Reference\]|RTSPtext|(<\?xml.*?>\s*)?(<!--.*?-->\s*)?"
    rb"<(MPD|SmoothStreamingMedia|asx|smil)\b)",
    re.DOTALL | re.IGNORECASE,
)
_COMPRESSED = b"dcomzlib"  # In a header of QuickTime: by which method it is compressed
_HEAD = 512  # Bytes that tell the container
_BUFFER = 1 << 18  # Bytes read at once
_LOOK_EVERY = 0.01  # Seconds from one look at the memory to the next, which takes 0.03 ms
_DECODERS = ",".join((*CODECS, "libdav1d"))
_LEAST_PIXELS, _MOST_PIXELS = 1 << 16, 2**31 - 1
"""Bounds on the pixels of a frame for FFmpeg: its MPEG-4 decoder checks 192 × 280 pixels whatever the frame's size."""


def sniff_video(start: bytes) -> tuple[str, str] | None:
    """Return FFmpeg's name of the container and the file extension for the first 512 bytes, None if unknown."""
    for container, pattern in _SIGNATURES.items():
        if re.match(pattern, start, re.DOTALL):
            return container, _SUFFIXES[container]
    return None


def is_playlist(start: bytes) -> bool:
    """Tell by its first bytes whether a file is a list of other files or addresses."""
    return bool(_PLAYLIST.match(start))


def too_slow(name: str, seconds: float) -> PictureError:
    return PictureError(
        f"{name}: a clip may take {seconds:g} s to decode, this one took longer. Make it shorter or its frames smaller."
    )


class Deadline:
    """The moment at which the decoding of one clip must be over; that is earlier if it takes too much memory."""

    def __init__(self, name: str, bounds: Bounds) -> None:
        self._name, self._bounds, self._until = name, bounds, time.monotonic() + bounds.seconds
        self._most_memory, self._next_look = used_memory() + bounds.memory, 0.0

    def check(self) -> None:
        """Raise PictureError: the time is over, or the memory used up."""
        now = time.monotonic()
        if now > self._until:
            raise too_slow(self._name, self._bounds.seconds)
        if self._most_memory < math.inf and now >= self._next_look:
            self._next_look = now + _LOOK_EVERY
            # Not by a limit of the system: decoders that get no memory leave frames out, and some do not tell.
            if used_memory() > self._most_memory:
                raise PictureError(
                    f"{self._name}: decoding it takes more memory than it may have. Make its frames smaller, or "
                    "convert it."
                )

    @property
    def left(self) -> float:
        """Seconds that are left, ≥ 0."""
        return max(0.0, self._until - time.monotonic())


class OpenVideo:
    """An open container and its first video stream, as a context manager.

    Raises:
        PictureError: no such file, no video in it, no known container or codec, damaged, or over a bound.
        SettingsError: PyAV is not installed.

    Attributes:
        demuxer: FFmpeg's name of the container.
        stream: its first stream of moving pictures.
        damaged: packets and frames met so far that could not be decoded well.
    """

    def __init__(self, source: Source, name: str, bounds: Bounds, deadline: Deadline) -> None:
        self._name, self._av, self._deadline = name, import_av(name), deadline
        self.damaged = 0
        self._file = _Guarded(_opened(source, name), name, deadline)
        try:
            self.demuxer = _demuxer(self._file.read(_HEAD), name)
            self._file.seek(0)
            self.container = self._open(bounds)
            try:
                self.stream = self._choose(bounds)
            except BaseException:
                self.container.close()
                raise
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.container.close()
        self._file.close()

    @property
    def declared(self) -> float:
        """Seconds of the video as the file says; 0 if it does not, or only together with sound."""
        if self.stream.duration is not None and self.stream.time_base is not None:
            return float(self.stream.duration * self.stream.time_base)
        duration = self.container.duration if len(self.container.streams) == 1 else None
        return (duration or 0) / 1e6  # in microseconds

    def seek(self, seconds: float) -> bool:
        """Go to a keyframe not after a time on the clock of the file, or near it; tell whether the file allows it."""
        try:
            self.container.seek(round(seconds / float(self.stream.time_base or 1)), stream=self.stream)
        except self._av.Error:
            return False
        return True

    def packets(self) -> Iterator["Packet[Any]"]:
        """Yield the packets of the video from here to the end, which is also where it is too damaged to go on."""
        packets = self.container.demux(self.stream)
        while True:
            self._deadline.check()
            try:
                packet = next(packets)
            except StopIteration:
                return
            except self._av.Error:
                self.damaged += 1
                return
            yield packet

    def decode(self, packet: "Packet[Any]") -> "list[VideoFrame]":
        """Return the frames that a packet completes; none if it is damaged."""
        try:
            frames: list[VideoFrame] = packet.decode()
        except self._av.Error:
            self.damaged += 1
            return []
        self.damaged += sum(frame.is_corrupt for frame in frames)
        return frames

    def _open(self, bounds: Bounds) -> "InputContainer":
        # While FFmpeg looks for the streams it decodes frames, before their size is known here: in MPEG-TS, whose
        # streams may appear late, where the bound does not reach them, none; the parsers find what is needed.
        decoders = "none" if self.demuxer == "mpegts" else _DECODERS
        try:
            opened: InputContainer = self._av.open(
                self._file,
                "r",
                format=self.demuxer,
                options={"enable_drefs": "0", "codec_whitelist": decoders, "max_pixels": _bound_of(bounds)},
                io_open=self._refuse,
                buffer_size=_BUFFER,
                metadata_errors="replace",
            )
            return opened
        except self._av.Error as error:
            raise PictureError(
                f"{self._name}: truncated or damaged ({many(self._file.size(), 'byte')}: "
                f"{getattr(error, 'strerror', None) or error}). Export it again or delete it."
            ) from error

    def _refuse(self, url: str, *_: Any) -> None:
        raise PictureError(
            f"{self._name}: it refers to another file ({printable(url)}), which is never opened. Export it as one file."
        )

    def _choose(self, bounds: Bounds) -> "VideoStream":
        """Return the first stream of moving pictures; covers of songs are none. Nothing is decoded yet."""
        videos = self.container.streams.video
        stream = next((one for one in videos if self._av.cover not in one.disposition), None)
        if stream is None:
            kinds = sorted({one.type for one in self.container.streams})
            found = f"{' and '.join(kinds)} alone" if kinds else "nothing at all"
            raise PictureError(f"{self._name}: no video in it ({found}). Delete it.")
        codec = stream.codec_context.codec.canonical_name if stream.codec_context is not None else None
        if codec not in CODECS:
            named = f"the codec {codec} is not read here" if codec else "its codec is unknown, or it is damaged"
            raise PictureError(f"{self._name}: {named} ({', '.join(CODECS)} are read). Convert it, such as to H.264.")
        check_frame_size(stream.width, stream.height, self._name, bounds)
        # By the standard, H.264 that does not say how far its frames are out of order may use all of its memory for
        # that; by default FFmpeg guesses less, and loses or swaps the first frames.
        order = {"strict": "1"} if codec == "h264" else {}
        stream.codec_context.options = {"max_pixels": _bound_of(bounds), **order}  # also of frames that change it
        stream.codec_context.thread_count = 1  # many clips are decoded at once, and errors stay in order
        return stream


def _bound_of(bounds: Bounds) -> str:
    """Return FFmpeg's bound on the pixels of a frame: twice ours, since a codec rounds sides up to its blocks."""
    return str(min(max(2 * bounds.max_pixels, _LEAST_PIXELS), _MOST_PIXELS))


def check_frame_size(width: int, height: int, name: str, bounds: Bounds) -> None:
    """Raise TooManyPixelsError if a frame is over the bound, PictureError if it has no size."""
    if width < 1 or height < 1:
        raise PictureError(  # FFmpeg forgets a size that is far over its bound
            f"{name}: its frames are far over the bound of {bounds.max_pixels:,} pixels a frame, or it is damaged. "
            "Make them smaller, or export it again."
        )
    if width * height > bounds.max_pixels:
        raise TooManyPixelsError(
            f"{name}: {width}×{height} is over the bound of {bounds.max_pixels:,} pixels a frame. Make it smaller."
        )


class _Guarded:
    """An open file whose reads fail after a deadline, which stops a demuxer inside a file, and at a compressed header.

    FFmpeg expands a compressed header of QuickTime in memory, to as much as its few bytes say: up to 4 GiB.
    """

    def __init__(self, file: BinaryIO, name: str, deadline: Deadline) -> None:
        self._file, self._name, self._deadline = file, name, deadline
        self._before = b""  # the end of the last read

    def read(self, size: int) -> bytes:
        self._deadline.check()
        data = self._file.read(size)
        if _COMPRESSED in data or _COMPRESSED in self._before + data[: len(_COMPRESSED)]:
            raise PictureError(f"{self._name}: its header is compressed, which is not read here. Export it again.")
        self._before = data[-len(_COMPRESSED) :]
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self._before = b""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()

    def size(self) -> int:
        return self._file.seek(0, io.SEEK_END)


def _opened(source: Source, name: str) -> BinaryIO:
    """Open a path or bytes for reading, never by FFmpeg itself, whose paths may be protocols."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    path = Path(source)
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise PictureError(f"{name}: a pipe or a device, not a file. Give a video file.")
        return path.open("rb", buffering=0)
    except FileNotFoundError as error:
        advice = "Addresses are not read: give a file." if "://" in str(source) else "Correct the path."
        raise PictureError(f"{name}: no such file. {advice}") from error
    except IsADirectoryError as error:
        raise PictureError(f"{name}: a folder, not a video. Give one file, or its pictures as frames.") from error
    except PermissionError as error:
        raise PictureError(f"{name}: this user may not read it. Change its permissions.") from error
    except (OSError, ValueError) as error:
        raise PictureError(f"{name}: cannot be read ({error}). Give a file that this user may read.") from error


def _demuxer(start: bytes, name: str) -> str:
    if not start:
        raise PictureError(f"{name}: an empty file (zero bytes). Copy it again or delete it.")
    if found := sniff_video(start):
        return found[0]
    if is_playlist(start):
        raise PictureError(
            f"{name}: a playlist, which names other files or addresses. Only a video file itself is read: give that."
        )
    if sniff(start):
        raise PictureError(f"{name}: a picture, not a video. Use it as a picture, or give several as frames.")
    raise PictureError(
        f"{name}: not a video in a known container ({', '.join(CONTAINERS.values())}). Convert it, such as to MP4 with "
        "H.264, or delete it."
    )


class _PyAV(NamedTuple):
    """What is used of PyAV."""

    open: Any  # the function
    Error: type[Exception]  # of FFmpeg
    cover: Any  # the mark of a stream that is the cover of a song
    Frame: Any  # the class of a frame


def import_av(name: str) -> _PyAV:
    """Import PyAV. Raises SettingsError, about `name`: it is not installed."""
    try:
        from av import FFmpegError
        from av import VideoFrame as Frame
        from av import open as open_container
        from av.stream import Disposition
    except ImportError as error:
        raise SettingsError(
            f"{name}: videos are read by PyAV, which is not installed: pip install 'sightsmith[video]'."
        ) from error
    return _PyAV(open_container, FFmpegError, Disposition.attached_pic, Frame)
