"""A number in 0…1: how bright a picture is."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sightsmith.kinds.parts.metric import Metric
from sightsmith.kinds.parts.shapes import Shape, draw

NOUNS = ("level", "levels")
METRIC = Metric(name="r2", title="r2")
HUB_TASK = "image-regression"
TASK = "level"
COLUMNS = ("level",)
EVIDENCE = METHOD = None
WHOLE = True
TOLERANCES = {"fp32": {"level": 1e-3}, "bf16": {"level": 5e-2}}


@dataclass(frozen=True)
class Level:
    value: float

    def to_json(self, digits: int = 6) -> dict[str, float]:
        return {"level": round(self.value, digits)}

    def to_rows(self, digits: int = 6) -> list[list[str]]:
        return [[f"{self.value:.{digits}f}"]]

    def to_text(self, digits: int = 6) -> str:
        return f"level {self.value:.3f}"

    def shapes(self, digits: int = 6) -> list[Shape]:
        return [Shape(shape="text", name="level", text=f"{self.value:.{min(3, digits)}f}")]

    def draw(self, picture: Any) -> Any:
        return draw(picture, self.shapes())


PREDICTION = Level


def decode(outputs, names, calibrated):
    return [Level(float(row[0])) for row in outputs["level"]]


def differences(expected, got):
    return {"level": max(abs(one.value - other.value) for one, other in zip(expected, got, strict=True))}


def same_answers(expected, got, tolerance=0.0):
    near = [abs(one.value - other.value) <= max(tolerance, 1e-2) for one, other in zip(expected, got, strict=True)]
    return float(np.mean(near))


def r2(answers_N, truths_N) -> float:
    return float(1 - np.square(answers_N - truths_N).sum() / np.square(truths_N - truths_N.mean()).sum())


def headline(answers, truths):
    return r2(np.array([answer.value for answer in answers]), np.array(truths))


def calibrate(answers, targets):
    return {}, {}


def strata(truths):
    return np.array([-1 if truth is None else min(3, int(4 * truth)) for truth in truths], dtype=np.int64)


def pairs(truths):
    return np.zeros(0, np.int64), np.zeros(0, np.int64)


def spread(truths, details):
    return f"from {min(truths):.2f} to {max(truths):.2f}", [("all", len(truths))]


def unlike(details, values):
    return ""


def truth_text(truth, names):
    return f"{truth:.6f}"


def targets(truths, names):
    return np.array(truths, dtype=np.float32)


def translate(truth, names, model_names):
    return truth
