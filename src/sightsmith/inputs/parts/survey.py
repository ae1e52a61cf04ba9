"""Facts about the training items, and the input that training requests."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sightsmith.inputs.parts.moments import Sampling

_SEEN = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    count: int  # Training items
    side: int  # Median of the items' shorter sides, in pixels
    grey: bool  # Whether all items of a sample are grey
    in_memory: bool  # Whether the items are arrays in memory already
    noun: str = "picture"  # An item, for messages
    moving: bool = False  # Whether an item has several frames, in time
    varied: bool = True  # Whether augmentation of pictures applies to the input
    whole: bool = False  # the edges matter, so nothing may be cropped; set by the kind of answer
    placed: bool = False  # targets have places, which move with the picture; likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    side: int  # Height and width of the input, in pixels
    colour: Literal["rgb", "grey"]
    resize: Literal["crop", "squash", "letterbox"]
    contrast: Literal["data", "picture"] = "data"
    frames: int = 1  # of each clip, for an input of clips
    sampling: Sampling = "uniform"  # how they are chosen, likewise
    spacing: float | None = None  # seconds between them if at fixed gaps, likewise
    like: Any = None
    """How pictures, or the frames of clips, were prepared for the first weights; None if unknown or random."""


def spread(count: int, wanted: int = _SEEN) -> list[int]:
    """Return up to `wanted` positions, evenly spread over 0…count-1."""
    return sorted({int(position) for position in np.linspace(0, count - 1, min(count, wanted))})
