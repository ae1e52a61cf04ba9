"""Rows of detections for tests: COCO's own fixture, and real objects with answers made from them; and the oracle."""

import contextlib
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

from sightsmith.kinds.boxes.rows import Rows, rows_of
from sightsmith.kinds.boxes.truth import Boxed, boxed

CELLS = ("RBC", "WBC", "Platelets")


def coco_fixture(folder: Path) -> Rows:
    """Return the detections and objects of `tests/test_coco_eval` of the shared data `detmetrics`."""
    truth = json.loads((folder / "gts/sampled_gts_bbox_area.json").read_text())
    found = json.loads((folder / "dets/sampled_bbox_results.json").read_text())["annotations"]
    pictures = sorted(truth["images"], key=lambda one: one["id"])
    index_of = {one["id"]: at for at, one in enumerate(truth["categories"])}
    truths, candidates = [], []
    for picture in pictures:
        real = [one for one in truth["annotations"] if one["image_id"] == picture["id"]]
        answered = sorted((one for one in found if one["image_id"] == picture["id"]), key=lambda one: -one["score"])
        truths.append(
            boxed(
                corners(real),
                np.array([index_of[one["category_id"]] for one in real]),
                (picture["width"], picture["height"]),
                crowd_N=np.array([bool(one["iscrowd"]) for one in real], dtype=np.bool_),
                areas_N=np.array([float(one["area"]) for one in real]),
            )
        )
        scores = np.array([one["score"] for one in answered])
        candidates.append((corners(answered), scores, np.array([index_of[one["category_id"]] for one in answered])))
    return rows_of(candidates, truths)


def corners(records: list) -> np.ndarray:
    boxes_N4 = np.array([one["bbox"] for one in records], dtype=np.float64).reshape(-1, 4)
    boxes_N4[:, 2:] += boxes_N4[:, :2]
    return boxes_N4


def cells(folder: Path, count: int = 40) -> tuple[list[str], list[Boxed]]:
    """Return the names of the first pictures of `bccd_voc`, and their truths."""
    keys, truths = [], []
    for file in sorted((folder / "Annotations").glob("*.xml"))[:count]:
        root = ET.parse(file).getroot()
        found = [
            (CELLS.index(one.findtext("name")), [float(one.findtext(f"bndbox/{edge}")) for edge in EDGES])
            for one in root.iter("object")
        ]
        found = [(label, box) for label, box in found if box[2] > box[0] and box[3] > box[1]]
        size = int(root.findtext("size/width")), int(root.findtext("size/height"))
        truths.append(boxed(np.array([box for _, box in found]), np.array([label for label, _ in found]), size))
        keys.append(file.stem)
    return keys, truths


EDGES = ("xmin", "ymin", "xmax", "ymax")


def answers_like(truths: list[Boxed], *, classes: int, seed: int = 0, blur: float = 0.08, extra: int = 8) -> list:
    """Return candidates made of the truths: moved, some missed, doubled or of another class, and invented ones."""
    rng = np.random.default_rng(seed)
    candidates = []
    for truth in truths:
        chosen = np.flatnonzero(rng.random(len(truth)) > 0.1)
        chosen = np.concatenate([chosen, chosen[rng.random(len(chosen)) < 0.2]])
        sides_M2 = truth.boxes_N4[chosen, 2:] - truth.boxes_N4[chosen, :2]
        moved_M4 = truth.boxes_N4[chosen] + rng.normal(0, blur, (len(chosen), 4)) * np.tile(sides_M2, 2)
        labels_M = np.where(
            rng.random(len(chosen)) < 0.1, rng.integers(0, classes, len(chosen)), truth.labels_N[chosen]
        )
        corner_E2 = rng.random((extra, 2)) * 0.7 * np.array(truth.size)
        invented_E4 = np.concatenate([corner_E2, corner_E2 + rng.uniform(10, 150, (extra, 2))], axis=1)
        boxes_K4 = np.concatenate([moved_M4, invented_E4])
        scores_K = np.concatenate([rng.beta(4, 2, len(chosen)), rng.beta(1.5, 6, extra)]).round(3)
        labels_K = np.concatenate([labels_M, rng.integers(0, classes, extra)])
        boxes_K4 = np.concatenate([np.minimum(boxes_K4[:, :2], boxes_K4[:, 2:] - 1), boxes_K4[:, 2:]], axis=1)
        order = np.argsort(-scores_K, kind="stable")
        candidates.append((boxes_K4[order], scores_K[order], labels_K[order]))
    return candidates


def pycocotools(rows: Rows, count: int) -> tuple[list[float], np.ndarray]:
    """Return the twelve averages of pycocotools, and the precision (T, C) averaged over the recalls."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": at + 1, "width": 1, "height": 1} for at in range(len(rows))],
            "categories": [{"id": at + 1, "name": str(at)} for at in range(count)],
            "annotations": [
                {
                    "id": at + 1,
                    "image_id": int(rows.pictures_G[at]) + 1,
                    "category_id": int(rows.classes_G[at]) + 1,
                    "bbox": _sides(rows.truth_G4[at]),
                    "area": float(rows.areas_G[at]),
                    "iscrowd": int(rows.crowd_G[at]),
                    "ignore": int(rows.ignored_G[at]),
                }
                for at in range(len(rows.classes_G))
            ],
        }
        truth.createIndex()
        found = truth.loadRes(
            [
                {
                    "image_id": int(rows.pictures_D[at]) + 1,
                    "category_id": int(rows.labels_D[at]) + 1,
                    "bbox": _sides(rows.boxes_D4[at]),
                    "score": float(rows.scores_D[at]),
                }
                for at in range(len(rows.labels_D))
            ]
        )
        measured = COCOeval(truth, found, "bbox")
        measured.evaluate()
        measured.accumulate()
        measured.summarize()
    precision_TC = measured.eval["precision"][:, :, :, 0, 2].mean(axis=1)
    return measured.stats.tolist(), precision_TC


def _sides(box_4: np.ndarray) -> list[float]:
    left, top, right, bottom = box_4.tolist()
    return [left, top, right - left, bottom - top]
