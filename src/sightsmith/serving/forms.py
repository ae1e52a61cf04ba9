"""How a request carries the item that a model is asked with: its content types, its fields, and words for messages."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from sightsmith.core.video import Clip
from sightsmith.inputs import items_of

Item = bytes | Clip
"""What a request carries: an encoded picture, or a part of an encoded video."""

LEAST_SECONDS = 0.01
"""Of a part of a video that is cut."""


class _Part(BaseModel):
    """Which part of a video is asked about."""

    start: float = Field(default=0.0, ge=0, description="Of a video: start of the part to answer, in seconds.")
    end: float | None = Field(
        default=None,
        gt=0,
        description="Of a video: end of that part, in seconds after `start`; its own end by default.",
    )


class _Cut(BaseModel):
    """Into which parts a video is cut, to answer each."""

    part: float | None = Field(
        default=None,
        ge=LEAST_SECONDS,
        allow_inf_nan=False,
        description="Of a video: answer parts of so many seconds, spread evenly from `start` to `end`; a line of JSON "
        "each, with its own `start` and `end`.",
    )
    every: float | None = Field(
        default=None,
        ge=LEAST_SECONDS,
        allow_inf_nan=False,
        description="With part: seconds from the start of a part to that of the next, at most; `part` by default.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How an item is sent."""

    noun: str  # one item, for messages
    field: str  # of JSON that holds the file in base64
    types: tuple[str, ...]  # content types of a raw body that the documentation names; any of their family will do
    formats: str  # for people
    sample: str  # name of a file, for example commands
    part: type[BaseModel] | None = None  # fields of a request that choose a part of the item
    cut: type[BaseModel] | None = None  # fields of a request that cut the item into parts

    @property
    def family(self) -> str:
        """The start of its content types, such as `image/`."""
        return self.types[0].partition("/")[0] + "/"

    @property
    def part_fields(self) -> dict[str, Any]:
        """The fields of `part` and `cut`, for a pydantic model."""
        models = [model for model in (self.part, self.cut) if model is not None]
        return {name: (field.annotation, field) for model in models for name, field in model.model_fields.items()}

    def item(self, content: bytes, asked: BaseModel) -> Item:
        """Return what the model is asked with.

        Args:
            asked: has the fields of `part`.

        Raises SettingsError: they contradict each other.
        """
        return content if self.part is None else Clip(content, **asked.model_dump(include=set(self.part.model_fields)))


PICTURE = Form(
    noun="picture",
    field="image",
    types=("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff"),
    formats="JPEG, PNG, WebP, BMP or TIFF",
    sample="picture.jpg",
)
CLIP = Form(
    noun="clip",
    field="video",
    types=("video/mp4", "video/quicktime", "video/webm", "video/x-matroska", "video/x-msvideo", "video/mp2t"),
    formats="MP4, QuickTime, WebM, Matroska, AVI or MPEG-TS",
    sample="video.mp4",
    part=_Part,
    cut=_Cut,
)
_FORMS = {"clip": CLIP}


def form_of(name: str) -> Form:
    """Return how the items of an input are sent; of seeds, which have a route of their own, that of pictures."""
    return _FORMS.get(items_of(name), PICTURE)
