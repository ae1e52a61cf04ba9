"""Frames of cameras and addresses, for the command line alone: nothing that answers over HTTP imports this file.

FFmpeg opens an address by the protocols and formats listed here and by no others. A playlist is refused, because it
would name further addresses. A lost connection is opened again, after pauses that double, a bounded number of times.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sightsmith.core.addresses import without_secrets
from sightsmith.core.errors import PictureError, SettingsError
from sightsmith.core.placement import MAX_PIXELS, UNBOUNDED
from sightsmith.core.video_decoding import layout, to_picture
from sightsmith.core.video_files import CODECS, check_frame_size, import_av
from sightsmith.runtime.file_source import file_source
from sightsmith.runtime.streams import Frame, Source

if TYPE_CHECKING:
    from av.container import InputContainer

log = logging.getLogger("sightsmith.runtime")

SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "tcp", "udp")
_BELOW = ("rtp", "srtp", "tls", "httpproxy", "crypto")  # Protocols that those of SCHEMES are made of
_FILES = ("http", "https")  # Protocols whose paths name files; a camera's path by RTSP may well end in .sdp
_FORMATS = ("rtsp", "rtp", "mpegts", "mpjpeg", "mjpeg", "flv", "live_flv", "matroska", "mov")
_PLAYLISTS = (".m3u8", ".m3u", ".mpd", ".pls", ".asx", ".sdp", ".smil", ".xspf")
_MOST_PIXELS = str(2 * MAX_PIXELS)  # In FFmpeg, since a codec rounds sides up to its blocks; then each frame is checked
_CUT = 1.0  # Seconds by which a whole video may end sooner than it says; two frames if they take longer
_JUMP = 10.0  # Seconds without a frame of a live source, after which those before say nothing about it
_CAMERAS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}  # FFmpeg's format by system


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for a source, and how often to try again."""

    answer: float = 10.0  # seconds without data after which a connection counts as lost
    first: float = 1.0  # seconds before the first new try
    most: float = 30.0  # seconds between tries, at most
    tries: int = 10  # in a row, before it is given up


def find_source(inputs: Sequence[str], camera: int | None = None) -> Source:
    """Return the one source that a command names: a camera by its number, an address or a file.

    Raises:
        SettingsError: it names none or several.
        PictureError: a file that is no video, or cannot be read.
    """
    if len(inputs) + (camera is not None) != 1:
        named = f"{len(inputs)} and a camera" if camera is not None else f"{len(inputs)}"
        raise SettingsError(f"stream: name one source, a file, an address or --camera 0; got {named}.")
    if camera is not None:
        return camera_source(camera)
    if "://" in inputs[0]:
        return address_source(inputs[0])
    return file_source(Path(inputs[0]))


def camera_source(number: int) -> Source:
    """Return a camera of this machine. Raises PictureError: there is no such camera, at once or when it is opened."""
    return _live(f"camera {number}", *_camera(number), {}, Patience())


def address_source(address: str, patience: Patience = Patience()) -> Source:
    """Return the source at an address. Raises SettingsError: of a protocol that is not opened, or a playlist."""
    name = without_secrets(address)
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise SettingsError(f"{name}: no address ({error}). Write it as rtsp://HOST/PATH.") from error
    if parts.scheme not in SCHEMES:
        raise SettingsError(f"{name}: a stream comes from {', '.join(SCHEMES)} or a file, not from {parts.scheme}.")
    if parts.scheme in _FILES and parts.path.lower().endswith(_PLAYLISTS):
        raise SettingsError(f"{name}: a playlist, which names further addresses. Name that of the stream itself.")
    options = {
        "protocol_whitelist": ",".join((*SCHEMES, *_BELOW)),
        "format_whitelist": ",".join(_FORMATS),
        "rtsp_flags": "prefer_tcp",
        "codec_whitelist": ",".join((*CODECS, "libdav1d")),
        "max_pixels": _MOST_PIXELS,
    }
    return _live(name, address, None, options, patience)


def _camera(number: int) -> tuple[str, str]:
    """Return FFmpeg's name of a camera, and the format that reads it."""
    system = _CAMERAS.get(sys.platform)
    if system is None:
        raise PictureError(f"camera {number}: cameras are not read on {sys.platform}. Give an address instead.")
    if system == "v4l2":
        path = Path(f"/dev/video{number}")
        if not path.exists():
            there = sorted(one.name.removeprefix("video") for one in path.parent.glob("video*"))
            known = f"There are the numbers {', '.join(there)}" if there else "No camera is connected"
            raise PictureError(f"camera {number}: no such camera ({path}). {known}.")
        return str(path), system
    if system == "avfoundation":
        return str(number), system
    from av import enumerate_input_devices

    named = [one.name for one in enumerate_input_devices(system) if "video" in one.media_types]
    if number >= len(named):
        raise PictureError(f"camera {number}: no such camera. There are {len(named)}: {', '.join(named)}.")
    return f"video={named[number]}", system


