"""The processes that decode clips, for all models of a service.

FFmpeg in a thread cannot be stopped, and a fault in it would end the service. So it runs in processes of their own,
each for one clip at a time; one that is over the time limit is killed, and replaced, while the others go on. They get
the bytes of a video, never a path, and answer with pixels or a message: nothing that they send is executed.

A small file may hold frames that need gigabytes: the largest ones allowed, many of them kept for others to refer to.
So the memory that a clip takes is bounded too, and given back after it.
"""

import json
import logging
import math
import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np

from sightsmith.core.errors import PictureError, SettingsError, TooManyPixelsError
from sightsmith.core.placement import Bounds
from sightsmith.core.ports import Arrays
from sightsmith.core.video import Clip, describe
from sightsmith.core.video_files import too_slow
from sightsmith.inputs import Reader
from sightsmith.serving.failures import busy
from sightsmith.serving.threads import Threads

log = logging.getLogger("sightsmith.serving")

_START = 60.0  # Seconds that a process may take to start
_GRACE = 1.0  # Seconds after the time limit until a process is killed: most decoders stop by themselves
SPARE = _START + 3 * _GRACE
"""Seconds in which a call ends after the time limit, whatever a process does."""

_BYTES_A_PIXEL = 64  # of the largest frame: 10 bits in 4:2:0 with 16 frames to refer to take about 55
_SPARE_BYTES = 512 * 2**20  # on top of that, such as for the frames of the answer
_LINE = 65_536  # Bytes of an answer's first line, at most
_PROGRAM = [sys.executable, "-P", "-m", "sightsmith.serving.clip_process"]  # -P: nothing is imported from here
_ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": f"{2**20}"}  # glibc gives a frame's memory back as soon as it is free
_Answer = tuple[dict[str, Any], Arrays]
_ERRORS: dict[str, type[Exception]] = {
    error.__name__: error for error in (PictureError, TooManyPixelsError, SettingsError, MemoryError)
}


def clip_bounds(max_pixels: int, seconds: float) -> Bounds:
    """Return the bounds of decoding a clip; those of memory allow every usual video of such frames."""
    return Bounds(max_pixels, seconds, _BYTES_A_PIXEL * max_pixels + _SPARE_BYTES)


class ClipDecoders(Threads):
    """A fixed number of processes, and as many threads to wait for them in: `feeds` and `end` are called there."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self._processes = [_Process() for _ in range(count)]
        self._free: SimpleQueue[_Process] = SimpleQueue()
        self._started = False

    def start(self) -> None:
        """Start the processes, unless they are, and wait for one. Raises SettingsError: PyAV is not installed."""
        if self._started:
            return
        self._started = True
        for process in self._processes:
            process.start()
        self._processes[0].wait_until_ready()
        for process in self._processes:
            self._free.put(process)

    def feeds(self, clip: Clip, reader: Reader, bounds: Bounds) -> Arrays:
        """Return the inputs that a clip, which has the bytes of a video, becomes.

        Raises:
            PictureError: it cannot be decoded within the bounds, or ended the process that decoded it.
            MemoryError: there is not enough for it.
            RefusalError: 503, no process can be started.
        """
        _, arrays = self._ask(clip, reader, bounds)
        return arrays

    def end(self, clip: Clip, bounds: Bounds) -> float:
        """Return where a clip ends, in seconds of its video. Raises as `feeds`."""
        facts, _ = self._ask(clip, None, bounds)
        return float(facts["end"])

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes; calls under way fail."""
        for process in self._processes:
            process.close()
        super().shutdown(wait, cancel_futures=cancel_futures)

    def _ask(self, clip: Clip, reader: Reader | None, bounds: Bounds) -> _Answer:
        process = self._free.get()
        try:
            return process.ask(clip, reader, bounds)
        finally:
            self._free.put(process)


