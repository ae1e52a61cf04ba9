"""A clip: some of its frames, upright, each fitted to the net's input as uint8.

Training, evaluation and service see the same frames of the same clip: those shown at the moments of
`parts/moments.py`. Training may also draw them at random.

Shapes: T frames, H W C height, width and channels (1 grey, 3 RGB) of the input.
"""

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.errors import SettingsError
from sightsmith.core.images import Header, printable, settled
from sightsmith.core.placement import MAX_PIXELS, UNBOUNDED, Bounds, Box, Placement
from sightsmith.core.ports import Arrays, Port
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.core.records import Span
from sightsmith.core.settings import EXACT, from_mapping
from sightsmith.core.video import Clip, Reading, Video, open_clip, read_header
from sightsmith.core.video_files import sniff_video
from sightsmith.inputs.parts.clip_faults import clip_faults, size_of
from sightsmith.inputs.parts.look import Look, content_of, file_digest
from sightsmith.inputs.parts.moments import Sampling, random_moments, usual_moments
from sightsmith.inputs.parts.pixels import (
    CACHE_SPARE,
    CROP_SPARE,
    choose_pixels,
    describe_pixels,
    is_grey,
    part_to_show,
    reduce_pixels,
    reduced_size,
)
from sightsmith.inputs.parts.stored_clip import SUFFIX, is_stored, pack, unpack
from sightsmith.inputs.parts.survey import Survey, Wanted, spread

Item = Clip | Video | bytearray | memoryview | io.BytesIO
"""A clip, or a video as a clip of all of it; encoded bytes may also be those of `encode`."""
NOUNS = ("clip", "clips")
FILE, EXTRA = "clip.mp4", "video"
SHEET = True  # A face is several frames
FRAMES = VARIED = "frames"  # Name of the one array, (T, H, W, C) uint8

