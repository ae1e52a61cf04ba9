"""The answer of a tagger: a score for each tag, its threshold, and a map of its evidence.

Shapes: N pictures, K tags, h and w the height and width of the class map.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.images import Picture
from sightsmith.kinds.parts import named
from sightsmith.kinds.parts.answer import largest_differences
from sightsmith.kinds.parts.metric import Metric
from sightsmith.kinds.parts.shapes import Shape, draw
from sightsmith.kinds.tags.columns import BETWEEN, UNKNOWN
from sightsmith.kinds.tags.metrics import best_thresholds, f1, mean_average_precision, mean_of_known
from sightsmith.kinds.tags.options import Options
from sightsmith.kinds.tags.truth import Tagged

METRIC = Metric(name="map", title="mAP")
TASKS = {"picture": "tag"}
NOUNS = ("tag", "tags")
HUB_TASKS = {"picture": "image-classification"}
COLUMNS = ("tag", "score", "threshold", "present")
WHOLE = True
EVIDENCE = "class_map"
EVIDENCE_UNIT = "logit of the tag"
METHOD = "class_map"
STRENGTH = named.STRENGTH
TOLERANCES: dict[str, dict[str, float]] = {
    "fp32": {"scores": 1e-3, "class_map": 1e-2},
    "bf16": {"scores": 5e-2, "class_map": 1e-1},
}
_SHOWN = 12  # Surest tags that are drawn with the absent ones


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Tags(named.NamedScores):
    """The tags of one picture.

    Attributes:
        names: of the tags, in the order of the scores.
        scores_K: how sure the model is of each tag, in 0…1; they do not sum to 1.
        thresholds_K: score from which each tag counts as present, in 0…1.
        class_map_Khw: each tag's evidence (logit) at each position of the net's input, None if not asked for.
    """

    NOUN: ClassVar[str] = "tag"
    names: tuple[str, ...]
    scores_K: NDArray[np.float32]
    thresholds_K: NDArray[np.float32]
    class_map_Khw: NDArray[np.float32] | None = None

    @property
    def present_K(self) -> NDArray[np.bool_]:
        """Which tags reach their thresholds."""
        reached_K: NDArray[np.bool_] = self.scores_K >= self.thresholds_K
        return reached_K

    @property
    def present(self) -> list[str]:
        """The names of the tags that reach their thresholds, surest first."""
        return [self.names[at] for at in self._shown(absent=False)]

    @property
    def index(self) -> int:
        """Index of the surest present tag; of the surest of all if none is present."""
        return (self._shown(absent=False) or self.order())[0]

    def _shown(self, absent: bool) -> list[int]:
        present_K = self.present_K
        return [at for at in self.order() if absent or present_K[at]]

    def to_json(self, absent: bool = Options.absent) -> list[dict[str, Any]]:
        """Return the present tags, or all of them, surest first; scores to 6 decimals."""
        return [
            {
                "tag": self.names[at],
                "score": round(float(self.scores_K[at]), 6),
                "threshold": round(float(self.thresholds_K[at]), 6),
                "present": bool(self.present_K[at]),
            }
            for at in self._shown(absent)
        ]

    def to_rows(self, absent: bool = Options.absent) -> list[list[str]]:
        """Return a row of `COLUMNS` a tag; one of empty cells for a picture without any."""
        rows = [
            [self.names[at], f"{self.scores_K[at]:.6f}", f"{self.thresholds_K[at]:.6f}", str(int(self.present_K[at]))]
            for at in self._shown(absent)
        ]
        return rows or [[""] * len(COLUMNS)]

    def to_text(self, absent: bool = Options.absent) -> str:
        """Return the tags in a line; absent ones in brackets."""
        told = [(f"{self.names[at]} {self.scores_K[at]:.1%}", self.present_K[at]) for at in self._shown(absent)]
        return "  ".join(text if present else f"({text})" for text, present in told) or "no tag"

    def draw(self, picture: Picture, absent: bool = True) -> Image.Image:
        """Return the picture with its tags as bars below it, also the surest absent ones; their thresholds as ticks."""
        return draw(picture, self.shapes(absent))

    def shapes(self, absent: bool = Options.absent) -> list[Shape]:
        """Return a bar for each present tag, or for the surest tags; the surest one if none is present."""
        order = self.order()
        shown = [at for place, at in enumerate(order) if self.present_K[at] or (absent and place < _SHOWN)] or order[:1]
        return [
            Shape(
                shape="bar",
                name=self.names[at],
                text=f"{self.scores_K[at]:.1%}",
                share=float(self.scores_K[at]),
                mark=float(self.thresholds_K[at]),
                on=bool(self.present_K[at]),
            )
            for at in shown
        ]


PREDICTION = Tags
spread, unlike = named.spread, named.unlike


def decode(outputs: Mapping[str, NDArray[Any]], names: Sequence[str], calibrated: Mapping[str, Any]) -> list[Tags]:
    """Make the answers to N pictures.

    Args:
        outputs: `logits` (N, K), and `class_map` (N, K, h, w) if it was asked for.
        calibrated: `thresholds` of the K tags, 0.5 by default.
    """
    scores_NK = _sigmoid(outputs["logits"])
    thresholds_K = np.array(calibrated.get("thresholds", [0.5] * len(names)), dtype=np.float32)
    maps = outputs.get("class_map")
    return [
        Tags(tuple(names), scores_K, thresholds_K, None if maps is None else maps[n])
        for n, scores_K in enumerate(scores_NK)
    ]


def differences(expected: Sequence[Tags], got: Sequence[Tags]) -> dict[str, float]:
    """Return the largest differences: of `scores` in 0…1, and of `class_map` (see `largest_differences`)."""
    return largest_differences(
        expected, got, "scores", lambda one, other: float(np.abs(one.scores_K - other.scores_K).max())
    )


def same_answers(expected: Sequence[Tags], got: Sequence[Tags], tolerance: float = 0.0) -> float:
    """Return the share of pictures with the same present tags, in 0…1.

    Args:
        tolerance: expected scores this close to a threshold match either answer.
    """
    if not expected:
        return 1.0
    same = [
        bool(((one.present_K == other.present_K) | (np.abs(one.scores_K - one.thresholds_K) <= tolerance)).all())
        for one, other in zip(expected, got, strict=True)
    ]
    return float(np.mean(same))


def headline(answers: Sequence[Tags], truths: Sequence[Tagged]) -> float:
    """Return the mean average precision of N answers, in 0…1."""
    return mean_average_precision(
        np.stack([answer.scores_K for answer in answers]), targets(truths, answers[0].names).astype(np.float64)
    )


def calibrate(
    logits_NK: NDArray[np.floating], targets_NK: NDArray[np.floating], min_precision: float = 0.0
) -> tuple[dict[str, Any], dict[str, float]]:
    """Return each tag's `thresholds` and the figures that they lead to.

    Args:
        targets_NK: 1, 0, or NaN for unknown.
        min_precision: 0 takes the threshold of the best F1; else the lowest one that reaches this precision.
    """
    scores_NK = _sigmoid(logits_NK)
    thresholds_K = best_thresholds(scores_NK, targets_NK, min_precision).astype(np.float32)
    macro = float(mean_of_known(f1(scores_NK >= thresholds_K, targets_NK)[None])[0])
    return {"thresholds": [float(one) for one in thresholds_K]}, {"macro_f1_at_thresholds": macro}


def strata(truths: Sequence[Tagged | None]) -> NDArray[np.int64]:
    """Return each truth's stratum, (N,): its rarest tag, so that every split gets samples of each tag.

    Pictures without any tag are one stratum more; -1 is unknown.
    """
    counts = Counter(index for truth in truths if truth is not None for index in truth.present)
    none = max(counts, default=-1) + 1
    return np.array(
        [
            -1 if truth is None else min(truth.present, key=lambda index: (counts[index], index), default=none)
            for truth in truths
        ],
        dtype=np.int64,
    )


def pairs(truths: Sequence[Tagged | None]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which tags the truths have: positions of truths (M,) and indices of names (M,), a pair a present tag."""
    found = [(at, index) for at, truth in enumerate(truths) if truth is not None for index in truth.present]
    both = np.array(found, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def truth_text(truth: Tagged, names: Sequence[str]) -> str:
    """Return the tags of a truth, unknown ones after a question mark."""
    told = sorted(names[at] for at in truth.present) + sorted(f"{UNKNOWN}{names[at]}" for at in truth.unknown)
    return BETWEEN.join(told) or "no tag"


def targets(truths: Sequence[Tagged], names: Sequence[str]) -> NDArray[np.float32]:
    """Return the targets of training for N truths, (N, K): 1 for present, 0 for absent, NaN for unknown."""
    targets_NK = np.zeros((len(truths), len(names)), dtype=np.float32)
    for target_K, truth in zip(targets_NK, truths, strict=True):
        target_K[list(truth.present)] = 1
        target_K[list(truth.unknown)] = np.nan
    return targets_NK


def translate(truth: Tagged, names: Sequence[str], model_names: Sequence[str]) -> Tagged:
    """Return a truth of data with these names as one of a model with those."""
    if tuple(names) == tuple(model_names):
        return truth
    index_of, missing = _mapping(tuple(names), tuple(model_names))
    unknown = {index_of[names[at]] for at in truth.unknown if names[at] in index_of}
    if not truth.closed:
        unknown |= missing
    present = (index_of[names[at]] for at in truth.present)
    return Tagged(present=tuple(sorted(present)), unknown=tuple(sorted(unknown)), closed=truth.closed)


@lru_cache(maxsize=8)
def _mapping(names: tuple[str, ...], model_names: tuple[str, ...]) -> tuple[dict[str, int], frozenset[int]]:
    """Return the index of each of the model's tags, and the indices of those that the data does not name."""
    known = frozenset(names)
    index_of = {name: at for at, name in enumerate(model_names)}
    return index_of, frozenset(at for name, at in index_of.items() if name not in known)


def _sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return scores below 1: a threshold of 1 is never reached."""
    scores = (0.5 * (1 + np.tanh(logits.astype(np.float64) / 2))).astype(np.float32)
    return np.minimum(scores, np.nextafter(np.float32(1), np.float32(0)))