class _Process:
    """One process, started again after it was lost; used by one thread at a time."""

    def __init__(self) -> None:
        self._running: subprocess.Popen[bytes] | None = None
        self._lock = Lock()  # between `start` and `close`
        self._closed = self._ready = False

    def start(self) -> None:
        """Start it, unless it runs. Raises OSError: the system has no process or memory left."""
        with self._lock:
            if self._running is not None or self._closed:
                return
            self._socket, theirs = socket.socketpair()
            with theirs:
                # A session of its own: Ctrl+C in a terminal is for the service, which ends it after the last answer.
                self._running = subprocess.Popen(
                    _PROGRAM,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    env=os.environ | _ENVIRONMENT,
                    start_new_session=True,
                )
            self._answers = self._socket.makefile("rb")
            self._ready = False

    def wait_until_ready(self) -> None:
        """Wait until it has started. Raises SettingsError: PyAV is not installed."""
        if not self._ready:
            self._socket.settimeout(_START)
            _refuse(self._line())
            self._ready = True

    def ask(self, clip: Clip, reader: Reader | None, bounds: Bounds) -> _Answer:
        """Return facts of a clip, and the inputs that it becomes, if any are wanted. Raises as `feeds` above."""
        if self._running is not None and self._running.poll() is not None:  # killed by the system meanwhile
            self._replace()
        try:
            self._started()
        except (OSError, EOFError) as error:
            log.error("a process that decodes clips does not start (exit code %s): %s", self._replace(), error)
            raise busy("the process that decodes clips does not start. Send it again later.") from None
        try:
            self._socket.settimeout(bounds.seconds + _GRACE)
            return self._answer(clip, reader, bounds)
        except TimeoutError:
            self._replace()
            raise too_slow(describe(clip), bounds.seconds) from None
        except (OSError, EOFError, ValueError) as error:
            log.warning("a process that decoded a clip was lost (exit code %s): %s", self._replace(), error)
            raise PictureError(
                f"{describe(clip)}: it ended the process that decoded it. Export it again or delete it."
            ) from None

    def _started(self) -> None:
        """Return when it is ready; one that was ended while it started is started once more."""
        self.start()
        try:
            self.wait_until_ready()
        except (EOFError, ConnectionError):
            self._replace()
            self.start()
            self.wait_until_ready()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._running is not None:
                self._running.kill()
                self._running.wait()
                self._answers.close()  # A thread that still reads has met its end by now
                self._socket.close()

    def _answer(self, clip: Clip, reader: Reader | None, bounds: Bounds) -> _Answer:
        if not isinstance(clip.video, bytes):
            raise TypeError("a process decodes the bytes of a video")
        asked = {
            "size": len(clip.video),
            "start": clip.start,
            "end": clip.end,
            "input": reader and {"name": reader.name, "settings": json.dumps(reader.settings.to_json())},
            "bounds": asdict(bounds),
        }
        self._socket.sendall(json.dumps(asked).encode() + b"\n")
        self._socket.sendall(clip.video)
        facts = self._line()
        _refuse(facts)
        ports = reader.ports() if reader else {}
        return facts, {name: self._array(port.dtype, port.shape) for name, port in ports.items()}

    def _line(self) -> dict[str, Any]:
        line = self._answers.readline(_LINE)
        if not line.endswith(b"\n"):
            raise EOFError("its answer ended early")
        facts: dict[str, Any] = json.loads(line)
        return facts

    def _array(self, dtype: str, shape: tuple[int, ...]) -> "np.ndarray[Any, Any]":
        size = math.prod(shape) * np.dtype(dtype).itemsize
        content = self._answers.read(size)
        if len(content) < size:
            raise EOFError("its answer ended early")
        return np.frombuffer(content, dtype).reshape(shape)

    def _replace(self) -> int | None:
        """Kill it, start another one, and return the exit code."""
        lost = self._running
        if lost is None:
            return None
        lost.kill()
        code = lost.wait()
        self._answers.close()
        self._socket.close()
        with self._lock:
            self._running = None
        with suppress(OSError):  # no memory for it now: the next call tries again
            self.start()
        return code


def _refuse(facts: dict[str, Any]) -> None:
    """Raise the error that an answer names, if it names one."""
    if "error" in facts:
        raise _ERRORS.get(facts["error"], PictureError)(facts["message"])
