"""The answers along a video, written as they come: a line each, and drawn over the frames."""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TextIO

from sightsmith.core.counts import many
from sightsmith.core.errors import PictureError, SettingsError
from sightsmith.core.files import refuse_existing, told
from sightsmith.core.progress import track
from sightsmith.kinds import options_of
from sightsmith.runtime.prediction_writer import FORMS, Writer, form_of
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.read_ahead import ReadAhead
from sightsmith.runtime.runner import Value
from sightsmith.runtime.settings import PredictSettings
from sightsmith.runtime.streams import Answering, Arrival, Source, Step, answered, arrivals, require_clips, spacing_of
from sightsmith.runtime.video_writer import VideoWriter

log = logging.getLogger("sightsmith.runtime")

_AHEAD = 8  # Frames that wait for the model, at most


@dataclass(frozen=True, slots=True)
class Ended:
    """How a stream ended."""

    answers: int
    seconds: float  # of the source that were read
    stopped: bool = False  # before its end, by `stop`
    problem: str = ""  # why it could not be read to its end


@contextmanager
def open_stream(
    predictor: Predictor, source: Source, settings: PredictSettings, stop: threading.Event | None = None
) -> Iterator[tuple[Iterator[tuple[Arrival, list[Step]]], int | None]]:
    """Yield the arrivals of a source with the answers due by each, and how many there will be, if that is known.

    A thread reads the next frames.

    Raises:
        SettingsError: the model takes no clips, or `every` is out of range.
        PictureError: the source cannot be opened or read; when arrivals are read.
    """
    reading = require_clips(predictor)
    images = settings.draw is not None
    spacing = spacing_of(reading, predictor.bundle.witnesses())
    answering = Answering(predictor, spacing, settings.every)
    ahead = ReadAhead(arrivals(source, reading, spacing, images=images), _AHEAD, drop=source.live, stop=stop)
    rate = source.rate if images else 1 / spacing
    total = None if source.seconds is None else round(source.seconds * rate)
    with closing(ahead):
        yield answered(ahead, answering), total
    if ahead.dropped:
        log.warning("%s: %s dropped: the model is slower than the source.", source.name, many(ahead.dropped, "frame"))


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
    form = _checked_form(settings)
    stop = stop or threading.Event()
    answers, seconds, problem = 0, 0.0, ""
    outputs: _Outputs | None = None
    with open_stream(predictor, source, settings, stop) as (arriving, total), ExitStack() as files:
        try:
            for arrival, steps in track(arriving, "Streaming", total, quiet=settings.out is None):
                outputs = outputs or _Outputs(settings, form, predictor.definition.kind, files)
                outputs.write(arrival, steps)
                answers, seconds = answers + len(steps), arrival.time
        except PictureError as error:
            if outputs is None:
                raise
            problem = f"{error}"
    return Ended(answers, seconds, stopped=stop.is_set(), problem=problem)


class _Outputs:
    """The files of a stream, which `files` closes."""

    def __init__(self, settings: PredictSettings, form: str, kind: str, files: ExitStack) -> None:
        self._options = options_of(kind, settings.options)
        self._answer: Value | None = None
        self._lines: TextIO = sys.stdout
        for path in filter(None, (settings.out, settings.draw)):
            with told(path):
                path.parent.mkdir(parents=True, exist_ok=True)
        if settings.out is not None:
            with told(settings.out):
                self._lines = files.enter_context(settings.out.open("w", encoding="utf-8", newline=""))
        self._writer = Writer(self._lines, form, kind, settings.options, about="time")
        self._video = None if settings.draw is None else files.enter_context(closing(VideoWriter(settings.draw)))

    def write(self, arrival: Arrival, steps: list[Step]) -> None:
        if arrival.fresh:
            self._answer = None
        for step in steps:
            self._answer = step.answer
            self._writer.write(round(step.time, 3), step.answer)
        if steps:
            self._lines.flush()
        if self._video is not None and arrival.image is not None:
            shapes = [] if self._answer is None else self._answer.shapes(**self._options)
            self._video.add(arrival.time, arrival.image, shapes)


def _checked_form(settings: PredictSettings) -> str:
    """Return the form of the lines. Raises SettingsError, OutputExistsError: as `predict_stream`."""
    form = settings.form or form_of(settings.out)
    if form not in FORMS:
        raise SettingsError(f"as: a stream is answered in lines ({' or '.join(FORMS)}), got {form!r}. Leave --as out.")
    if settings.draw is not None and settings.draw.suffix.lower() != ".mp4":
        raise SettingsError(f"draw: a stream is drawn as a video, got {settings.draw}. Name it .mp4.")
    for path in (settings.out, settings.draw):
        if path is not None:
            refuse_existing(path, overwrite=settings.overwrite)
    return form
