"""The answer of a detector: boxes with names and scores.

On the side of the net, boxes are in shares of its input (0…1 across and down), so that nothing here depends on the
input's size; an answer is moved to the pixels of the upright picture by the placement.

Shapes: N pictures, K candidates, M objects of a truth, C names; 4 = (left, top, right, bottom);
6 = (left, top, right, bottom, score, label) of a candidate, (left, top, right, bottom, label, ignored) of an object.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.errors import BackendError, SettingsError
from sightsmith.core.names import did_you_mean, shortened
from sightsmith.core.placement import Placement
from sightsmith.kinds.boxes import metrics
from sightsmith.kinds.boxes.geometry import iou, suppressed
from sightsmith.kinds.boxes.matching import RIGHT, match
from sightsmith.kinds.boxes.options import Options
from sightsmith.kinds.boxes.rows import Candidates, Rows, rows_of, truths_of
from sightsmith.kinds.boxes.truth import PADDING, Boxed, boxed
from sightsmith.kinds.parts import named
from sightsmith.kinds.parts.answer import Answer, Aspect
from sightsmith.kinds.parts.metric import Metric
from sightsmith.kinds.parts.shapes import Shape

METRIC = Metric(name="map", title="mAP 50:95", most_drop=0.002, least_alike=0.9)
TASKS = {"picture": "detect"}
NOUNS = ("object class", "object classes")
HUB_TASKS = {"picture": "object-detection"}
COLUMNS = ("label", "score", "xmin", "ymin", "xmax", "ymax")
WHOLE = True
GEOMETRY = "corners"
METHOD = "drise"
EVIDENCE = EVIDENCE_UNIT = None
STRENGTH = "similarity of the most similar box"
TOLERANCES: dict[str, dict[str, float]] = {
    "fp32": {"scores": 1e-2, "boxes": 2e-2},
    "bf16": {"scores": 1e-1, "boxes": 1.5e-1},
}
"""`boxes` is 1 - IoU of two boxes of one object."""
OUTPUT = "detections"  # The one output of the graph, (N, K, 6), in shares of the input; free places have score 0

_OVERLAP = 0.65  # Of non-maximum suppression if the model says nothing
_THRESHOLD = 0.25  # Likewise
_MEASURED = 0.001  # Candidates with lower scores are not measured
_MOST_MEASURED = 300  # Candidates of a picture
_COMPARED = 0.05  # Objects with lower scores are not compared between backends if there are surer ones
_LEAST_SIDE = 0.01  # Of a box in pixels: answers give hundredths
_SAME_OBJECT = 0.5  # IoU from which two boxes of a label are one object


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Boxes(Answer):
    """The objects in one picture.

    Attributes:
        names: of the classes of objects.
        boxes_K4: of the candidates, in pixels of the upright picture.
        scores_K: how sure the model is of each, 0…1, best first.
        labels_K: indices of the names.
        thresholds_C: least score of an object of each name, unless another is asked for.
        overlap: by which two boxes of one name are one object, unless another is asked for.
    """

    names: tuple[str, ...]
    boxes_K4: NDArray[np.float32]
    scores_K: NDArray[np.float32]
    labels_K: NDArray[np.int64]
    thresholds_C: NDArray[np.float32]
    overlap: float = _OVERLAP
    class_map_Khw: None = None

    def kept(
        self,
        threshold: float | None = Options.threshold,
        iou: float | None = Options.iou,
        most: int = Options.most,
    ) -> NDArray[np.int64]:
        """Return the places of the candidates that are objects, best first."""
        least_K = self.thresholds_C[self.labels_K] if threshold is None else np.float32(threshold)
        sure_K = np.flatnonzero(self.scores_K >= least_K)
        gone_K = suppressed(self.boxes_K4[sure_K], self.labels_K[sure_K], self.overlap if iou is None else iou)
        return sure_K[~gone_K][:most]

    def to_json(self, **options: Any) -> list[dict[str, Any]]:
        """Return the objects, best first: scores to 6 decimals, boxes to hundredths of a pixel."""
        return [
            {"label": name, "score": round(score, 6), "box": dict(zip(COLUMNS[2:], box, strict=True))}
            for name, score, box in self.objects(**options)
        ]

    def objects(self, **options: Any) -> list[tuple[str, float, list[float]]]:
        """Return (name, score, [xmin, ymin, xmax, ymax]) of the objects, best first; the arguments are `Options`."""
        places = self.kept(**options)
        boxes_K4 = self.boxes_K4[places].astype(np.float64).round(2).tolist()
        labels, scores = self.labels_K[places].tolist(), self.scores_K[places].astype(np.float64).tolist()
        return [(self.names[at], score, box) for at, score, box in zip(labels, scores, boxes_K4, strict=True)]

    def to_truth(self, size: tuple[int, int], **options: Any) -> Boxed:
        """Return the objects as those of a picture of (width, height) pixels, with their scores."""
        found, index_of = self.objects(**options), {name: at for at, name in enumerate(self.names)}
        return boxed(
            np.array([box for _, _, box in found]).reshape(-1, 4),
            np.array([index_of[name] for name, _, _ in found]),
            size,
            scores_N=np.array([score for _, score, _ in found]),
        )

    def to_supervision(self, **options: Any) -> Any:
        """Return the objects as `supervision.Detections`, best first, with `class_name` in its data.

        Raises BackendError: the package `supervision` is not installed.
        """
        try:
            from supervision import Detections
        except ImportError as error:
            raise BackendError("to_supervision needs the package supervision: `pip install supervision`.") from error
        places = self.kept(**options)
        labels_K = self.labels_K[places]
        return Detections(
            xyxy=self.boxes_K4[places],
            confidence=self.scores_K[places],
            class_id=labels_K.astype(int),
            data={"class_name": np.array([self.names[at] for at in labels_K.tolist()], dtype=str)},
        )

    def to_rows(self, **options: Any) -> list[list[str]]:
        """Return a row of `COLUMNS` an object; one of empty cells for a picture without any."""
        rows = [
            [name, f"{score:.6f}", *(f"{edge:.2f}" for edge in box)] for name, score, box in self.objects(**options)
        ]
        return rows or [[""] * len(COLUMNS)]

    def to_text(self, **options: Any) -> str:
        """Return how many objects of each name there are, in a line."""
        counts = Counter(name for name, _, _ in self.objects(**options))
        return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "no object"

    def shapes(self, **options: Any) -> list[Shape]:
        """Return a box for each object; its mark is the calibrated threshold of its name."""
        index_of = {name: at for at, name in enumerate(self.names)}
        marks = self.thresholds_C.tolist()
        return [
            Shape(
                shape="box",
                name=name,
                text=f"{score:.0%}",
                share=score,
                mark=marks[index_of[name]],
                box=tuple(box),
                index=index_of[name],
            )
            for name, score, box in self.objects(**options)
        ]

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the names and scores of the `k` surest objects."""
        return [(name, score) for name, score, _ in self.objects()[: max(0, k)]]

    def aspect(self, name: str | None = None) -> Aspect:
        """Return the object to explain: the surest of the name, or of all.

        Raises SettingsError: there is no such name, or no such object.
        """
        if name is not None and name not in self.names:
            raise SettingsError(f"the model has no object {shortened(name)!r}. {did_you_mean(name, self.names)}")
        places = [at for at in self.kept() if name in (None, self.names[self.labels_K[at]])]
        if not places:
            raise SettingsError(
                f"the model finds no {name or 'object'} in this picture, so there is none to explain. Give another "
                "picture."
            )
        at = places[0]
        label = int(self.labels_K[at])
        return Aspect(label, self.names[label], float(self.scores_K[at]), tuple(map(float, self.boxes_K4[at])))

    def score_of(self, aspect: Aspect) -> float:
        """Return the score of the most similar box, times its IoU with that of the aspect, 0…1."""
        same_K = self.labels_K == aspect.index
        if aspect.box is None or not same_K.any():
            return 0.0
        near_K = iou(np.array([aspect.box], np.float32), self.boxes_K4[same_K])[0]
        return float((near_K * self.scores_K[same_K]).max())

    strength_of = score_of


