"""The answer of a classifier: a score for each class, and a map of its evidence on the picture.

Shapes: N pictures, K classes, h and w height and width of the class map.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sightsmith.kinds.labels.options import Options
from sightsmith.kinds.labels.temperature import cross_entropy, fit_temperature, softmax
from sightsmith.kinds.parts import named
from sightsmith.kinds.parts.answer import largest_differences
from sightsmith.kinds.parts.metric import Metric
from sightsmith.kinds.parts.shapes import Shape

METRIC = Metric(name="accuracy", title="accuracy")
TASKS = {"picture": "classify", "clip": "classify_clips"}
NOUNS = ("class", "classes")
HUB_TASKS = {"picture": "image-classification", "clip": "video-classification"}
WHOLE = False
EVIDENCE = "class_map"
EVIDENCE_UNIT = "logit of the class above the mean of all classes"
METHOD = "class_map"
STRENGTH = named.STRENGTH
COLUMNS = ("rank", "label", "score")
TOLERANCES: dict[str, dict[str, float]] = {
    "fp32": {"probabilities": 1e-3, "class_map": 1e-2},
    "bf16": {"probabilities": 5e-2, "class_map": 1e-1},
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Labels(named.NamedScores):
    """The classes of one picture.

    Attributes:
        names: of the classes, in the order of the scores.
        scores_K: probability of each class, in 0…1, sum 1.
        class_map_Khw: each class's evidence (logit) at each position of the net's input, None if not asked for.
    """

    NOUN: ClassVar[str] = "class"
    names: tuple[str, ...]
    scores_K: NDArray[np.float32]
    class_map_Khw: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.scores_K.shape != (len(self.names),):
            raise ValueError(f"{len(self.names)} classes need as many scores, got shape {self.scores_K.shape}")
        if self.class_map_Khw is not None and self.class_map_Khw.shape[:1] != (len(self.names),):
            raise ValueError(f"{len(self.names)} classes need as many maps, got shape {self.class_map_Khw.shape}")

    @property
    def classes(self) -> tuple[str, ...]:
        """The names, as version 0.1 called them."""
        return self.names

    @property
    def label(self) -> str:
        """Name of the class with the highest score."""
        return self.names[self.index]

    @property
    def score(self) -> float:
        """The highest score, in 0…1."""
        return float(self.scores_K.max())

    def __repr__(self) -> str:
        return f"<Labels {self.to_text(1)}>"

    def to_json(self, top: int = Options.top) -> list[dict[str, Any]]:
        """Return the `top` best classes as `[{"label": …, "score": …}]`, best first, scores to 6 decimals."""
        return [{"label": label, "score": round(score, 6)} for label, score in self.top(top)]

    def to_rows(self, top: int = Options.top) -> list[list[str]]:
        """Return a row of `COLUMNS` for each of the `top` best classes."""
        return [[str(rank), label, f"{score:.6f}"] for rank, (label, score) in enumerate(self.top(top), 1)]

    def to_text(self, top: int = Options.top) -> str:
        """Return the `top` best classes in a line."""
        return "  ".join(f"{label} {score:.1%}" for label, score in self.top(top))

    def shapes(self, top: int = Options.top) -> list[Shape]:
        """Return a bar for each of the `top` best classes."""
        return [Shape(shape="bar", name=label, text=f"{score:.1%}", share=score) for label, score in self.top(top)]

    def evidence(self, index: int) -> NDArray[np.float32]:
        """Return the evidence for a class above the mean of all classes, (h, w): softmax ignores a common offset."""
        raw_hw, maps_Khw = self.raw_evidence(index), self.class_map_Khw
        if maps_Khw is None or len(maps_Khw) == 1:
            return raw_hw
        return raw_hw - maps_Khw.mean(axis=0, dtype=np.float32)


PREDICTION = Labels
spread, unlike = named.spread, named.unlike


def decode(outputs: Mapping[str, NDArray[Any]], names: Sequence[str], calibrated: Mapping[str, Any]) -> list[Labels]:
    """Make the answers to N pictures.

    Args:
        outputs: `logits` (N, K), or `probabilities` of schema 1; `class_map` (N, K, h, w) if it was asked for.
        calibrated: `temperature` that the logits are divided by, 1 by default.
    """
    maps = outputs.get("class_map")
    scores_NK = outputs.get("probabilities")
    if scores_NK is None:
        scores_NK = softmax(outputs["logits"], calibrated.get("temperature", 1.0)).astype(np.float32)
    return [Labels(tuple(names), scores_K, None if maps is None else maps[n]) for n, scores_K in enumerate(scores_NK)]


def differences(expected: Sequence[Labels], got: Sequence[Labels]) -> dict[str, float]:
    """Return the largest differences: of `probabilities` in 0…1, and of `class_map` (see `largest_differences`)."""
    return largest_differences(
        expected, got, "probabilities", lambda one, other: float(np.abs(one.scores_K - other.scores_K).max())
    )


def same_answers(expected: Sequence[Labels], got: Sequence[Labels], tolerance: float = 0.0) -> float:
    """Return the share of pictures with the same best class, in 0…1.

    Args:
        got: the other answers to the same pictures.
        tolerance: classes whose expected probabilities differ by no more than this count as equally good.
    """
    if not expected:
        return 1.0
    lost = [
        one.score - float(one.scores_K[other.index]) if math.isfinite(other.score) else math.inf
        for one, other in zip(expected, got, strict=True)
    ]
    return float(np.mean([gap <= tolerance for gap in lost]))


def headline(answers: Sequence[Labels], targets: Sequence[int]) -> float:
    """Return the accuracy of N answers against N class indices, in 0…1."""
    return float(np.mean([answer.index == target for answer, target in zip(answers, targets, strict=True)]))


def calibrate(
    logits_NK: NDArray[np.floating], targets_N: NDArray[np.integer]
) -> tuple[dict[str, Any], dict[str, float]]:
    """Return the fitted `temperature` that calibrates the scores, and the resulting figures."""
    temperature = fit_temperature(logits_NK, targets_N)
    return {"temperature": temperature}, {"loss_at_temperature": cross_entropy(logits_NK, targets_N, temperature)}


def strata(truths: Sequence[int | None]) -> NDArray[np.int64]:
    """Return the number of each truth's stratum, (N,): its class, -1 if it is unknown."""
    return np.array([-1 if truth is None else truth for truth in truths], dtype=np.int64)


def pairs(truths: Sequence[int | None]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which names the truths have: positions of truths (M,) and indices of names (M,), a pair a name."""
    strata_N = strata(truths)
    known_M = np.flatnonzero(strata_N >= 0)
    return known_M, strata_N[known_M]


def truth_text(truth: int, names: Sequence[str]) -> str:
    return names[truth]


def targets(truths: Sequence[int], names: Sequence[str]) -> NDArray[np.int64]:
    """Return the targets of training for N truths: the classes' indices, (N,)."""
    return np.array(truths, dtype=np.int64)


def translate(truth: int, names: Sequence[str], model_names: Sequence[str]) -> int:
    """Return a class index of data with `names` as an index into `model_names`."""
    return model_names.index(names[truth])
