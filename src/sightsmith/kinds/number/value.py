"""The answer of a regressor: a number with its prediction interval, and a map of its evidence.

Shapes: N pictures, h and w the height and width of the evidence.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.errors import SettingsError
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.core.resampling import heat
from sightsmith.kinds.number import conformal
from sightsmith.kinds.number.options import Options
from sightsmith.kinds.parts import unnamed
from sightsmith.kinds.parts.answer import Answer, Aspect, largest_differences
from sightsmith.kinds.parts.metric import Metric
from sightsmith.kinds.parts.shapes import Shape

METRIC = Metric(name="mae", title="MAE", higher=False, relative=True)
TASKS = {"picture": "regress"}
NOUNS = ("number", "numbers")
HUB_TASKS: dict[str, str] = {}  # Hubs have no name for it
COLUMNS = ("value", "low", "high", "unit")
WHOLE = True
EVIDENCE = "class_map"
EVIDENCE_UNIT = "share of the number"
METHOD = "occlusion"
STRENGTH = "number"
TOLERANCES: dict[str, dict[str, float]] = {
    "fp32": {"number": 1e-3, "class_map": 1e-2},
    "bf16": {"number": 5e-2, "class_map": 1e-1},
}
"""`number` in standard deviations of the numbers that were trained on."""

_SAME = 0.01  # Standard deviations that two equal answers may be apart
_FACTS = ("reach", "coverage", "quantity", "unit", "scale")
_BINS = 10  # Strata, at most
_RANGES = 16  # Bars of the check's chart, at most
_IN_A_BIN = 8  # Samples of a stratum, at least


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Number(Answer):
    """The number of one picture.

    Attributes:
        value: the number.
        reach: half the width of its prediction interval; None if none was calibrated.
        coverage: share of new pictures whose number is in the interval, 0…1; None if there is none.
        quantity: name of the number.
        unit: its unit; empty if none was given.
        scale: standard deviation of the numbers that were trained on.
        class_map_Khw: contribution of each position of the net's input, K = 1; None if not asked for.
    """

    value: float
    reach: float | None = None
    coverage: float | None = None
    quantity: str = "number"
    unit: str = ""
    scale: float = 1.0
    class_map_Khw: NDArray[np.float32] | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The prediction interval, None if none was calibrated."""
        return None if self.reach is None else (self.value - self.reach, self.value + self.reach)

    def to_json(self, digits: int = Options.digits) -> dict[str, Any]:
        low, high = (None, None) if self.interval is None else (rounded(one, digits) for one in self.interval)
        told = {"value": rounded(self.value, digits), "low": low, "high": high}
        return {**told, "coverage": self.coverage, "unit": self.unit}

    def to_rows(self, digits: int = Options.digits) -> list[list[str]]:
        """Return one row of `COLUMNS`."""
        ends = ("", "") if self.interval is None else (worded(one, digits) for one in self.interval)
        return [[worded(self.value, digits), *ends, self.unit]]

    def to_text(self, digits: int = Options.digits) -> str:
        """Return the number and its interval in a line."""
        between = ""
        if self.interval is not None:
            low, high = self.interval
            between = f" ({self.coverage:.0%} between {worded(low, digits)} and {worded(high, digits)})"
        return f"{self._with_unit(self.value, digits)}{between}"

    def shapes(self, digits: int = Options.digits) -> list[Shape]:
        """Return the number and its interval as words."""
        shapes = [Shape(shape="text", name=self.quantity, text=self._with_unit(self.value, digits))]
        if self.interval is not None:
            low, high = (worded(one, digits) for one in self.interval)
            name = f"{self.coverage:.0%} interval"
            shapes.append(Shape(shape="text", name=name, text=f"{low} … {high} {self.unit}".rstrip()))
        return shapes

    def _with_unit(self, value: float, digits: int) -> str:
        return f"{worded(value, digits)} {self.unit}".rstrip()

    def aspect(self, name: str | None = None) -> Aspect:
        """Return the aspect to explain, the number. Raises SettingsError: something else is named."""
        if name not in (None, self.quantity):
            raise SettingsError(f"the model answers with one number, {self.quantity!r}. Leave the label out.")
        return Aspect(0, self.quantity, self.value)

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        return [(self.quantity, self.value)][:k]

    def score_of(self, aspect: Aspect) -> float:  # noqa: ARG002 -- a number has one aspect
        return self.value

    strength_of = score_of

    def heat(self, index: int, preprocessing: Preprocessing, size: tuple[int, int]) -> NDArray[np.float32]:
        """Return how much each pixel adds to the number above the place that adds least, as `Answer.heat`."""
        evidence_hw = self.evidence(index)
        return heat(evidence_hw - evidence_hw.min(), preprocessing.box(*size), size)


