"""Two parts of `detection`: the time from candidates to objects, and the service beside the raw backend."""

import json
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import alternate, claim, data, sightsmith
from benchmarks.detection_peer import FOLDER
from benchmarks.serve_load import compute_metrics, running
from sightsmith.core.ports import stack
from sightsmith.runtime.predictor import Predictor

_CLASSES, _SIDE, _BATCH = 80, 640, 8  # So yolo answers at 80² + 40² + 20² = 8,400 points
_THRESHOLD = 0.25
_POINTS = 1000  # That the graph answers with
_USUAL = (20, 200)  # Objects of a made picture, and points that see one surely
_WORST = (_POINTS, _POINTS)  # Hardly any box is like another
_PORT, _CLIENTS, _ROUNDS = 8973, 16, 3


def decoding() -> bool:
    """Compare the time of the net in OpenVINO with that of its decoding, each for 8 pictures."""
    predictor = Predictor.open(_detector(), "openvino")
    pictures = sorted(data("imagenet500").glob("*.jpg"))[:_BATCH]
    batch = stack([predictor.feeds(path) for path in pictures])
    usual = {"detections": _candidates(*_USUAL)}
    worst = {"detections": _candidates(*_WORST)}

    def objects(outputs: dict[str, NDArray[np.float32]]) -> list[int]:
        return [len(answer.kept(threshold=_THRESHOLD)) for answer in predictor.decode(outputs)]

    rates = alternate(
        {"net": lambda: predictor.run(batch), "usual": lambda: objects(usual), "worst": lambda: objects(worst)}, 15
    )
    times = {name: 1000 / rate for name, rate in rates.items()}
    print(f"yolo n, {predictor.describe()}, {_SIDE} pixels, {_BATCH} pictures, {_CLASSES} classes: {times} ms")
    print(f"objects: usual {objects(usual)}, worst {objects(worst)}; worst / net {times['worst'] / times['net']:.3f}")
    return claim("decoding and suppression / net", times["usual"] / times["net"], 0.1, at_most=True)


def _detector() -> Path:
    """Train `yolo` for an epoch on photographs with a made box of each class: a net whose speed can be measured."""
    bundle = FOLDER / "of-80"
    if not bundle.exists():
        with tempfile.TemporaryDirectory() as name:
            sightsmith(
                "train", _photos(Path(name)), "--model", "yolo", "--size", str(_SIDE), "--epochs", "1",
                "--batch-size", "4", "--out", bundle, quiet=True,
            )  # fmt: skip
        sightsmith("export", bundle, "--to", "openvino", quiet=True)
    return bundle


def _photos(folder: Path) -> Path:
    (folder / "images").mkdir()
    images, objects = [], []
    for number, path in enumerate(sorted(data("imagenet500").glob("*.jpg"))[:12]):
        (folder / "images" / path.name).symlink_to(path)
        width, height = Image.open(path).size
        images.append({"id": number, "file_name": path.name, "width": width, "height": height})
        for kind in range(_CLASSES):
            box = [kind % 10 * width / 10, kind // 10 * height / 8, width / 10, height / 8]
            objects.append({"id": len(objects), "image_id": number, "category_id": kind, "bbox": box})
    names = [{"id": kind, "name": f"kind {kind}"} for kind in range(_CLASSES)]
    record = {"images": images, "categories": names, "annotations": objects}
    (folder / "instances.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def _candidates(objects: int, sure: int) -> NDArray[np.float32]:
    """Make the outputs of a net, best first: some of the points see one of the objects surely, the others do not."""
    rng = np.random.default_rng(0)
    rows_NK6 = np.zeros((_BATCH, _POINTS, 6), dtype=np.float32)
    for rows_K6 in rows_NK6:
        corners_O2, sides_O2 = rng.uniform(0, 0.7, (objects, 2)), rng.uniform(0.05, 0.3, (objects, 2))
        labels_O, objects_K = rng.integers(0, _CLASSES, objects), rng.integers(0, objects, _POINTS)
        moved_K2 = corners_O2[objects_K] + rng.normal(0, 0.05, (_POINTS, 2)) * sides_O2[objects_K]
        rows_K6[:, :2], rows_K6[:, 2:4] = moved_K2, moved_K2 + sides_O2[objects_K]
        scores_K = np.r_[rng.uniform(_THRESHOLD, 0.95, sure), rng.uniform(0.001, _THRESHOLD, _POINTS - sure)]
        rows_K6[:, 4] = np.sort(scores_K)[::-1]
        rows_K6[:, 5] = labels_O[objects_K]
    return rows_NK6


def served() -> bool:
    """Compare the service, asked by 16 clients with a JPEG, with the same graph on ready batches."""
    bundle = FOLDER / "served"
    if not bundle.exists():
        sightsmith("train", data("bccd_voc"), "--minutes", "3", "--out", bundle, quiet=True)
        sightsmith("export", bundle, "--to", "openvino", quiet=True)
    path = min(data("bccd_voc").glob("JPEGImages/*.jpg"))
    predictor = Predictor.open(bundle, "openvino")
    batches = [stack([predictor.feeds(path)] * 16)] * 10
    [answer] = list(predictor.predict([path]))
    command = [sys.executable, "-m", "sightsmith.cli", "serve", f"bench={bundle}", "--port", str(_PORT)]
    raw, rates = [], []
    with running(command, _PORT):
        for _ in range(_ROUNDS):
            found = alternate({"raw": lambda: list(predictor.stream(batches, predictor.outputs[:1]))}, 1, work=160)
            raw.append(found["raw"])
            rates.append(compute_metrics(_PORT, "/v1/models/bench/predict", path.read_bytes(), _CLIENTS)[0])
    print(f"yolo n, {predictor.describe()}, {_CLIENTS} clients, {answer.prediction}")
    print(f"served {rates} requests/s, raw {raw} pictures/s")
    return claim("served / raw backend", statistics.median(rates) / statistics.median(raw), 0.85)
