"""Training finds objects: from files to a bundle, of few pictures, without objects, and after an interruption."""

import csv
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from PIL import Image

from box_data import voc_xml
from sightsmith.core.errors import SettingsError
from sightsmith.core.settings import from_mapping
from sightsmith.model import load
from sightsmith.training.settings import TrainSettings
from sightsmith.training.train import train

SCRIPT = Path(__file__).with_name("trainer_process.py")
SIDE = 64
SETTINGS = {"size": SIDE, "epochs": 2, "workers": 0, "net": {"cold_steps": 2}, "near_duplicates": False}


def write_scenes(folder, count, seed=0, most=2):
    """Write pictures with up to `most` dark or bright rectangles, in the format of Pascal VOC."""
    rng = np.random.default_rng(seed)
    (folder / "JPEGImages").mkdir(parents=True)
    (folder / "Annotations").mkdir()
    for number in range(count):
        pixels, objects = rng.integers(110, 140, (SIDE, SIDE, 3)).astype(np.uint8), []
        for place in range(int(rng.integers(min(1, most), most + 1))):
            left, top, label = 4 + 32 * place + int(rng.integers(4)), int(rng.integers(32)), int(rng.integers(2))
            pixels[top : top + 24, left : left + 24] = 240 if label else 15
            objects.append((("dark", "bright")[label], (left + 1, top + 1, left + 24, top + 24)))
        Image.fromarray(pixels).save(folder / "JPEGImages" / f"{number:03}.png")
        (folder / "Annotations" / f"{number:03}.xml").write_text(voc_xml(f"{number:03}", objects, (SIDE, SIDE)))
    return folder


def train_here(data, out, **changes):
    settings = {"data": str(data), "out": str(out), **SETTINGS, **changes}
    return train(from_mapping(TrainSettings, settings, where="test"), quiet=True)


def test_few_pictures_become_a_bundle_that_finds_objects_in_their_pixels(tmp_path):
    data = write_scenes(tmp_path / "scenes", 14)
    bundle = train_here(data, tmp_path / "out")
    plan = bundle.manifest.training["plan"]
    chosen = {name: plan[name]["value"] for name in ("model", "resize", "batch_size", "schedule", "clip", "ema")}
    assert chosen == {
        "model": "yolo", "resize": "letterbox", "batch_size": 16, "schedule": "flat", "clip": 10.0, "ema": 0.998
    }  # fmt: skip
    assert {"map", "map_50"} <= bundle.manifest.metrics["val"].keys()
    calibrated = bundle.manifest.definition.calibrated
    assert calibrated["overlap"] == 0.65
    assert 0 < calibrated["threshold"] <= 1
    answer = load(bundle.path).predict(data / "JPEGImages/000.png")
    assert {one["label"] for one in answer.to_json(threshold=0.0)} <= {"dark", "bright"}
    assert all(0 <= edge <= SIDE for one in answer.to_json(threshold=0.0) for edge in one["box"].values())


def test_a_validation_without_objects_is_measured_as_0(tmp_path):
    data = write_scenes(tmp_path / "scenes", 8)
    for path in sorted((data / "Annotations").iterdir())[6:]:
        path.write_text(voc_xml(path.stem, [], (SIDE, SIDE)))
    sets = data / "ImageSets/Main"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("".join(f"{number:03}\n" for number in range(6)))
    (sets / "val.txt").write_text("006\n007\n")
    bundle = train_here(data, tmp_path / "out", epochs=1)
    assert bundle.manifest.metrics["val"]["map"] == 0


def test_there_are_no_baselines_for_objects(tmp_path):
    data = write_scenes(tmp_path / "scenes", 8)
    with pytest.raises(SettingsError, match="the task 'detect' has no baselines. Leave"):
        train_here(data, tmp_path / "out", baselines=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_training_of_objects_goes_on_after_an_interruption_as_if_there_had_been_none(tmp_path):
    data = write_scenes(tmp_path / "scenes", 20)
    how = {"batch_size": 4, "epochs": 2, "net": {"cold_steps": 6}}
    train_here(data, tmp_path / "whole/out", **how)
    place = tmp_path / "stopped"
    place.mkdir()
    settings = {"data": str(data), "out": str(place / "out"), **SETTINGS, **how, "terminate_at_step": 5}
    (place / "run.toml").write_text(tomli_w.dumps(settings))
    ended = subprocess.run([sys.executable, SCRIPT, place / "run.toml"], check=False, capture_output=True, text=True)
    assert ended.returncode == 128 + signal.SIGTERM, ended.stderr
    train_here(data, place / "out", **how, resume=True)
    losses = [curve(folder) for folder in (tmp_path / "whole/out", place / "out")]
    assert losses[0] == losses[1]


def curve(bundle):
    """Return the figures of each epoch without the times."""
    with (bundle / "report/metrics.csv").open() as file:
        timed = {"seconds", "images_per_second"}
        return [{name: value for name, value in row.items() if name not in timed} for row in csv.DictReader(file)]
