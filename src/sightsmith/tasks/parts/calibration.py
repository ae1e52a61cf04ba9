"""Settings of the calibration that follows training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Which samples calibrate, and how."""

    share: float = 0.0
    """Share of the samples without a split of their own, cut from those for training, that only calibrate."""
    held_out: bool = False  # never calibrate on the validation split, even if no sample is held out
    options: Mapping[str, Any] = field(default_factory=dict)  # further arguments of the kind's `calibrate`
