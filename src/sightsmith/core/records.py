"""One sample of a dataset, the part of a video that it may be, and the names of splits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Split = Literal["train", "val", "test", "calibration"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")  # splits that a source may name; calibration is cut from train
PARTS: tuple[Split, ...] = (*SPLITS, "calibration")


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture or clip with its label and metadata."""

    key: str  # unique in its source and the same on every machine: a relative path, or `train/00042` in a large file
    item: Any  # of the source's input: a `Picture`, or a `Clip`; decoded when needed
    target: Any = None  # the truth that the task learns, for classification the index of the class; None if unknown
    group: str | None = None  # samples of one group (person, video, patient) never straddle two splits
    split: Split | None = None  # the split that the source assigns, None if it assigns none
    # further facts from the source, such as the other columns of a table (site, device …)
    attributes: Mapping[str, str] = field(default_factory=dict)


class Span(NamedTuple):
    """A part of a video: a clip that was cut from it."""

    video: str  # path
    start: float  # seconds of the video
    end: float  # seconds, > start
