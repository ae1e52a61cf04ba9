"""Claim: the metrics of 5,000 pictures with 365,000 detections take at most a tenth of pycocotools' time.

The pictures are made: as many classes, objects and candidates as COCO's validation set has with a usual detector. Both
sides get what they read fastest (columns; a list of records that is already indexed), compute the twelve averages of
COCO, and must agree on them to 1e-4. `python -m benchmarks.detection_metrics 500` takes fewer pictures.
"""

import contextlib
import io
import sys

import numpy as np

from benchmarks.common import alternate, claim, machine
from sightsmith.kinds.boxes.matching import match
from sightsmith.kinds.boxes.metrics import Scorer
from sightsmith.kinds.boxes.rows import Rows, rows_of
from sightsmith.kinds.boxes.truth import boxed

_CLASSES, _SIDE = 80, 640
_OBJECTS, _CANDIDATES = 7, 73  # A picture, on average


def main() -> int:
    pictures = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    rows = _made(pictures)
    theirs = _coco(rows)
    print(f"{machine()}\n{pictures:,} pictures, {len(rows.classes_G):,} objects, {len(rows.labels_D):,} detections")
    gap = float(np.abs(np.array(_ours(rows)) - _averages(theirs)).max())
    rates = alternate({"ours": lambda: _ours(rows), "pycocotools": lambda: _averages(theirs)}, rounds=3)
    print(", ".join(f"{name} {1 / rate:.2f} s" for name, rate in rates.items()))
    return int(
        not all(
            [
                claim("largest difference of the averages", gap, 1e-4, unit="", at_most=True),
                claim("faster than pycocotools", rates["ours"] / rates["pycocotools"], 10),
            ]
        )
    )


def _made(pictures: int) -> Rows:
    rng = np.random.default_rng(0)
    common_C = 1 / np.arange(1, _CLASSES + 1) ** 0.8
    common_C /= common_C.sum()
    candidates, truths = [], []
    for _ in range(pictures):
        present = rng.choice(_CLASSES, 3, p=common_C)  # a picture has few classes, and many objects of each
        labels_M = rng.choice(present, rng.poisson(_OBJECTS))
        boxes_M4 = _boxes(rng, len(labels_M))
        truths.append(boxed(boxes_M4, labels_M, (_SIDE, _SIDE)))
        count = rng.poisson(_CANDIDATES)
        near = rng.integers(0, len(labels_M), count // 2) if len(labels_M) else np.zeros(0, np.int64)
        sides_K2 = boxes_M4[near, 2:] - boxes_M4[near, :2]
        moved_K4 = boxes_M4[near] + rng.normal(0, 0.1, (len(near), 4)) * np.tile(sides_K2, 2)
        boxes_K4 = np.concatenate([moved_K4, _boxes(rng, count - len(near))])
        boxes_K4[:, 2:] = np.maximum(boxes_K4[:, 2:], boxes_K4[:, :2] + 1)
        others_K = rng.choice(np.append(present, rng.integers(0, _CLASSES)), count - len(near))
        scores_K = np.concatenate([rng.beta(2, 3, len(near)), rng.beta(1, 6, count - len(near))])
        order = np.argsort(-scores_K)
        candidates.append((boxes_K4[order], scores_K[order], np.concatenate([labels_M[near], others_K])[order]))
    return rows_of(candidates, truths)


def _boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    sides_M2 = np.exp(rng.uniform(np.log(8), np.log(400), (count, 2)))
    corner_M2 = rng.random((count, 2)) * (_SIDE - sides_M2)
    return np.concatenate([corner_M2, corner_M2 + sides_M2], axis=1)


def _ours(rows: Rows) -> list[float]:
    averages = Scorer(match(rows), _CLASSES).averages(np.ones((1, len(rows))))
    return [float(value[0]) for value in averages.values()]


def _coco(rows: Rows) -> tuple:
    """Return the truth and the detections as pycocotools reads them."""
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": at + 1} for at in range(len(rows))],
            "categories": [{"id": at + 1} for at in range(_CLASSES)],
            "annotations": [
                {"id": at + 1, "iscrowd": 0, "area": float(rows.areas_G[at]), **_record(*one)}
                for at, one in enumerate(zip(rows.pictures_G, rows.classes_G, rows.truth_G4, strict=True))
            ],
        }
        truth.createIndex()
        found = [
            {"score": float(score), **_record(*one)}
            for score, *one in zip(rows.scores_D, rows.pictures_D, rows.labels_D, rows.boxes_D4, strict=True)
        ]
        return truth, truth.loadRes(found)


def _record(picture: int, label: int, box_4: np.ndarray) -> dict:
    left, top, right, bottom = box_4.tolist()
    sides = [left, top, right - left, bottom - top]
    return {"image_id": int(picture) + 1, "category_id": int(label) + 1, "bbox": sides}


def _averages(both: tuple) -> list[float]:
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        measured = COCOeval(*both, "bbox")
        measured.evaluate()
        measured.accumulate()
        measured.summarize()
    return measured.stats.tolist()


if __name__ == "__main__":
    sys.exit(main())