_MOST = 1024  # Frames of an input
_WHOLE = 1e-6  # Of a count that is whole but for rounding
_SHOWN = 4  # Frames of a face, two by two
_KEPT = 4  # Frames that training keeps in memory for each frame of the input, at most; even
_SEEN = 64  # Clips that a survey opens, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a clip becomes the input of a net."""

    __pydantic_config__: ClassVar[Any] = EXACT
    frames: int
    """T, the frames that are shown of each clip, 1…1024."""
    sampling: Sampling = "uniform"
    """uniform: spread over the clip; segments: the same, in training at random in each part; dense: at fixed gaps."""
    spacing: float | None = None
    """With dense: seconds between frames, > 0."""
    picture: Preprocessing
    """How each frame becomes pixels."""

    def __post_init__(self) -> None:
        if not 1 <= self.frames <= _MOST:
            raise SettingsError(f"clip.frames must be in 1…{_MOST}, got {self.frames}")
        if (self.sampling == "dense") != (self.spacing is not None):
            raise SettingsError(
                f"clip.spacing: seconds between frames belong to the sampling 'dense' alone, got {self.spacing!r} with "
                f"{self.sampling!r}"
            )
        if self.spacing is not None and not 0 < self.spacing < float("inf"):
            raise SettingsError(f"clip.spacing must be > 0 s, got {self.spacing!r}")

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "picture": self.picture.to_json()}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read settings of `to_json`; unknown keys are an error."""
        picture = raw.get("picture")
        ready = {"picture": Preprocessing.from_json(picture)} if isinstance(picture, dict) else {}
        return from_mapping(cls, raw, where="clip", strict=True, ready=ready)


def ports(settings: Settings) -> dict[str, Port]:
    return {FRAMES: Port("uint8", (settings.frames, *settings.picture.shape), free=(0,))}


def feeds(item: Item, settings: Settings, bounds: Bounds = UNBOUNDED) -> Arrays:
    """Return the frames, (T, H, W, C) uint8. Raises PictureError: the clip cannot be decoded within the bounds."""
    with open_clip(as_clip(item), bounds) as reading:
        images = reading.at(_moments(reading, settings), settings.picture.near())
        return {FRAMES: np.stack([settings.picture.apply(image) for image in images])}


def drawn(item: Item, settings: Settings, rng: np.random.Generator, share: float) -> Arrays:
    """Return frames at random moments and, with a share below 1, of a random part, for training.

    Args:
        share: least share of the area of a frame that is shown, in (0, 1]; the part is the same in all frames.
    """
    picture, area = settings.picture, rng.uniform(share, 1.0)
    near = picture.near() if share == 1 else picture.near(share=area**0.5, spare=CROP_SPARE)
    with open_clip(as_clip(item)) as reading:
        moments_T = random_moments(reading.seconds, settings.frames, settings.sampling, settings.spacing, rng)
        images = [picture.open(image) for image in reading.at((reading.start + moments_T).tolist(), near)]
    if share == 1:
        parts = [picture.box(*image.size) for image in images]
    else:
        part = part_to_show(images[0], picture, area, rng)
        parts = [_scaled(part, images[0].size, image.size) for image in images]
    return {FRAMES: np.stack([picture.cut(image, part) for image, part in zip(images, parts, strict=True)])}


def reduced(item: Item, settings: Settings) -> Clip:
    """Return the clip as an array of frames at the size that training keeps in memory, evenly spaced in time.

    Of pictures these are all, if they are at most four for each frame of the input. Else, and of a file, whose times
    may be rounded or uneven, they are those at two or four moments for each, so that `uniform` and `segments` see at
    their usual moments the frames of the video; with `dense` at most four in each spacing.
    """
    with open_clip(as_clip(item)) as reading:
        moments_K, picture = _reduced_moments(reading, settings), settings.picture
        images = reading.at(moments_K.tolist(), picture.near(share=1 / CACHE_SPARE))
        size, rate = (reading.header.width, reading.header.height), len(moments_K) / reading.seconds
        return Clip(np.stack([reduce_pixels(image, size, picture) for image in images]), rate=rate)


def reduced_bytes(item: Item, settings: Settings) -> int:
    """Return the size of `reduced` in memory; the first frame is decoded."""
    with open_clip(as_clip(item)) as reading:
        size = reduced_size((reading.header.width, reading.header.height), settings.picture)
        return len(_reduced_moments(reading, settings)) * math.prod(size) * settings.picture.channels


def placement(item: Item, settings: Settings) -> Placement:
    """Return which part of the upright frames the input shows."""
    header = read_header(as_clip(item))
    return Placement((header.width, header.height), settings.picture.box(header.width, header.height))


def digest(item: Item) -> bytes:
    """Return the SHA-256 (32 bytes) of the content of a clip and of its part. Raises OSError: it cannot be read."""
    clip = as_clip(item)
    if isinstance(clip.video, tuple):
        content = b"".join(hashlib.sha256(content_of(picture)).digest() for picture in clip.video)
    elif isinstance(clip.video, (str, Path)):
        content = file_digest(Path(clip.video))
    else:
        content = content_of(clip.video)
    part = "" if clip.start == 0 and clip.end is None else f"{clip.start} {clip.end}"
    return hashlib.sha256(content + part.encode()).digest()


def look(item: Item, near: int, max_pixels: int) -> Look:
    """Decode every frame of a clip once, and return what the check of data wants to know; its face as `face`.

    Raises:
        PictureError: it cannot be decoded, or has more pixels than allowed.
        OSError: the file cannot be read.
    """
    clip = as_clip(item)
    with open_clip(clip, Bounds(max_pixels=max_pixels)) as reading:
        images, count = reading.watch(face_moments(reading), -(-near // 2))
        return Look(
            header=_picture_header(reading, count),
            digest=digest(clip),
            size=size_of(clip),
            face=sheet(images),
            faults=clip_faults(reading, count),
        )


def face(item: Item, near: int | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Return four frames, spread over the clip, in a sheet of two by two: the first two above."""
    with open_clip(as_clip(item), Bounds(max_pixels=max_pixels)) as reading:
        return sheet([*reading.at(face_moments(reading), None if near is None else -(-near // 2))])


def shown(item: Item, settings: Settings, near: int | None = None) -> list[tuple[float, Image.Image]]:
    """Return the upright frames that the input shows, all of the size of the first, with their moments in s."""
    with open_clip(as_clip(item)) as reading:
        moments = _moments(reading, settings)
        images = list(reading.at(moments, near))
    return [(moment, _sized(image, images[0].size)) for moment, image in zip(moments, images, strict=True)]


def span(item: Item) -> Span | None:
    """Return the part of a video file, or of a folder of frames, that a clip is; None for a whole video.

    An open end is looked up in the video. Raises PictureError: that cannot be read.
    """
    clip = as_clip(item)
    frames = isinstance(clip.video, tuple)
    named = clip.video[0] if isinstance(clip.video, tuple) and clip.video else clip.video
    if not isinstance(named, (str, Path)) or (clip.start == 0 and clip.end is None):
        return None
    video = str(Path(named).parent if frames else named)
    return Span(printable(video), clip.start, read_header(clip).seconds if clip.end is None else clip.end)


def face_moments(reading: Reading) -> list[float]:
    """Return the moments of the video whose frames are the clip's face."""
    return [reading.start + moment for moment in usual_moments(reading.seconds, _SHOWN, "uniform", None).tolist()]


def sheet(images: Sequence[Image.Image]) -> Image.Image:
    """Return four pictures as one, all of the size of the first."""
    width, height = images[0].size
    paper = Image.new("RGB" if any(image.mode == "RGB" for image in images) else "L", (2 * width, 2 * height))
    for index, image in enumerate(images):
        paper.paste(_sized(image, (width, height)), (index % 2 * width, index // 2 * height))
    return paper


def encode(item: Item, settings: Settings) -> bytes:
    """Return the frames that the input shows, lossless, in one file: they decode to the same pixels everywhere."""
    if isinstance(item, bytes) and is_stored(item):
        return item
    with open_clip(as_clip(item)) as reading:
        images = list(reading.at(_moments(reading, settings), settings.picture.near()))
        return pack(images, 1 / settings.spacing if settings.spacing else len(images) / reading.seconds)


def suffix(encoded: bytes) -> str:
    """Return the file extension of an encoded clip."""
    found = sniff_video(encoded[:512])
    return found[1] if found else SUFFIX


def describe(settings: Settings) -> str:
    gaps = f", {settings.spacing:g} s apart" if settings.spacing else ""
    return f"{settings.frames} frames ({settings.sampling}{gaps}) of {describe_pixels(settings.picture)}"


def facts(settings: Settings) -> dict[str, Any]:
    sizes = {name: getattr(settings.picture, name) for name in ("height", "width", "channels", "resize")}
    return {"frames": settings.frames, "sampling": settings.sampling, "spacing": settings.spacing, **sizes}


def survey(items: Sequence[Item]) -> Survey:
    sample = [as_clip(items[position]) for position in spread(len(items), _SEEN)]
    headers = [read_header(clip) for clip in sample]
    return Survey(
        count=len(items),
        side=int(np.median([min(header.width, header.height) for header in headers])),
        noun=NOUNS[0],
        moving=True,
        grey=all(is_grey(face(clip, near=64)) for clip in sample),
        in_memory=all(isinstance(clip.video, np.ndarray) for clip in sample),
    )


def choose(wanted: Wanted, items: Sequence[Item]) -> Settings:
    """Return settings for `wanted`, with the mean and std of the initial weights, else of a sample of the clips."""
    faces = [face(items[position], wanted.side) for position in spread(len(items), _SEEN)]
    picture = choose_pixels(wanted, faces)
    return Settings(frames=wanted.frames, sampling=wanted.sampling, spacing=wanted.spacing, picture=picture)


def example(rng: np.random.Generator) -> list[Item]:
    """Return clips of three kinds: an array in grey, a part of pictures in colour, and an encoded one."""
    grey = rng.integers(0, 256, (5, 16, 16), dtype=np.uint8)
    colour: list[NDArray[np.uint8]] = list(rng.integers(0, 256, (9, 24, 20, 3), dtype=np.uint8))
    return [grey, Clip(tuple(colour), start=0.1, end=0.7, rate=10.0), pack(list(map(Image.fromarray, colour)), 8.0)]


def as_clip(item: Item) -> Clip:
    """Return an item as a clip, one that was stored by `encode` as its frames."""
    if isinstance(item, (bytearray, memoryview, io.BytesIO)):
        item = bytes(settled(item))  # type: ignore[arg-type]
    if isinstance(item, bytes) and is_stored(item):
        return unpack(item)
    return item if isinstance(item, Clip) else Clip(item)


def _reduced_moments(reading: Reading, settings: Settings) -> NDArray[np.floating]:
    """Return the moments (K,) of the video whose frames training keeps in memory, K ≥ 1, evenly spaced."""
    seconds, header = reading.seconds, reading.header
    frames = max(1, round(seconds * header.rate))
    most = math.ceil(_KEPT * (seconds / settings.spacing if settings.spacing else settings.frames) - _WHOLE)
    if frames <= most and reading.start == 0 and not header.container:
        return (np.arange(frames) + 0.5) * (seconds / frames)  # pictures at a rate: each, in its middle
    if settings.spacing is None:  # an even number in each part, so that its middle is one of them
        count = settings.frames * (_KEPT // 2 if frames <= _KEPT // 2 * settings.frames else _KEPT)
    else:
        count = max(1, min(frames, most))
    return reading.start + np.arange(count) * (seconds / count)


def _picture_header(reading: Reading, count: int) -> Header:
    """Return the header of a clip in the words of a picture's."""
    header = reading.header
    form = " ".join(filter(None, (header.codec, header.container and f"in {header.container}")))
    return Header(header.width, header.height, header.mode, form, frames=count)


def _moments(reading: Reading, settings: Settings) -> list[float]:
    moments_T = usual_moments(reading.seconds, settings.frames, settings.sampling, settings.spacing)
    return (reading.start + moments_T).tolist()


def _sized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size)


def _scaled(box: Box, size: tuple[int, int], other: tuple[int, int]) -> Box:
    """Return a part of a frame of one size as that part of a frame of another."""
    across, down = other[0] / size[0], other[1] / size[1]
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down
