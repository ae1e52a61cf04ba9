"""The answer of a classifier: a score for each class, and a map of its evidence on the picture.

Shapes: N pictures, K classes, H and W a picture's height and width, h and w those of the class map.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.errors import SettingsError
from sightsmith.core.images import Picture
from sightsmith.core.names import did_you_mean, shortened
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.core.resampling import heat
from sightsmith.kinds.labels.options import Options
from sightsmith.kinds.labels.temperature import cross_entropy, fit_temperature, softmax
from sightsmith.kinds.parts.aspects import Aspect
from sightsmith.kinds.parts.differences import largest, relative_difference
from sightsmith.kinds.parts.metric import Metric
from sightsmith.kinds.parts.shapes import Shape, draw, to_html

Arrays = Mapping[str, NDArray[Any]]  # Outputs of the graph by name; the first axis is the picture

METRIC = Metric(name="accuracy", title="accuracy")  # Returned by `headline`

TASK = "classify"  # Default task that learns this kind

NOUNS = ("class", "classes")

HUB_TASK = "image-classification"  # Name of the task on model hubs

WHOLE = False  # Whether cutting off a part of the picture may change the truth
EVIDENCE = "class_map"  # The output with the evidence for each class at each position
EVIDENCE_UNIT = "logit of the class above the mean of all classes"
METHOD = "class_map"  # Default explanation method
STRENGTH = "log-probability, nats"  # Returned by `strengths_of`
_TINY = 1e-7

COLUMNS = ("rank", "label", "score")  # Of the rows that `to_rows` gives

TOLERANCES: dict[str, dict[str, float]] = {
    "fp32": {"probabilities": 1e-3, "class_map": 1e-2},
    "bf16": {"probabilities": 5e-2, "class_map": 1e-1},
}
"""By precision, the largest allowed `differences` of each output from the trained model's."""


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The classes of one picture.

    Attributes:
        classes: names of the classes, in the order of the scores.
        scores_K: probability of each class, in 0…1, sum 1.
        class_map_Khw: each class's evidence (logit) at each position of the net's input, None if not asked for.
    """

    classes: tuple[str, ...]
    scores_K: NDArray[np.float32]
    class_map_Khw: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.scores_K.shape != (len(self.classes),):
            raise ValueError(f"{len(self.classes)} classes need as many scores, got shape {self.scores_K.shape}")
        if self.class_map_Khw is not None and self.class_map_Khw.shape[:1] != (len(self.classes),):
            raise ValueError(f"{len(self.classes)} classes need as many maps, got shape {self.class_map_Khw.shape}")

    @property
    def index(self) -> int:
        """Index of the class with the highest score."""
        return int(self.scores_K.argmax())

    @property
    def label(self) -> str:
        """Name of the class with the highest score."""
        return self.classes[self.index]

    @property
    def score(self) -> float:
        """The highest score, in 0…1."""
        return float(self.scores_K.max())

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the names and scores of the `k` best classes, best first; equal scores in the order of the classes."""
        order = np.argsort(-self.scores_K, kind="stable")[: max(0, k)]
        return [(self.classes[i], float(self.scores_K[i])) for i in order]

    def __repr__(self) -> str:
        return f"<Labels {self.to_text(1)}>"

    def _repr_html_(self) -> str:
        return to_html(self.shapes())

    def to_json(self, top: int = Options.top) -> list[dict[str, Any]]:
        """Return the `top` best classes as `[{"label": …, "score": …}]`, best first, scores to 6 decimals."""
        return [{"label": label, "score": round(score, 6)} for label, score in self.top(top)]

    def to_rows(self, top: int = Options.top) -> list[list[str]]:
        """Return a row of `COLUMNS` for each of the `top` best classes."""
        return [[str(rank), label, f"{score:.6f}"] for rank, (label, score) in enumerate(self.top(top), 1)]

    def to_text(self, top: int = Options.top) -> str:
        """Return the `top` best classes in a line."""
        return "  ".join(f"{label} {score:.1%}" for label, score in self.top(top))

    def draw(self, picture: Picture, top: int = Options.top) -> Image.Image:
        """Return the picture with its best classes as bars below it."""
        return draw(picture, self.shapes(top))

    def shapes(self, top: int = Options.top) -> list[Shape]:
        """Return a bar for each of the `top` best classes."""
        return [Shape(shape="bar", name=label, text=f"{score:.1%}", share=score) for label, score in self.top(top)]

    def heat(self, class_index: int, preprocessing: Preprocessing, size: tuple[int, int]) -> NDArray[np.float32]:
        """Return how strongly each pixel of the original picture supports a class.

        The evidence is relative to the mean of all classes (softmax ignores a common offset), minus the minimum of all
        positions; evidence against the class, and pixels that the net did not see, are 0.

        Args:
            class_index: which class, 0…K-1.
            preprocessing: how the picture became the net's input.
            size: (width, height) of the upright original in pixels.

        Returns:
            (H, W) float32 in 0…1, 1 at the strongest place; all 0 if there is no positive evidence.

        Raises SettingsError: the prediction has no class map, or there is no such class.
        """
        if self.class_map_Khw is None:
            raise SettingsError("this prediction has no class map. Ask for it: predict(…, outputs=('class_map',)).")
        if not 0 <= class_index < len(self.classes):
            raise SettingsError(f"class_index must be 0…{len(self.classes) - 1}, got {class_index}")
        return heat(_above_mean(self.class_map_Khw, class_index), preprocessing.box(*size), size)


