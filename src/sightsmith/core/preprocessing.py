"""From a picture to the pixels a net sees: one frozen definition, one function, used by training and service.

The function stops at uint8; scaling to 0…1 and normalisation are the first step of the exported graph, so that
every backend shares them too.

Shapes: H height, W width, C channels (1 grey, 3 RGB).
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.errors import SettingsError
from sightsmith.core.images import Picture, decode
from sightsmith.core.placement import MAX_PIXELS, Box
from sightsmith.core.settings import from_mapping

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
SPARE = 1.5  # A JPEG is decoded at no less than this many times the size asked for, then reduced with antialiasing


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """How a picture becomes the input of a net."""

    height: int
    """Height of the input in pixels, 1…4096."""
    width: int
    """Width of the input in pixels, 1…4096."""
    resize: Literal["crop", "squash", "letterbox"] = "crop"
    """crop: fill the input and cut the rest; squash: ignore the aspect ratio; letterbox: fit and pad."""
    crop_fraction: float = 1.0
    """With crop: the share of the largest fitting box that is kept, in (0, 1]."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """Filter of the resize; always antialiased."""
    colour: Literal["rgb", "grey"] = "rgb"
    """Channels of the input: 3 or 1."""
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """Mean of each channel, pixels scaled to 0…1."""
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    """Standard deviation of each channel, pixels scaled to 0…1."""
    contrast: Literal["data", "picture"] = "data"
    """data: channels are normalised by mean and std; picture: then also by those of the picture's own channels."""
    fill: int = 128
    """With letterbox: grey value of the padding, 0…255."""

    def __post_init__(self) -> None:
        if not (1 <= self.height <= 4096 and 1 <= self.width <= 4096):
            raise SettingsError(f"preprocessing: sides must be 1…4096 pixels, got {self.width}×{self.height}")
        if not 0 < self.crop_fraction <= 1:
            raise SettingsError(f"preprocessing.crop_fraction must be in (0, 1], got {self.crop_fraction!r}")
        if not len(self.mean) == len(self.std) == self.channels:
            raise SettingsError(
                f"preprocessing: {self.colour} has {self.channels} channel(s), so mean and std need as many values; "
                f"got {len(self.mean)} and {len(self.std)}"
            )
        if min(self.std) <= 0:
            raise SettingsError(f"preprocessing.std must be > 0, got {self.std!r}")

    @property
    def channels(self) -> int:
        return 1 if self.colour == "grey" else 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of the input."""
        return self.height, self.width, self.channels

    def apply(self, picture: Picture, *, max_pixels: int = MAX_PIXELS, seconds: float = math.inf) -> NDArray[np.uint8]:
        """Turn one picture into the input of the net, (H, W, C) uint8; the bounds and errors are those of `decode`."""
        image = self.open(picture, max_pixels=max_pixels, seconds=seconds)
        return self.cut(image, self.box(*image.size))

    def open(
        self,
        picture: Picture,
        *,
        share: float = 1.0,
        spare: float = SPARE,
        max_pixels: int = MAX_PIXELS,
        seconds: float = math.inf,
    ) -> Image.Image:
        """Decode a picture, upright, a JPEG at the smallest scale of at least `spare` times the size of the input.

        The scale is sufficient for a crop of `share` of the picture's shorter side.
        """
        near = self.near(share=share, spare=spare)
        image = decode(picture, near=near, max_pixels=max_pixels, seconds=seconds)
        wanted = "L" if self.colour == "grey" else "RGB"
        return image if image.mode == wanted else image.convert(wanted)

    def near(self, *, share: float = 1.0, spare: float = SPARE) -> int:
        """Return the side in pixels that `open` decodes a picture to, at least."""
        return round(max(self.height, self.width) * spare / (self.crop_fraction * share))

    def box(self, width: int, height: int) -> Box:
        """Return the part of a picture of this size that the input shows, in the picture's pixels."""
        if self.resize == "squash":
            return 0.0, 0.0, float(width), float(height)
        choose = min if self.resize == "crop" else max
        scale = choose(width / self.width, height / self.height)
        if self.resize == "crop":
            scale *= self.crop_fraction
        shown_width, shown_height = self.width * scale, self.height * scale
        left, top = (width - shown_width) / 2, (height - shown_height) / 2
        return left, top, left + shown_width, top + shown_height

    def cut(self, image: Image.Image, box: Box) -> NDArray[np.uint8]:
        """Resize the part of an opened picture inside `box` to the input; pixels outside the picture become `fill`."""
        inside = (max(box[0], 0.0), max(box[1], 0.0), min(box[2], image.width), min(box[3], image.height))
        if inside == box:
            return np.asarray(self._resize(image, (self.width, self.height), box)).reshape(self.shape)
        across, down = self.width / (box[2] - box[0]), self.height / (box[3] - box[1])
        size = max(1, round((inside[2] - inside[0]) * across)), max(1, round((inside[3] - inside[1]) * down))
        corner = round((inside[0] - box[0]) * across), round((inside[1] - box[1]) * down)
        paper = Image.new(image.mode, (self.width, self.height), (self.fill,) * len(image.getbands()))
        paper.paste(self._resize(image, size, inside), corner)
        return np.asarray(paper).reshape(self.shape)

    def digest(self) -> str:
        """Return the SHA-256 of the definition, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON; `contrast` only if it is not "data", so that older digests stay."""
        fields = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        if self.contrast == "data":
            del fields["contrast"]
        return fields

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """Read a definition of `to_json`; unknown keys are an error."""
        return from_mapping(cls, raw, where="preprocessing", strict=True)

    def _resize(self, image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
        if image.size == size and tuple(box) == (0, 0, *size):
            return image
        return image.resize(size, _FILTERS[self.interpolation], box=box, reducing_gap=3.0)