PREDICTION = Number
pairs, translate = unnamed.pairs, unnamed.translate


def rounded(value: float, digits: int) -> float:
    """Return a number with so many significant digits."""
    return float(f"{value:.{digits}g}")


def worded(value: float, digits: int) -> str:
    """Return a number with so many significant digits, without an exponent up to 15 digits."""
    return f"{rounded(value, digits):.15g}"


def decode(outputs: Mapping[str, NDArray[Any]], names: Sequence[str], calibrated: Mapping[str, Any]) -> list[Number]:
    """Make the answers to N pictures.

    Args:
        outputs: `number` (N, 1) in its unit, and `class_map` (N, 1, h, w) if it was asked for.
        calibrated: `reach` and `coverage` of the prediction interval, `scale`, `quantity` and `unit`.
    """
    maps = outputs.get("class_map")
    facts = {name: calibrated[name] for name in _FACTS if name in calibrated}
    return [
        Number(float(value), class_map_Khw=None if maps is None else maps[n], **facts)
        for n, value in enumerate(outputs["number"][:, 0])
    ]


def differences(expected: Sequence[Number], got: Sequence[Number]) -> dict[str, float]:
    """Return the largest differences: of `number` in standard deviations of those trained on, and of `class_map`."""
    return largest_differences(expected, got, "number", lambda one, other: abs(one.value - other.value) / one.scale)


def same_answers(expected: Sequence[Number], got: Sequence[Number], tolerance: float = 0.0) -> float:
    """Return the share of pictures whose numbers are the same within 1 % of a standard deviation, or the tolerance."""
    if not expected:
        return 1.0
    most = max(_SAME, tolerance)
    near = [abs(one.value - other.value) <= most * one.scale for one, other in zip(expected, got, strict=True)]
    return float(np.mean(near))


def headline(answers: Sequence[Number], truths: Sequence[float]) -> float:
    """Return the mean absolute error of N answers, in the unit of the numbers."""
    return float(np.mean(np.abs(np.array([answer.value for answer in answers]) - np.asarray(truths, np.float64))))


def calibrate(
    values_N1: NDArray[np.floating], targets_N: NDArray[np.floating], coverage: float = 0.9, scale: float = 1.0
) -> tuple[dict[str, Any], dict[str, float]]:
    """Return the prediction interval, and the number of samples it was fitted on; no interval if they are too few.

    Args:
        coverage: wanted share of new numbers in the interval, in (0, 1).
        scale: standard deviation of the numbers that were trained on.
    """
    found = conformal.reach(values_N1[:, 0], targets_N, coverage)
    interval = {} if found is None else {"reach": found, "coverage": coverage}
    return {"scale": scale, **interval}, {"calibration_count": float(len(targets_N))}


def strata(truths: Sequence[float | None]) -> NDArray[np.int64]:
    """Return the number of each truth's stratum, (N,): bins of about as many samples each, -1 for unknown."""
    values_N = np.array([math.nan if truth is None else truth for truth in truths], dtype=np.float64)
    known_N = values_N[~np.isnan(values_N)]
    bins = max(1, min(_BINS, len(known_N) // _IN_A_BIN))
    edges = np.unique(np.quantile(known_N, np.arange(1, bins) / bins)) if len(known_N) else np.zeros(0)
    return np.where(np.isnan(values_N), -1, np.searchsorted(edges, values_N, side="right")).astype(np.int64)


def truth_text(truth: float, names: Sequence[str]) -> str:
    return f"{truth:.12g}"


def targets(truths: Sequence[float], names: Sequence[str]) -> NDArray[np.float32]:
    """Return the targets of training for N truths: the numbers, (N,)."""
    return np.array(truths, dtype=np.float32)


def spread(truths: Sequence[float | None], details: Mapping[str, Any]) -> tuple[str, list[tuple[str, int]]]:
    """Return range and median of the numbers in words, and the count of samples in each of some ranges."""
    values_N = np.array([truth for truth in truths if truth is not None], dtype=np.float64)
    if not len(values_N):
        return "", []
    unit = f" {details['unit']}" if details.get("unit") else ""
    text = f"from {values_N.min():.6g} to {values_N.max():.6g}{unit}, the middle one {np.median(values_N):.6g}"
    counts, edges = np.histogram(values_N, bins=min(_RANGES, len(np.unique(values_N))))
    ranges = zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
    return text, [(f"{low:.4g}…{high:.4g}", count) for low, high, count in ranges]


def unlike(details: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Return why numbers with this unit cannot be compared with those of the model; empty if they can."""
    own, other = values.get("unit", ""), details.get("unit", values.get("unit", ""))
    if own == other:
        return ""
    return (
        f"its numbers are in {other or 'no unit'}, the model's in {own or 'no unit'}. Convert them, or give the unit "
        "that they are in with --unit."
    )