PREDICTION = Boxes
unlike = named.unlike


def decode(outputs: Mapping[str, NDArray[Any]], names: Sequence[str], calibrated: Mapping[str, Any]) -> list[Boxes]:
    """Make the answers to N pictures, in shares of the net's input.

    Args:
        outputs: `detections` (N, K, 6), free places with score 0.
        calibrated: `thresholds` of the first names, `threshold` of others, and `overlap` of non-maximum suppression.
    """
    thresholds_C = np.full(len(names), calibrated.get("threshold", _THRESHOLD), dtype=np.float32)
    own = calibrated.get("thresholds", [])
    thresholds_C[: len(own)] = own
    overlap = float(calibrated.get("overlap", _OVERLAP))
    answers = []
    for rows_K6 in outputs[OUTPUT]:
        rows_K6 = rows_K6[rows_K6[:, 4] > 0]
        rows_K6 = rows_K6[np.argsort(-rows_K6[:, 4], kind="stable")]
        answers.append(
            Boxes(
                tuple(names),
                rows_K6[:, :4].astype(np.float32),
                rows_K6[:, 4].astype(np.float32),
                rows_K6[:, 5].astype(np.int64),
                thresholds_C,
                overlap,
            )
        )
    return answers


def to_original(answer: Boxes, placement: Placement) -> Boxes:
    """Move an answer from shares of the net's input to pixels of the upright picture, which bounds its boxes.

    Candidates of which nothing is left are left out, such as those in the padding of a letterbox.
    """
    left, top, right, bottom = placement.box
    corner, scale = np.array([left, top] * 2), np.array([right - left, bottom - top] * 2)
    boxes_K4 = answer.boxes_K4.astype(np.float64) * scale + corner
    boxes_K4 = boxes_K4.clip(0, np.array([*placement.size] * 2, dtype=np.float64))
    seen_K = (boxes_K4[:, 2:] - boxes_K4[:, :2] >= _LEAST_SIDE).all(axis=1)
    return replace(
        answer,
        boxes_K4=boxes_K4[seen_K].astype(np.float32),
        scores_K=answer.scores_K[seen_K],
        labels_K=answer.labels_K[seen_K],
    )


