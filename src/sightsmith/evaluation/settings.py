"""Settings of `evaluate` and `encode`; each field is a flag and a Python argument, and its text the help.

It imports no NumPy.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sightsmith.data.settings import SourceOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateSettings(SourceOptions):
    data: str | Path | None = None
    """Other data with the same classes: all of it, or its split if it has splits; or the place that the model's own
    data has moved to. train, val and test name the model's own splits; for a folder of such a name write ./test (in
    Python a Path will do). Without it, the model's own data."""
    split: Literal["train", "val", "test"] = "test"
    """Which split."""
    missing_ok: bool = False
    """Accept data that lacks some of the model's classes."""
    features: str | None = None
    """For a model that makes pictures: whose features its figures are measured with instead of the net that comes with
    Sightsmith. The path of a bundle that sees pictures, inception, dinov2, or a file of the weights of one of these."""
    classifier: Path | None = None
    """For a model that makes pictures of a class that is asked for: a bundle that says how many it recognises."""
    report: Path | None = None
    """File for the page, besides the bundle's own report folder; other data have no other page."""
    overwrite: bool = False
    """Replace an existing file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodeSettings(SourceOptions):
    split: Literal["train", "val", "test"] = "test"
    """Which split, if the data has any."""
    overwrite: bool = False
    """Replace an existing file."""
