"""The peer of `detection`: Ultralytics' YOLO11n, trained from random numbers by its documented command line.

It is licensed under AGPL-3.0: it runs in an environment of its own, nothing here imports it, and its data, settings and
results are files. Its answers are measured by our metrics, as ours are.
"""

import csv
import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from benchmarks.common import ROOT, data, on_core, sightsmith
from sightsmith.data.settings import SourceOptions
from sightsmith.data.source import open_source
from sightsmith.kinds.boxes.metrics import headline
from sightsmith.kinds.boxes.rows import Candidates, rows_of

FOLDER = ROOT / "runs" / "detection"
SIDE, BATCH = 416, 16
_BIN = FOLDER / "peer" / "bin"
_SETTINGS = FOLDER / "peer-settings"
_SAME = (f"imgsz={SIDE}", f"batch={BATCH}", "device=cpu", "workers=1", "plots=False", f"project={FOLDER}")
_FIRST_ID = 1  # Its JSON counts classes from 1, its data.yaml from 0
_OUT_OF_TIME = "NMS time limit"
_CLOSE = 0.05  # Its rule of interpolation differs: 0.362 by its own metrics was 0.386 by ours, with equal mAP 50


class Training(NamedTuple):
    """What a training tells of itself."""

    curve: list[tuple[float, float]]
    """By epoch: seconds since the start, and mAP 50:95 on the validation pictures."""
    processor: float
    """Seconds of the processor, of the whole command."""


def install() -> None:
    """Make the peer's environment, once; nothing is sent from it."""
    if not (_BIN / "yolo").exists():
        subprocess.run([sys.executable, "-m", "venv", FOLDER / "peer"], check=True)
        pip = [_BIN / "python", "-m", "pip"]
        subprocess.run([*pip, "install", "--quiet", "ultralytics"], check=True)
        subprocess.run([*pip, "uninstall", "--quiet", "--yes", "opencv-python"], check=True)
        subprocess.run([*pip, "install", "--quiet", "opencv-python-headless"], check=True)
    if not _SETTINGS.exists():
        _SETTINGS.mkdir(parents=True)
        run(0, "settings", "sync=False")


def run(core: int, *arguments: str) -> tuple[str, float]:
    """Run its command on one core and return its output, and its seconds of the processor."""
    log = FOLDER / f"core{core}.log"
    start = log.stat().st_size if log.exists() else 0
    processor = on_core(core, FOLDER, _BIN / "yolo", *arguments, YOLO_CONFIG_DIR=str(_SETTINGS))
    return log.read_bytes()[start:].decode(), processor


def converted() -> Path:
    """Return `bccd_voc` in its format, with the same splits."""
    out = FOLDER / "bccd"
    if not out.exists():
        sightsmith("convert", data("bccd_voc"), "--to", "yolo", "--out", out, quiet=True)
    return out


def train(core: int, name: str, folder: Path, *settings: str) -> Training:
    """Train from random numbers on one core."""
    shutil.rmtree(FOLDER / name, ignore_errors=True)  # of an interrupted run
    learning = ("model=yolo11n.yaml", "pretrained=False", f"data={folder / 'data.yaml'}", f"name={name}", *settings)
    _, processor = run(core, "detect", "train", *learning, *_SAME)
    with (FOLDER / name / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return Training([(float(row["time"]), float(row["metrics/mAP50-95(B)"])) for row in rows], processor)


def measure(core: int, name: str, folder: Path) -> dict[str, float]:
    """Return `map` and `map_50` of its best weights on the test pictures.

    Raises RuntimeError: its own mAP is another, so that its files were read wrongly; or it ran out of the time that it
    grants itself to suppress boxes, and left pictures out.
    """
    out = f"{name}-test"
    shutil.rmtree(FOLDER / out, ignore_errors=True)
    weights = FOLDER / name / "weights" / "best.pt"
    asked = (f"model={weights}", f"data={folder / 'data.yaml'}", "split=test", "save_json=True", f"name={out}")
    log, _ = run(core, "detect", "val", *asked, *_SAME)
    if _OUT_OF_TIME in log:
        raise RuntimeError(
            f"{name}: the peer left pictures out ({_OUT_OF_TIME}). Measure on a machine that is less busy"
        )
    names = yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))["names"]
    answers = json.loads((FOLDER / out / "predictions.json").read_text(encoding="utf-8"))
    measured = measured_of(answers, {number + _FIRST_ID: name for number, name in names.items()})
    own = _own_map(log)
    if abs(own - measured["map"]) > _CLOSE:
        raise RuntimeError(f"{name}: mAP {measured['map']:.4f} by our metrics, {own:.4f} by its own")
    return measured | {"own_map": own}


def measured_of(answers: list[dict[str, Any]], names: dict[int, str], split: str = "test") -> dict[str, float]:
    """Measure answers in COCO's format; `image_id` is the stem of a picture's file, `category_id` a key of `names`."""
    source = open_source(str(data("bccd_voc")), SourceOptions())
    samples = [sample for sample in source.samples if sample.split == split]
    by_picture: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in answers:
        by_picture[str(one["image_id"])].append(one)
    labels = {number: source.names.index(name) for number, name in names.items()}
    candidates = [_candidates(by_picture.pop(Path(sample.key).stem, []), labels) for sample in samples]
    if by_picture:
        raise RuntimeError(f"answers to pictures that are not in {split}: {', '.join(sorted(by_picture)[:3])}")
    return headline(rows_of(candidates, [sample.target for sample in samples]))


def _candidates(answers: list[dict[str, Any]], labels: dict[int, int]) -> Candidates:
    answers = sorted(answers, key=lambda one: -one["score"])
    boxes_K4 = np.array([one["bbox"] for one in answers], dtype=np.float64).reshape(-1, 4)
    boxes_K4[:, 2:] += boxes_K4[:, :2]
    scores_K = np.array([one["score"] for one in answers], dtype=np.float64)
    return boxes_K4, scores_K, np.array([labels[one["category_id"]] for one in answers], dtype=np.int64)


def _own_map(log: str) -> float:
    """Return the mAP that it printed last: the line of all classes ends with it."""
    return float(re.findall(r"^ +all +(?:\S+ +)*(\S+) *$", log, re.MULTILINE)[-1])