def _live(name: str, url: str, form: str | None, options: Mapping[str, str], patience: Patience) -> Source:
    def connect() -> "InputContainer":
        return _connect(name, url, form, options, patience)

    return Source(name, lambda: _frames(name, connect, patience))


class _LostError(Exception):
    """A connection that cannot be made, or is over; the text is the reason."""


def _frames(name: str, connect: Callable[[], "InputContainer"], patience: Patience) -> Iterator[Frame]:
    """Yield the frames of one connection after another; the first of each is fresh."""
    begun: float | None = None  # when the first frame came
    last, failed = 0.0, 0
    while True:
        whole = False  # as a file on a server is: it does not go on elsewhere when it ends
        try:
            with closing(connect()) as container:
                whole, end = bool(container.duration), _end_of(container)
                offset = 0.0 if begun is None else max(last, time.monotonic() - begun)
                for frame in _decoded(container, offset, name, live=not whole):
                    begun, last, failed = begun or time.monotonic(), frame.time, 0
                    yield frame
            if whole and last >= end:
                return
            reason = "it ended"
        except _LostError as error:
            reason = f"{error}"
        failed += 1
        if begun is None:
            raise PictureError(
                f"{name}: cannot be opened ({reason}). It must be reachable and send video, no playlist (formats: "
                f"{', '.join(_FORMATS)})."
            )
        if whole:
            raise PictureError(
                f"{name}: lost ({reason}) before its end; {last:.1f} s of it are answered. Download it first."
            )
        if failed > patience.tries:
            raise PictureError(f"{name}: lost ({reason}), and not found again in {patience.tries} tries.")
        pause = min(patience.most, patience.first * 2 ** (failed - 1))
        log.warning("%s: lost (%s). Try %d of %d in %g s.", name, reason, failed, patience.tries, pause)
        time.sleep(pause)


def _connect(name: str, url: str, form: str | None, options: Mapping[str, str], patience: Patience) -> "InputContainer":
    av = import_av(name)
    try:
        container: InputContainer = av.open(
            url, format=form, options=dict(options), timeout=patience.answer, metadata_errors="replace"
        )
    except av.Error as error:
        raise _LostError(_reason(error)) from error
    decoder = container.streams.video[0].codec_context if container.streams.video else None
    problem = "" if decoder is not None else "it sends no video in a known codec"
    if form is None and decoder is not None and decoder.codec.canonical_name not in CODECS:
        problem = f"the codec {decoder.codec.canonical_name} is not read here"
    if decoder is None or problem:
        container.close()
        raise _LostError(problem)
    decoder.options = {"max_pixels": _MOST_PIXELS}
    return container


def _end_of(container: "InputContainer") -> float:
    """Return the seconds after which a whole video may end: less than it says, which may be of its sound alone."""
    stream = container.streams.video[0]
    seconds = 0.0
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    elif len(container.streams) == 1:
        seconds = (container.duration or 0) / 1e6  # in microseconds
    return seconds - max(_CUT, 2 / float(stream.average_rate or 25))


def _decoded(container: "InputContainer", offset: float, name: str, *, live: bool) -> Iterator[Frame]:
    """Yield the frames of a connection, from `offset` seconds on; a packet that cannot be decoded is left out."""
    from av import FFmpegError

    stream = container.streams.video[0]
    clock = _Clock(offset, 1 / float(stream.average_rate or 25))
    packets = container.demux(stream)
    last: float | None = None
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError as error:
            raise _LostError(_reason(error)) from error
        if packet is None:
            return
        try:
            frames = packet.decode()
        except FFmpegError:
            frames = []  # damaged, as after a loss on the way
        for raw in frames:
            size, turn = layout(raw, stream.sample_aspect_ratio)
            check_frame_size(*size, name, UNBOUNDED)
            now = clock.time(raw)
            fresh = last is None or (live and now - last > _JUMP)
            yield Frame(now, partial(to_picture, raw, size, turn), fresh=fresh, live=live)
            last = now


class _Clock:
    """The times of a connection's frames, in seconds, on the clock of the source from `offset` on; never back."""

    def __init__(self, offset: float, gap: float) -> None:
        self.gap, self._offset = gap, offset
        self._first: float | None = None
        self._last = offset - gap

    def time(self, raw: Any) -> float:
        shown = self._last + self.gap
        if raw.pts is not None and raw.time_base is not None:
            stamp = float(raw.pts * raw.time_base)
            self._first = stamp if self._first is None else self._first
            shown = max(self._last, self._offset + stamp - self._first)
        self._last = shown
        return shown


def _reason(error: Exception) -> str:
    from av.error import ExitError

    if isinstance(error, ExitError):
        return "no data for too long"
    return str(getattr(error, "strerror", None) or type(error).__name__)
