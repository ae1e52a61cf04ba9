"""Answers along a video: while frames arrive, a model for clips answers again and again, in bounded memory.

The model sees the frames shown at moments of a fixed spacing, that of its training, from the first frame on: at the
middles of parts of that length, as `inputs/parts/moments.py` has them. A model with the program `stream` reads each of
these frames once and carries its state on, so its answer is about everything since the start. Every other model answers
about a window: the last T frames, which span as much time as the clips of its training.

Shapes: T frames of a window, H W C height, width and channels of a frame.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.bundle.witnesses import Witnesses
from sightsmith.core.errors import PictureError, SettingsError
from sightsmith.core.ports import Arrays
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.core.video_decoding import MakePicture
from sightsmith.inputs import clip
from sightsmith.runtime.programs import PROGRAMS
from sightsmith.runtime.runner import Runner, Value

_SLACK = 1e-6  # Seconds by which a frame may come after the moment at which it is shown: rounding
_STILL = 1.0  # Seconds for which the last frame is shown, at most: a truncated file says that it lasts longer
_CARRIED = "stream"  # The program whose state is carried


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A decoded frame."""

    time: float  # seconds since the first frame of the source
    picture: MakePicture  # converts it, which few frames need
    fresh: bool = False  # whether the source began anew with it, so that the frames before say nothing about it
    live: bool = False  # whether the next frame comes whether or not somebody is ready for it


@dataclass(frozen=True, slots=True)
class Source:
    """Frames to answer about."""

    name: str  # for messages
    frames: Callable[[], Iterator[Frame]]  # opens it; raises PictureError
    seconds: float | None = None  # its duration, None if nobody knows
    rate: float = 0.0  # frames a second on average, 0 if nobody knows
    path: Path | None = None  # of its file


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A moment at which the model sees a frame, or a frame to draw."""

    time: float
    begun: float  # when the source began last: what came before says nothing about this
    pixels_HWC: NDArray[np.uint8] | None = None  # that the model sees
    image: Image.Image | None = None  # to draw, upright
    live: bool = False  # as of `Frame`


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """An answer at a moment."""

    time: float  # seconds since the first frame of the source
    answer: Value


class Sampler:
    """Chooses the frames shown at the middles of parts of a fixed length, from the first frame on.

    The frame shown at a moment is the last one that is not after it.
    """

    def __init__(self, spacing: float) -> None:
        self._spacing = spacing
        self._held: Frame | None = None
        self._start, self._count = 0.0, 0

    def add(self, frame: Frame) -> Iterator[tuple[float, Frame]]:
        """Yield the moments that are decided by the next frame, each with the frame shown then: the one before it."""
        if self._held is None or frame.fresh:
            self._start, self._count = frame.time, 0
        else:
            yield from self._until(frame.time)
        self._held = frame

    def end(self, seconds: float) -> Iterator[tuple[float, Frame]]:
        """Yield the moments that are left while the last frame is shown; one at least since the source began."""
        if self._held is not None:
            yield from self._until(min(seconds, self._held.time + _STILL))
            if self._count == 0:
                yield self._held.time, self._held

    def _until(self, time: float) -> Iterator[tuple[float, Frame]]:
        while self._held is not None:
            moment = self._start + (self._count + 0.5) * self._spacing
            if moment >= time - _SLACK:
                return
            self._count += 1
            yield moment, self._held


def arrivals(source: Source, settings: clip.Settings, spacing: float, *, images: bool) -> Iterator[Arrival]:
    """Yield the moments at which the model sees a frame, in order, and between them all frames if they are drawn.

    Raises PictureError: the source cannot be opened, or, after the last moment, it cannot be read to its end.
    """
    sampler, sees, begun, live = Sampler(spacing), _Converter(settings.picture), 0.0, False
    problem: PictureError | None = None
    try:
        for frame in source.frames():
            for moment, shown in sampler.add(frame):
                yield Arrival(moment, begun, sees(shown), live=live)
            begun, live = frame.time if frame.fresh else begun, frame.live
            if images:
                yield Arrival(frame.time, begun, image=frame.picture(None), live=live)
    except PictureError as error:
        problem = error
    for moment, shown in sampler.end(source.seconds or 0.0):
        yield Arrival(moment, begun, sees(shown), live=live)
    if problem is not None:
        raise problem


class _Converter:
    """Converts frames to the pixels (H, W, C) that the model sees, one that is shown at several moments once."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self._preprocessing = preprocessing
        self._frame: Frame | None = None
        self._pixels_HWC = np.empty((0, 0, 0), np.uint8)

    def __call__(self, frame: Frame) -> NDArray[np.uint8]:
        if frame is not self._frame:
            self._frame = frame
            self._pixels_HWC = self._preprocessing.apply(frame.picture(self._preprocessing.near()))
        return self._pixels_HWC


