"""The answer of a generator: a picture.

Shapes: N pictures, H W C height, width and channels.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.errors import DataError, SettingsError
from sightsmith.core.images import Picture
from sightsmith.core.records import Sample
from sightsmith.kinds.parts import unnamed
from sightsmith.kinds.parts.answer import Answer
from sightsmith.kinds.parts.metric import Metric
from sightsmith.kinds.parts.shapes import Shape
from sightsmith.kinds.pictures.features import NAME, SHA256, features_of
from sightsmith.kinds.pictures.frechet import fd
from sightsmith.kinds.pictures.marks import to_image, to_png

METRIC = Metric(name="fd", title="Fréchet distance", higher=False, relative=True, fewest=2)
TASKS = {"picture": "vae"}
NOUNS = ("class", "classes")  # What may be asked for
HUB_TASKS = {"seed": "unconditional-image-generation"}
COLUMNS = ("width", "height")
WHOLE = False
METHOD = EVIDENCE = EVIDENCE_UNIT = STRENGTH = None
MEASURED_WITH = {"features": f"{NAME} ({SHA256[:12]})"}
"""What the figures of an epoch are measured with, to stand beside them."""
TOLERANCES: dict[str, dict[str, float]] = {"fp32": {"picture": 1.0}, "bf16": {"picture": 12.0}}
"""`picture` in levels of 0…255: 99 % of the pixels of each picture are as near as that."""

_SHARE = 0.99


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Made(Answer):
    """A generated picture.

    Attributes:
        pixels_HWC: uint8.
    """

    pixels_HWC: NDArray[np.uint8]
    class_map_Khw: None = None

    @property
    def image(self) -> Image.Image:
        return to_image(self.pixels_HWC)

    def to_json(self) -> dict[str, Any]:
        height, width, _ = self.pixels_HWC.shape
        return {"width": width, "height": height, "b64_json": base64.b64encode(to_png(self.pixels_HWC, {})).decode()}

    def to_rows(self) -> list[list[str]]:
        """Return one row of `COLUMNS`."""
        height, width, _ = self.pixels_HWC.shape
        return [[str(width), str(height)]]

    def to_text(self) -> str:
        height, width, channels = self.pixels_HWC.shape
        return f"a picture of {width}×{height}, {'grey' if channels == 1 else 'rgb'}"

    def shapes(self) -> list[Shape]:
        return [Shape(shape="text", name="picture", text=self.to_text())]


PREDICTION = Made
pairs, translate = unnamed.pairs, unnamed.translate


def decode(outputs: Mapping[str, NDArray[Any]], names: Sequence[str], calibrated: Mapping[str, Any]) -> list[Made]:
    """Make the answers of N seeds from `picture`, (N, H, W, C) float32 in levels 0…255."""
    return [Made(pixels) for pixels in np.rint(outputs["picture"]).clip(0, 255).astype(np.uint8)]


def differences(expected: Sequence[Made], got: Sequence[Made]) -> dict[str, float]:
    """Return the largest difference of a picture: in levels, what 99 % of its pixels are within."""
    gaps = [
        np.quantile(np.abs(one.pixels_HWC.astype(np.int16) - other.pixels_HWC), _SHARE, method="inverted_cdf")
        for one, other in zip(expected, got, strict=True)
    ]
    return {"picture": float(max(gaps, default=0.0))}


def same_answers(expected: Sequence[Made], got: Sequence[Made], tolerance: float = 0.0) -> float:
    """Return the share of pictures that are the same within the tolerance."""
    near = [differences([one], [other])["picture"] <= tolerance for one, other in zip(expected, got, strict=True)]
    return float(np.mean(near)) if near else 1.0


def calibrate(outputs: NDArray[np.floating], targets: NDArray[Any]) -> tuple[dict[str, Any], dict[str, float]]:
    """Return nothing: pictures are not calibrated."""
    return {}, {}


def truth_of(sample: Sample, input_settings: Any) -> NDArray[np.uint8]:
    """Return a real picture as those of the training were seen, (H, W, C).

    Raises PictureError: it cannot be decoded.
    """
    pixels_HWC: NDArray[np.uint8] = input_settings.real.apply(sample.item)
    return pixels_HWC


def headline(answers: Sequence[Made], truths: Sequence[NDArray[np.uint8]]) -> float:
    """Return the Fréchet distance of N answers from real pictures. Raises DataError: there are fewer than two."""
    if len(answers) < METRIC.fewest:
        raise DataError(f"the {METRIC.title} compares at least {METRIC.fewest} pictures, got {len(answers)}. Add some.")
    return fd(features_of(truths), features_of(answer.pixels_HWC for answer in answers))


def strata(truths: Sequence[Picture]) -> NDArray[np.int64]:
    """Return one stratum for all, (N,)."""
    return np.zeros(len(truths), dtype=np.int64)


def truth_text(truth: Picture, names: Sequence[str]) -> str:
    return "a picture"


def targets(truths: Sequence[Picture], names: Sequence[str]) -> NDArray[Any]:
    raise SettingsError("pictures are no targets of training by themselves")


def spread(truths: Sequence[Picture], details: Mapping[str, Any]) -> tuple[str, list[tuple[str, int]]]:
    return "", []


def unlike(details: Mapping[str, Any], calibrated: Mapping[str, Any]) -> str:
    return ""