PREDICTION = Labels


def decode(outputs: Arrays, names: Sequence[str], calibrated: Mapping[str, Any]) -> list[Labels]:
    """Make the answers to N pictures.

    Args:
        outputs: `logits` (N, K), or `probabilities` of schema 1; `class_map` (N, K, h, w) if it was asked for.
        calibrated: `temperature` that the logits are divided by, 1 by default.
    """
    classes, maps = tuple(names), outputs.get("class_map")
    scores_NK = outputs.get("probabilities")
    if scores_NK is None:
        scores_NK = softmax(outputs["logits"], calibrated.get("temperature", 1.0)).astype(np.float32)
    return [Labels(classes, scores_K, None if maps is None else maps[n]) for n, scores_K in enumerate(scores_NK)]


def differences(expected: Sequence[Labels], got: Sequence[Labels]) -> dict[str, float]:
    """Return the largest difference of each part that the answers in `got` have.

    `probabilities` is absolute, in 0…1. `class_map` is the root mean square of the difference of a picture's maps,
    relative to the root mean square of the expected ones.
    """
    pairs = list(zip(expected, got, strict=True))
    worst = {"probabilities": largest(np.abs(one.scores_K - other.scores_K).max() for one, other in pairs)}
    maps = [
        (one.class_map_Khw, other.class_map_Khw)
        for one, other in pairs
        if one.class_map_Khw is not None and other.class_map_Khw is not None
    ]
    return worst | ({"class_map": largest(relative_difference(*pair) for pair in maps)} if maps else {})


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


def spread(truths: Sequence[int | None], details: Mapping[str, Any]) -> tuple[str, list[tuple[str, int]]]:
    """Return nothing: how many samples each class has is counted by name."""
    return "", []


def unlike(details: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Return why truths with these details cannot be compared with answers of these values; empty if they can."""
    return ""


def aspect_of(answer: Labels, name: str | None = None) -> Aspect:
    """Return the aspect of an answer to explain: the named class, or the best.

    Raises SettingsError: there is no class of that name.
    """
    if name is not None and name not in answer.classes:
        raise SettingsError(f"the model has no class {shortened(name)!r}. {did_you_mean(name, answer.classes)}")
    index = answer.index if name is None else answer.classes.index(name)
    return Aspect(index, answer.classes[index], float(answer.scores_K[index]))


def best_aspects(answer: Labels, count: int) -> list[tuple[str, float]]:
    """Return the names and scores of the best classes, best first."""
    return answer.top(count)


def strengths_of(answers: Sequence[Labels], aspect: Aspect) -> NDArray[np.float32]:
    """Return the logarithm (N,) of a class's probability in N answers, in nats."""
    return np.log(np.maximum(scores_of(answers, aspect), _TINY))


def scores_of(answers: Sequence[Labels], aspect: Aspect) -> NDArray[np.float32]:
    """Return the probability (N,) of a class in N answers, in 0…1."""
    return np.array([answer.scores_K[aspect.index] for answer in answers], np.float32)


def evidence_of(answer: Labels, aspect: Aspect) -> NDArray[np.float32]:
    """Return the evidence for a class at each position of the net's input, (h, w), above the mean of all classes.

    Raises SettingsError: the answer has no class map.
    """
    return _above_mean(_map_of(answer), aspect.index)


def raw_evidence_of(answer: Labels, aspect: Aspect) -> NDArray[np.float32]:
    """Return a class's own map, (h, w), in logits; raises as `evidence_of`."""
    raw_hw: NDArray[np.float32] = _map_of(answer)[aspect.index]
    return raw_hw


def heat_of(
    answer: Labels, aspect: Aspect, input_settings: Preprocessing, size: tuple[int, int]
) -> NDArray[np.float32]:
    """Return how strongly each pixel speaks for a class, as `Labels.heat`."""
    return answer.heat(aspect.index, input_settings, size)


def _map_of(answer: Labels) -> NDArray[np.float32]:
    if answer.class_map_Khw is None:
        raise SettingsError("this prediction has no class map, so there is nothing to explain it with.")
    return answer.class_map_Khw


def _above_mean(maps_Khw: NDArray[np.float32], index: int) -> NDArray[np.float32]:
    maps_Khw = maps_Khw.astype(np.float32)
    return maps_Khw[index] - (maps_Khw.mean(axis=0) if len(maps_Khw) > 1 else 0)