class Answering:
    """A model that is shown the frames of a stream one after another, and answers from time to time.

    Args:
        spacing: seconds between the frames that it is shown, as of `spacing_of`.
        every: least seconds between answers, > 0; None for each frame of a model that carries its state, and for half
            of a window of others.
    """

    def __init__(self, runner: Runner, spacing: float, every: float | None = None) -> None:
        frames = runner.definition.input_settings.frames
        carried = _CARRIED in runner.definition.programs
        self._runner = runner
        self._memory: _State | _Window = _State(runner) if carried else _Window(runner, frames)
        self._every = every or (spacing if carried else spacing * frames / 2)
        self.restart()

    def restart(self) -> None:
        """Forget the frames so far."""
        self._memory.clear()
        self._answered: float | None = None
        self._seen: float | None = None

    def see(self, moment: float, pixels_HWC: NDArray[np.uint8]) -> Step | None:
        """Take one more frame, and return an answer if one is due."""
        self._memory.add(pixels_HWC)
        self._seen = moment
        soon = self._answered is not None and moment < self._answered + self._every - _SLACK
        return None if soon or not self._memory.ready else self._step(moment)

    def end(self) -> Step | None:
        """Return the answer about the last frames, if they came after the last answer; a window may not be full."""
        return None if self._seen is None or self._seen == self._answered else self._step(self._seen)

    def _step(self, moment: float) -> Step:
        self._answered = moment
        return Step(moment, self._runner.decode(self._memory.outputs())[0])


def answered(arriving: Iterable[Arrival], answering: Answering) -> Iterator[tuple[Arrival, Step | None]]:
    """Yield each arrival with the answer that is due by it; one more may follow at the end.

    Raises PictureError: as `arrivals`, after that.
    """
    last: Arrival | None = None
    problem: PictureError | None = None
    try:
        for arrival in arriving:
            if last is not None and arrival.begun != last.begun:
                answering.restart()
            last = arrival
            yield arrival, None if arrival.pixels_HWC is None else answering.see(arrival.time, arrival.pixels_HWC)
    except PictureError as error:
        problem = error
    if last is not None and (step := answering.end()):
        yield Arrival(step.time, last.begun, live=last.live), step
    if problem is not None:
        raise problem


class _State:
    """The state that a net carries from frame to frame, and its answer after the last one."""

    ready = True

    def __init__(self, runner: Runner) -> None:
        self._sessions, self._outputs = runner.sessions, runner.outputs[:1]
        self._program = PROGRAMS.module(_CARRIED)
        self.clear()

    def clear(self) -> None:
        self._state: Arrays | None = None
        self._arrays: Arrays = {}

    def add(self, pixels_HWC: NDArray[np.uint8]) -> None:
        feeds = {self._program.frame_input(self._sessions): pixels_HWC[None]}
        self._arrays, self._state = self._program.step(self._sessions, feeds, self._outputs, self._state)

    def outputs(self) -> Arrays:
        return self._arrays


class _Window:
    """The last T frames."""

    def __init__(self, runner: Runner, frames: int) -> None:
        self._runner, self._frames = runner, frames
        self._ring_T: deque[NDArray[np.uint8]] = deque(maxlen=frames)

    @property
    def ready(self) -> bool:
        return len(self._ring_T) == self._frames

    def clear(self) -> None:
        self._ring_T.clear()

    def add(self, pixels_HWC: NDArray[np.uint8]) -> None:
        self._ring_T.append(pixels_HWC)

    def outputs(self) -> Arrays:
        missing = self._frames - len(self._ring_T)
        frames_THWC = np.stack([*self._ring_T, *[self._ring_T[-1]] * missing])
        return self._runner.run({clip.FRAMES: frames_THWC[None]}, self._runner.outputs[:1])


def require_clips(runner: Runner) -> clip.Settings:
    """Return the settings of the model's input. Raises SettingsError: it takes something else than clips."""
    settings = runner.definition.input_settings
    if not isinstance(settings, clip.Settings):
        raise SettingsError(
            f"stream: this model answers about a single {runner.definition.input}, not about a video. Leave --stream "
            "out, or use a model that was trained on clips."
        )
    return settings


def spacing_of(settings: clip.Settings, witnesses: Witnesses) -> float:
    """Return the seconds between the frames of a stream that a model sees.

    With dense sampling those of its training. Other models saw T frames of clips of any length: there it is the median
    of its witnesses, which are clips of the validation data.
    """
    if settings.spacing is not None:
        return settings.spacing
    return float(np.median([1 / clip.as_clip(item).rate for item in witnesses.items]))
