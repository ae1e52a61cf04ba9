"""Settings of the calibration that follows training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Which samples calibrate, and how."""

    share: float = 0.0
    """Share of all samples, cut from those for training, that only calibrate; 0 calibrates on the validation split."""
    options: Mapping[str, Any] = field(default_factory=dict)  # further arguments of the kind's `calibrate`
