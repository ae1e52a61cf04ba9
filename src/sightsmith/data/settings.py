"""Settings of sources, the gate and splits; apart from them so that the command line reads them without NumPy."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightsmith.core.errors import SettingsError
from sightsmith.core.placement import MAX_PIXELS

_FRAME_RATE = 25.0  # Frames a second of clips that are pictures, unless said otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameOptions:
    """How pictures become clips."""

    frame_rate: float | None = None
    """Frames a second of clips that are pictures, > 0; by default as in the training, else 25. Videos have times of
    their own."""

    def rate(self, trained: Mapping[str, Any] = {}) -> float:
        """Return the frames a second, those of the training if it was not given.

        Args:
            trained: the data that a manifest records.

        Raises SettingsError: it is not above 0.
        """
        rate = self.frame_rate if self.frame_rate is not None else trained.get("frame_rate") or _FRAME_RATE
        if not 0 < rate < float("inf"):
            raise SettingsError(f"frame_rate must be > 0 frames a second, got {rate:g}")
        return float(rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions(FrameOptions):
    """How to open a source: the flags and arguments of every verb that takes data."""

    format: str | None = None
    """Format of the data, such as folder or table; detected from the path if not given."""
    group_by: str | None = None
    """The group (person, video, patient) that no two splits may share: a column of a table, or a pattern with
    one part in (…) that is searched in the path, such as ^([0-9]+/[0-9]+)_ for 3/00002_00006.ppm."""
    label_by: str | None = None
    """Where the label is in a picture's path, instead of its folder's name: a pattern with one
    part in (…) that is searched in the path, such as ([a-z]+)_[0-9]+ for cat_001.jpg."""
    frames_by: str | None = None
    """Which pictures are the frames of one clip: a pattern with one part in (…) that is searched in the path; frames
    are of one clip if their paths are the same up to its end, such as ^([0-9]+/[0-9]+)_ for 3/00002_00006.ppm."""
    target: str | None = None
    """Columns of a table that hold the truth, by default label (one label), labels (tags, separated by ;), number, or
    columns of 0 and 1 (a tag each). One other column is a number; several, separated by commas, are tags."""
    unit: str | None = None
    """Unit of the number in a table, such as years; shown with every answer."""
    names: Path | None = None
    """File with names for numbered classes: one name per line, starting with class 0, or NUMBER NAME
    in each line."""


READING = ("group_by", "label_by", "frames_by", "frame_rate", "target", "unit")
"""Options that a bundle remembers, so that its data is read again as at its training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    max_pixels: int = MAX_PIXELS
    """Bound on width × height of a picture, ≥ 1."""
    near_duplicates: bool = True
    """Look for pictures that are nearly the same."""
    tiny_side: int = 8
    """A side shorter than this is named, in pixels."""
    tiny_class: int = 10
    """A class with fewer pictures is named."""
    fewest_names: int = 2
    """Classes that the pictures must have at least; 1 for a task that tells none apart."""
    imbalance: float = 10.0
    """Classes are named if the largest has this many times the pictures of the smallest, or more; ≥ 1."""
    input_size: int = 0
    """Side of the net's input in pixels, at which objects that become too small to see are named; 0: as `train` chooses
    it for such pictures."""
    threads: int = 0
    """Files decoded at once; 0: one a core."""

    def __post_init__(self) -> None:
        least = {"max_pixels": 1, "imbalance": 1, "input_size": 0, "tiny_side": 0, "tiny_class": 0, "threads": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise SettingsError(f"gate.{name} must be at least {bound}, got {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSettings:
    """How samples are split if the source does not say."""

    val_fraction: float = 0.15
    """Share of the samples for validation, in [0, 1)."""
    test_fraction: float = 0.15
    """Share of the samples for the test, in [0, 1)."""
    calibration_fraction: float = 0.0
    """Share of the samples, cut from those for training, that calibrate the trained model, in [0, 1)."""
    seed: int = 0
    """Another seed draws other samples."""
    stratified: bool = True
    """Each class keeps its share in each split."""

    def __post_init__(self) -> None:
        for name in ("val_fraction", "test_fraction", "calibration_fraction"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingsError(f"splits.{name} must be in [0, 1), got {getattr(self, name)!r}")
        if not self.val_fraction + self.test_fraction + self.calibration_fraction < 1:
            raise SettingsError(
                "splits: val_fraction, test_fraction and calibration_fraction must leave something to train on; "
                f"{self.val_fraction:g} + {self.test_fraction:g} + {self.calibration_fraction:g} is not below 1"
            )
