"""Clips that are not what they should be: `check`, `train` and `predict` name each, or answer rightly.

`tests/serving/test_clips.py` sends the same clips to a service.
"""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from moving_clips import bar_frames
from odd_clips import LEFT_OUT, ODD, write_odd_clips
from sightsmith import load
from sightsmith.data.gate import GateSettings, check
from sightsmith.data.source import open_source
from sightsmith.data.splits import Splits
from sightsmith.runtime.settings import PredictSettings
from sightsmith.training.settings import TrainSettings
from sightsmith.training.train import train
from video_files import write_video

pytest.importorskip("av", reason="needs PyAV: pip install 'sightsmith[video]'")

GOOD = [f"{label}/{number}.mp4" for label in ("left", "right") for number in range(6)]
PIPE = "a pipe or a device, not a file"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder of twelve small clips of two classes, and of the odd ones in the class `left`."""
    folder, rng = tmp_path_factory.mktemp("clips") / "clips", np.random.default_rng(0)
    for name in GOOD:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        steps = 2 * np.arange(6) * (1 if "right" in name else -1)
        write_video(folder / name, bar_frames(rng.integers(16) + steps, rng), options={"qmax": "2"})
    write_odd_clips(folder / "left")
    os.mkfifo(folder / "left" / "pipe.mp4")
    (folder / "left" / "list.m3u8").write_text("#EXTM3U\n#EXTINF:9,\n1.mp4\n")
    return folder


@pytest.fixture(scope="module")
def bundle(place, tmp_path_factory):
    """Train on the folder and return the bundle."""
    small = {"epochs": 1, "size": 16, "frames": 4, "net": {"hidden": 4}, "near_duplicates": False}
    where = {"baselines": False, "device": "cpu", "threads": 1, "workers": 0, "max_bad": 1.0}
    return train(TrainSettings(data=str(place), out=tmp_path_factory.mktemp("b") / "m", **small, **where), quiet=True)


def test_check_names_them(place):
    report = check(open_source(place), GateSettings(tiny_class=1, near_duplicates=False), quiet=True)
    found = {problem.code: set(problem.keys) for problem in report.problems}
    assert found["unreadable"] == {"left/pipe.mp4", *(f"left/{name}" for name in LEFT_OUT if name != "claims.mkv")}
    why = dict(report.skipped)
    assert PIPE in why["left/pipe.mp4"]
    for name, message in LEFT_OUT.items():
        assert message in why[f"left/{name}"]
    for name, code in ODD.items():
        assert code is None or f"left/{name}" in found[code]
        assert f"left/{name}" not in why
    assert found["not-a-picture"] == {"left/list.m3u8"}


def test_training_leaves_them_out_and_uses_the_rest(bundle):
    assert Splits.from_json(bundle.splits()).of.keys() == {*GOOD, *(f"left/{name}" for name in ODD)}


def test_prediction_names_them_and_answers_the_rest(bundle, place, tmp_path):
    asked = [str(place), str(place / "left" / "list.m3u8"), str(place / "left" / "pipe.mp4")]
    with load(bundle.path, backend="torch", threads=1) as model:
        failed = model.predict_to(asked, PredictSettings(out=tmp_path / "answers.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    errors = {row["clip"].removeprefix(f"{place}/"): row.get("error") for row in rows}
    named = {f"left/{name}": message for name, message in LEFT_OUT.items() if name != "claims.mkv"}
    named |= {"left/pipe.mp4": PIPE, "left/list.m3u8": "a playlist, which names other files or addresses"}
    for name, error in errors.items():
        assert (error is None) if name not in named else (named[name] in error), name
    assert errors.keys() == {*GOOD, *named, *(f"left/{name}" for name in ODD), "left/claims.mkv"}
    assert len(failed) == len(named) + 1, "the pipe is named twice"


def test_pictures_beside_videos_are_not_answered_as_frames(bundle, place, tmp_path):
    shutil.copy(place / GOOD[0], tmp_path / "a.mp4")
    (tmp_path / "frames").mkdir()
    for path in (tmp_path / "cover.png", tmp_path / "frames" / "0.png"):
        Image.new("RGB", (16, 16)).save(path)
    with load(bundle.path, backend="torch", threads=1) as model:
        failed = model.predict_to([str(tmp_path)], PredictSettings(out=tmp_path / "answers.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [row["clip"] for row in rows if "error" not in row] == [f"{tmp_path}/a.mp4", f"{tmp_path}/frames"]
    (why,) = failed
    assert "1 picture beside videos: not taken for frames" in why
