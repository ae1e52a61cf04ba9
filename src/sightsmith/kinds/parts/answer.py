"""What the answers of every kind share: notebooks, drawings, evidence, and how far two answers are apart.

Shapes: K aspects with evidence, h and w its height and width, H and W those of the picture.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.errors import SettingsError
from sightsmith.core.images import Picture
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.core.resampling import heat
from sightsmith.kinds.parts.shapes import Shape, draw, to_html


@dataclass(frozen=True, slots=True)
class Aspect:
    """The part of an answer that is explained, such as one of its labels."""

    index: int  # its place among the names
    name: str
    score: float  # in the answer; higher is surer
    box: tuple[float, ...] | None = None  # (left, top, right, bottom), if it has a place, in the answer's own unit


class Answer(ABC):
    """The answer to one picture; `sightsmith.kinds` lists what the class of a kind adds."""

    __slots__ = ()
    class_map_Khw: NDArray[np.float32] | None  # evidence for each aspect over the net's input, None if not asked for

    @abstractmethod
    def to_text(self, *args: Any, **options: Any) -> str:
        """Return the answer in a line."""

    @abstractmethod
    def shapes(self, *args: Any, **options: Any) -> list[Shape]:
        """Return what is drawn of the answer."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.to_text()}>"

    def _repr_html_(self) -> str:
        return to_html(self.shapes())

    def draw(self, picture: Picture, *args: Any, **options: Any) -> Image.Image:
        """Return the picture, upright, with the answer drawn; the arguments are those of `shapes`."""
        return draw(picture, self.shapes(*args, **options))

    def raw_evidence(self, index: int) -> NDArray[np.float32]:
        """Return the net's own map of an aspect, (h, w).

        Raises SettingsError: the answer has no class map, or no such aspect.
        """
        if self.class_map_Khw is None:
            raise SettingsError("this prediction has no class map. Ask for it: predict(…, outputs=('class_map',)).")
        if not 0 <= index < len(self.class_map_Khw):
            raise SettingsError(f"index must be 0…{len(self.class_map_Khw) - 1}, got {index}")
        evidence_hw: NDArray[np.float32] = self.class_map_Khw[index].astype(np.float32)
        return evidence_hw

    def evidence(self, index: int) -> NDArray[np.float32]:
        """Return the evidence for an aspect at each position of the net's input, (h, w); raises as `raw_evidence`."""
        return self.raw_evidence(index)

    def heat(self, index: int, preprocessing: Preprocessing, size: tuple[int, int]) -> NDArray[np.float32]:
        """Return how strongly each pixel of the original picture supports an aspect.

        Args:
            index: which aspect, such as the index of a label.
            preprocessing: how the picture became the net's input.
            size: (width, height) of the upright original in pixels.

        Returns:
            (H, W) float32 in 0…1, 1 at the strongest place; 0 for evidence against the aspect, and for pixels that the
            net did not see.

        Raises SettingsError: as `raw_evidence`.
        """
        return heat(self.evidence(index), preprocessing.box(*size), size)


_Answer = TypeVar("_Answer", bound=Answer)


def largest_differences(
    expected: Sequence[_Answer], got: Sequence[_Answer], part: str, gap: Callable[[_Answer, _Answer], float]
) -> dict[str, float]:
    """Return the largest gap of two answers to a picture under the name `part`, and `class_map` if there are maps.

    `class_map` is the root mean square of the difference of a picture's maps, relative to that of the expected ones.
    Infinity for a gap that is not a number.
    """
    pairs = list(zip(expected, got, strict=True))
    gaps = {part: [gap(one, other) for one, other in pairs]}
    maps = [(one.class_map_Khw, other.class_map_Khw) for one, other in pairs]
    relative = [_relative(one, other) for one, other in maps if one is not None and other is not None]
    if relative:
        gaps["class_map"] = relative
    return {name: float(np.nan_to_num(np.max(each), nan=np.inf)) for name, each in gaps.items()}


def _relative(expected: NDArray[np.floating], got: NDArray[np.floating]) -> float:
    size = np.sqrt(np.square(expected, dtype=np.float64).mean())
    return float(np.sqrt(np.square(got.astype(np.float64) - expected).mean()) / max(size, 1e-6))
