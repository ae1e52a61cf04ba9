"""The answers along a video, written as they come: a line each, and drawn over the frames."""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from sightsmith.core.counts import many
from sightsmith.core.errors import PictureError, SettingsError
from sightsmith.core.files import refuse_existing, told
from sightsmith.core.progress import track
from sightsmith.kinds import options_of
from sightsmith.kinds.parts.timeline import Ranges
from sightsmith.runtime.prediction_writer import FORMS, Writer, form_of
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.read_ahead import ReadAhead
from sightsmith.runtime.runner import Value
from sightsmith.runtime.settings import PredictSettings
from sightsmith.runtime.streams import Answering, Arrival, Source, Step, answered, arrivals, require_clips, spacing_of
from sightsmith.runtime.timeline import Timeline
from sightsmith.runtime.video_writer import VideoWriter

log = logging.getLogger("sightsmith.runtime")

_AHEAD = 8  # Frames that wait for the model, at most


@dataclass(frozen=True, slots=True)
class Ended:
    """How a stream ended."""

    answers: int
    seconds: float  # of the source that were read
    live: bool = False  # whether the source has no end of its own
    stopped: bool = False  # before its end, by `stop`
    problem: str = ""  # why it could not be read to its end
    ranges: Ranges | None = None  # the answers over time, if there are any and a page is wanted


@contextmanager
def open_stream(
    predictor: Predictor, source: Source, settings: PredictSettings, stop: threading.Event | None = None
) -> Iterator[tuple[Iterator[tuple[Arrival, Step | None]], int | None]]:
    """Yield the arrivals of a source with the answer due by each, and how many there will be, if that is known.

    A thread reads the next frames.

    Raises:
        SettingsError: the model takes no clips, or `every` is out of range.
        PictureError: the source cannot be opened or read; when arrivals are read.
    """
    reading = require_clips(predictor)
    images = settings.draw is not None
    spacing = spacing_of(reading, predictor.bundle.witnesses())
    answering = Answering(predictor, spacing, settings.every)
    items = arrivals(source, reading, spacing, images=images)
    ahead = ReadAhead(items, _AHEAD, drops=lambda arrival: arrival.live, stop=stop)
    rate = 1 / spacing + (source.rate if images else 0)
    total = None if source.seconds is None else round(source.seconds * rate)
    with closing(ahead):
        yield answered(ahead, answering), total
    if ahead.dropped:
        lost = many(ahead.dropped, "frame") + (" to see or to draw" if images else "")
        log.warning("%s: %s dropped: the model is slower than the source.", source.name, lost)


def predict_stream(
    predictor: Predictor, source: Source, settings: PredictSettings, stop: threading.Event | None = None
) -> Ended:
    """Answer along a source and write the answers as the settings say, until it ends or `stop` is set.

    The files grow under their own names, and what is in them is complete at any time; they are made when the source has
    been opened.

    Raises:
        SettingsError: the model takes no clips, or a setting does not fit a stream.
        OutputExistsError, OutputError: a file is there already, or cannot be written.
        PictureError: nothing of the source can be read.
    """
    form = _checked_form(settings, source)
    stop = stop or threading.Event()
    answers, problem = 0, ""
    last: Arrival | None = None
    outputs: _Outputs | None = None
    timeline = None if settings.html is None else Timeline(predictor.definition.kind)
    with open_stream(predictor, source, settings, stop) as (arriving, total), ExitStack() as files:
        try:
            for arrival, step in track(arriving, "Streaming", total, quiet=settings.out is None):
                outputs = outputs or _Outputs(settings, form, predictor.definition.kind, files)
                outputs.write(arrival, step)
                if timeline is not None:
                    timeline.add(arrival, step)
                answers, last = answers + (step is not None), arrival
        except PictureError as error:
            if last is None:
                raise
            problem = f"{error}"
    seconds, live = (0.0, False) if last is None else (last.time, last.live)
    ranges = None if timeline is None else timeline.ranges(source.seconds if not (problem or stop.is_set()) else None)
    return Ended(answers, seconds, live=live, stopped=stop.is_set(), problem=problem, ranges=ranges)


class _Outputs:
    """The files of a stream, which `files` closes."""

    def __init__(self, settings: PredictSettings, form: str, kind: str, files: ExitStack) -> None:
        self._options = options_of(kind, settings.options)
        self._answer: Value | None = None
        self._begun = 0.0
        for path in filter(None, (settings.out, settings.draw, settings.html)):
            with told(path):
                path.parent.mkdir(parents=True, exist_ok=True)
        self._lines, self._out = sys.stdout, settings.out
        if settings.out is not None:
            self._lines = files.enter_context(_open_lines(settings.out))
        self._writer = Writer(self._lines, form, kind, settings.options, about="time")
        self._video = None if settings.draw is None else files.enter_context(closing(VideoWriter(settings.draw)))

    def write(self, arrival: Arrival, step: Step | None) -> None:
        if arrival.begun != self._begun:
            self._answer, self._begun = None, arrival.begun
        if step is not None:
            self._answer = step.answer
            with nullcontext() if self._out is None else told(self._out):
                self._writer.write(round(step.time, 3), step.answer)
                self._lines.flush()
        if self._video is not None and arrival.image is not None:
            shapes = [] if self._answer is None else self._answer.shapes(**self._options)
            self._video.add(arrival.time, arrival.image, shapes)


@contextmanager
def _open_lines(path: Path) -> Iterator[TextIO]:
    """Open a text file. Raises OutputError: it cannot be opened or, as on a full disk, closed."""
    with told(path):
        stream = path.open("w", encoding="utf-8", newline="")
    try:
        yield stream
    finally:
        with told(path):
            stream.close()


def _checked_form(settings: PredictSettings, source: Source) -> str:
    """Return the form of the lines. Raises SettingsError, OutputExistsError: as `predict_stream`."""
    form = settings.form or form_of(settings.out)
    if form not in FORMS:
        raise SettingsError(f"as: a stream is answered in lines ({' or '.join(FORMS)}), got {form!r}. Leave --as out.")
    if settings.draw is not None and settings.draw.suffix.lower() != ".mp4":
        raise SettingsError(f"draw: a stream is drawn as a video, got {settings.draw}. Name it .mp4.")
    for path in (settings.out, settings.draw, settings.html):
        if path is not None:
            refuse_existing(path, overwrite=settings.overwrite)
            if source.path is not None and path.exists() and path.samefile(source.path):
                raise SettingsError(
                    f"{path}: this is the video that is read, so it is never written. Name another file."
                )
    return form