def to_input(targets_M6: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    """Move targets from pixels of the upright picture to shares of the net's input; padding stays."""
    left, top, right, bottom = placement.box
    corner, scale = np.array([left, top] * 2), np.array([right - left, bottom - top] * 2)
    moved_M6 = targets_M6.copy()
    real_M = targets_M6[:, 4] != PADDING
    moved_M6[real_M, :4] = (targets_M6[real_M, :4] - corner) / scale
    return moved_M6


def measured(answer: Boxes) -> Candidates:
    """Return the candidates that metrics count: 300 of a picture at most, without overlapping ones of one name."""
    places = answer.kept(threshold=_MEASURED, most=_MOST_MEASURED)
    return answer.boxes_K4[places], answer.scores_K[places], answer.labels_K[places]


def headline(answers: Sequence[Boxes], truths: Sequence[Boxed]) -> float:
    """Return mAP 50:95 of N answers, in 0…1; NaN if the truths have no object to find."""
    return metrics.headline(rows_of([measured(answer) for answer in answers], truths))["map"]


def validation(
    detections_NK6: NDArray[np.floating], targets_NM6: NDArray[np.floating], overlap: float = _OVERLAP
) -> dict[str, float]:
    """Return `map` and `map_50` of a validation during training, 0 if there is no object; all in shares of the input.

    Overlaps do not change when the sides of a picture are stretched, so the values are those of the original, but for
    boxes that reach into the padding of a letterbox.
    """
    return {
        name: 0.0 if np.isnan(value) else value
        for name, value in metrics.headline(_rows(detections_NK6, targets_NM6, overlap)).items()
    }


def calibrate(
    detections_NK6: NDArray[np.floating], targets_NM6: NDArray[np.floating], overlap: float = _OVERLAP
) -> tuple[dict[str, Any], dict[str, float]]:
    """Return the `threshold` of all names, the `thresholds` of those that validation has, and `overlap`; with figures.

    Args:
        overlap: by which two boxes of one name are one object; 1 for nets that answer an object once.
    """
    rows = _rows(detections_NK6, targets_NM6, overlap)
    matches = match(rows)
    count = 1 + int(rows.classes_G.max(initial=-1))
    common, each = metrics.thresholds(matches, count, _THRESHOLD)
    least_C = np.array(each + [common] * (1 + int(matches.labels_D.max(initial=-1))))
    states_D = matches.states_DAT[matches.scores_D >= least_C[matches.labels_D], 0, 0]
    found, answered = int((states_D == RIGHT).sum()), int((states_D >= 0).sum())
    objects = int(matches.counted_GA[:, 0].sum())
    figures = {
        "f1_at_thresholds": 2 * found / max(1, answered + objects),
        "precision_at_thresholds": found / max(1, answered),
        "recall_at_thresholds": found / max(1, objects),
    }
    return {"threshold": common, "thresholds": each, "overlap": overlap}, figures


def _rows(detections_NK6: NDArray[np.floating], targets_NM6: NDArray[np.floating], overlap: float) -> Rows:
    names = [""] * (1 + int(detections_NK6[..., 5].max(initial=0)))
    inside_NK6 = np.concatenate([detections_NK6[..., :4].clip(0, 1), detections_NK6[..., 4:]], axis=-1)
    answers = decode({OUTPUT: inside_NK6}, names, {"overlap": overlap})
    return rows_of([measured(answer) for answer in answers], truths_of(targets_NM6), exact=True)


def differences(expected: Sequence[Boxes], got: Sequence[Boxes]) -> dict[str, float]:
    """Return the largest difference of `scores`, 0…1, and of `boxes` (1 - IoU), over objects with a score ≥ 0.05.

    An object is compared with the candidate of its label that is nearest in both, whatever the order of the candidates.
    If no picture has such an object, because the model has learned little, the surest of each picture is compared,
    whatever its label: among scores near 0 the label is chance. It must then have a counterpart, else `boxes` is 1.
    """
    unsure = max((one.scores_K.max(initial=0) for one in (*expected, *got)), default=0) < _COMPARED
    both_ways = [pair for one, other in zip(expected, got, strict=True) for pair in ((one, other), (other, one))]
    gaps = [_gap(*pair, unsure=unsure) for pair in both_ways]
    scores, boxes = np.max(gaps, axis=0)
    return {"scores": float(np.nan_to_num(scores, nan=np.inf)), "boxes": float(np.nan_to_num(boxes, nan=np.inf))}


def _gap(one: Boxes, other: Boxes, *, unsure: bool) -> tuple[float, float]:
    """Return the largest differences of scores and of boxes, from the objects of one to the candidates of the other.

    Args:
        unsure: compare the surest object alone, and with candidates of any label.
    """
    score, box = 0.0, 0.0
    for at in one.kept(threshold=0, most=1) if unsure else one.kept(threshold=_COMPARED):
        same_K = np.flatnonzero((other.labels_K == one.labels_K[at]) | unsure)
        near_K = iou(one.boxes_K4[at][None], other.boxes_K4[same_K])[0]
        like_K = np.flatnonzero(near_K >= _SAME_OBJECT)
        if not len(like_K):
            score, box = max(score, float(one.scores_K[at])), 1.0 if unsure else box
            continue
        apart_K = np.abs(other.scores_K[same_K[like_K]] - one.scores_K[at])
        best = like_K[(apart_K - near_K[like_K]).argmin()]  # not by overlap alone: neighbours hardly differ in it
        score = max(score, float(np.abs(other.scores_K[same_K[best]] - one.scores_K[at])))
        box = max(box, 1 - float(near_K[best]))
    return score, box


def same_answers(expected: Sequence[Boxes], got: Sequence[Boxes], tolerance: float = 0.0) -> float:
    """Return the share of pictures with the same objects, 0…1; one within the tolerance of its threshold may lack."""
    same = [
        _covered(one, other, tolerance) and _covered(other, one, tolerance)
        for one, other in zip(expected, got, strict=True)
    ]
    return float(np.mean(same)) if same else 1.0


def _covered(one: Boxes, other: Boxes, tolerance: float) -> bool:
    """Tell whether the other answer has each object of one."""
    for at in one.kept():
        label = one.labels_K[at]
        if one.scores_K[at] < one.thresholds_C[label] + tolerance:
            continue
        same_K = (other.labels_K == label) & (other.scores_K >= other.thresholds_C[label] - tolerance)
        if not same_K.any() or iou(one.boxes_K4[at][None], other.boxes_K4[same_K]).max() < _SAME_OBJECT:
            return False
    return True


def strata(truths: Sequence[Boxed | None]) -> NDArray[np.int64]:
    """Return the stratum of each truth, (N,): its rarest name, one more than the last for none, -1 for unknown."""
    known = [np.unique(truth.labels_N) for truth in truths if truth is not None]
    counts = Counter(label for labels in known for label in labels.tolist())
    none = max(counts, default=-1) + 1
    return np.array(
        [
            -1
            if truth is None
            else min(np.unique(truth.labels_N).tolist(), key=lambda at: (counts[at], at), default=none)
            for truth in truths
        ],
        dtype=np.int64,
    )


def pairs(truths: Sequence[Boxed | None]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which names the truths have: positions of truths (M,) and indices of names (M,)."""
    found = [
        (at, label)
        for at, truth in enumerate(truths)
        if truth is not None
        for label in np.unique(truth.labels_N).tolist()
    ]
    both = np.array(found, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def spread(truths: Sequence[Boxed], details: Mapping[str, Any]) -> tuple[str, list[tuple[str, int]]]:
    """Return nothing: how many pictures each name has is counted by name."""
    return "", []


def truth_text(truth: Boxed, names: Sequence[str]) -> str:
    """Return the objects of a truth, each with its box; equal texts are equal truths."""
    told = [
        f"{names[label]} {' '.join(f'{edge:g}' for edge in box)}{' ignored' if ignored else ''}"
        for label, box, ignored in zip(
            truth.labels_N.tolist(), truth.boxes_N4.round(3).tolist(), truth.ignored_N.tolist(), strict=True
        )
    ]
    return "; ".join(sorted(told)) or "no object"


def targets(truths: Sequence[Boxed], names: Sequence[str]) -> NDArray[np.float32]:
    """Return the targets of training, (N, M, 6), in pixels of the upright pictures, filled up with the label -1."""
    most = max((len(truth) for truth in truths), default=0)
    targets_NM6 = np.zeros((len(truths), max(1, most), 6), dtype=np.float32)
    targets_NM6[:, :, 4] = PADDING
    for rows_M6, truth in zip(targets_NM6, truths, strict=True):
        rows_M6[: len(truth), :4] = truth.boxes_N4
        rows_M6[: len(truth), 4] = truth.labels_N
        rows_M6[: len(truth), 5] = truth.ignored_N
    return targets_NM6


def translate(truth: Boxed, names: Sequence[str], model_names: Sequence[str]) -> Boxed:
    """Return a truth of data with these names as one of a model with those."""
    if tuple(names) == tuple(model_names):
        return truth
    index_of = {name: at for at, name in enumerate(model_names)}
    labels_N = np.array([index_of[names[at]] for at in truth.labels_N.tolist()], dtype=np.int64)
    return replace(truth, labels_N=labels_N)
