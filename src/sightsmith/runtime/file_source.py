"""The frames of a video file as a stream; of pictures in order and of arrays too."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from PIL import Image

from sightsmith.core.errors import PictureError
from sightsmith.core.video import Clip, describe, open_clip, pick, read_header
from sightsmith.core.video_decoding import SLACK
from sightsmith.inputs import clip
from sightsmith.inputs.parts.clip_faults import clip_faults, size_of
from sightsmith.runtime.streams import Frame, Source

_FAULTS = ("cut-off", "damaged-frames")  # Those of which answers must not be taken for answers about the whole


def file_source(item: clip.Item) -> Source:
    """Return the frames of a clip. Raises PictureError, SettingsError: as `open_clip`."""
    given = clip.as_clip(item)
    header = read_header(given)
    end = header.seconds if given.end is None else min(given.end, header.seconds)
    path = Path(given.video) if isinstance(given.video, (str, Path)) else None
    return Source(describe(given), lambda: _frames(given), seconds=end - given.start, rate=header.rate, path=path)


def _frames(given: Clip) -> Iterator[Frame]:
    """Yield the frames; their times start at 0.

    Raises PictureError: as `open_clip`, or after the last frame if the file was not whole, or changed meanwhile.
    """
    before, count, name = size_of(given), 0, describe(given)
    with open_clip(given) as reading:
        for time, picture in reading.lazily():
            if count == 0 and time > reading.start + SLACK:
                yield Frame(0.0, partial(_shown_at_start, given))
            count += 1
            yield Frame(time - reading.start, picture)
        if count == 0:  # it lies between two frames
            yield Frame(0.0, partial(_shown_at_start, given))
        after, faults = size_of(given), clip_faults(reading, count)
    if after != before:
        grown = "grew" if after > before else "shrank"
        raise PictureError(
            f"{name}: it {grown} from {before:,} to {after:,} bytes while it was read. Stream it when it is whole."
        )
    for code in _FAULTS:
        if code in faults:
            raise PictureError(f"{name}: {code} ({faults[code]}); the rest is answered. Copy or export it again.")


def _shown_at_start(given: Clip, near: int | None) -> Image.Image:
    """Return the frame that is shown when a part of a video starts: one before it."""
    return pick(given, [given.start], near=near)[0]
