"""Training on clips: two nets beside each other, one kept and one compared with it, on frames that are decoded once."""

import csv
import json
import os
import shutil
import signal
from itertools import count

import numpy as np
import pytest
from PIL import Image
from torch.optim.optimizer import register_optimizer_step_post_hook

from sightsmith import load
from sightsmith.bundle.own_data import open_own
from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import OutputExistsError, SettingsError, TrainingError
from sightsmith.core.video import Clip
from sightsmith.evaluation.settings import EvaluateSettings
from sightsmith.evaluation.test_data import given_data, open_evaluation_data
from sightsmith.runtime.settings import PredictSettings
from sightsmith.training import fit
from sightsmith.training.settings import TrainSettings
from sightsmith.training.train import train


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    """Write frames of a bar that moves to the right or to the left: 10 clips of 6 frames each."""
    folder, rng = tmp_path_factory.mktemp("bars"), np.random.default_rng(0)
    for label in ("left", "right"):
        for number in range(10):
            clip = folder / label / f"{number}"
            clip.mkdir(parents=True)
            for time in range(6):
                pixels_HW = rng.integers(0, 60, (16, 16), dtype=np.uint8)
                column = 2 * (time if label == "right" else 5 - time) + number % 4
                pixels_HW[:, column : column + 2] = 255
                Image.fromarray(pixels_HW).save(clip / f"{time}.png")
    return folder


def run(data, out, *, quiet=True, **changes):
    small = {"epochs": 1, "size": 16, "frames": 4, "net": {"hidden": 4}, "near_duplicates": False, "format": "clips"}
    parts = {"val_fraction": 0.3, "test_fraction": 0.2, "device": "cpu", "threads": 1, "workers": 0}
    return train(TrainSettings(data=str(data), out=out, **(small | parts | changes)), quiet=quiet)


def rows(path):
    return list(csv.DictReader((path / "report/metrics.csv").read_text().splitlines()))


def nets_of(out):
    return sorted(path.name for path in (out.parent / f"{out.name}.baselines").iterdir())


def test_one_net_is_kept_and_the_other_is_compared_with_it_also_after_a_stop(bars, tmp_path, monkeypatch, capsys):
    learn, seen = fit.learn, []

    def stopped(run, loaders):
        seen.append(run.plan.model.value)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return learn(run, loaders)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(fit, "learn", stopped)
        run(bars, tmp_path / "m")
    assert seen == ["lstm", "frames"]
    curve = (tmp_path / "m.train/metrics.csv").read_text()
    bundle = run(bars, tmp_path / "m", quiet=False, resume=True)
    told = capsys.readouterr().err
    assert "trained alike, so about twice the time; the better one on validation is kept" in told
    assert "clips/s" in told
    assert "20 clips (" in told
    assert "img/s" not in told
    kept = bundle.manifest.net.name
    (other,) = {"lstm", "frames"} - {kept}
    assert bundle.manifest.training["baselines"] == {other: ""}
    assert nets_of(tmp_path / "m") == [other]
    places = {kept: tmp_path / "m", other: tmp_path / "m.baselines" / other}
    assert (places["lstm"] / "report/metrics.csv").read_text() == curve, "the first net was trained again"
    scores = {name: float(rows(path)[0]["val_accuracy"]) for name, path in places.items()}
    assert f"val accuracy {scores['frames']:.4f} by frames, {scores['lstm']:.4f} by lstm" in told
    assert scores[kept] >= scores[other]
    assert (places[kept] / "splits.json").read_text() == (places[other] / "splits.json").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "m.baselines"]


@pytest.mark.parametrize("model", ["auto", "lstm"])
def test_a_stop_in_the_second_net_ends_the_training_which_goes_on_there(bars, tmp_path, model):
    steps, stopping = count(1), 8  # the second of the second net: 3 steps an epoch, 2 epochs a net

    def after_step(*_):
        if next(steps) == stopping:
            os.kill(os.getpid(), signal.SIGTERM)

    with (
        register_optimizer_step_post_hook(after_step),
        pytest.raises(TrainingError, match="stopped by SIGTERM in epoch 1"),
    ):
        run(bars, tmp_path / "m", model=model, epochs=2)
    assert [path.name for path in tmp_path.iterdir()] == ["m.train"]
    bundle = run(bars, tmp_path / "m", model=model, epochs=2, resume=True)
    kept = bundle.manifest.net.name
    path = bundle.path if kept == "frames" else tmp_path / "m.baselines/frames"
    alone = run(bars, tmp_path / "alone", model="frames", epochs=2, net={}, baselines=False)
    for column in ("train_loss", "val_loss"):
        assert [row[column] for row in rows(path)] == [row[column] for row in rows(alone.path)]


def test_a_named_net_is_compared_with_frames_of_the_same_backbone(bars, tmp_path):
    bundle = run(bars, tmp_path / "m", model="lstm", net={"hidden": 4, "backbone": "smallresnet"})
    assert bundle.manifest.net.name == "lstm"
    assert bundle.manifest.training["baselines"] == {"frames": ""}
    with pytest.raises(OutputExistsError, match=r"m\.baselines exists already"):
        bundle.path.rename(tmp_path / "moved")
        run(bars, tmp_path / "m", model="lstm")
    with Bundle.open(tmp_path / "m.baselines/frames") as frames:
        assert frames.manifest.net.settings["backbone"] == "smallresnet"


def test_two_nets_share_the_minutes(bars, tmp_path, capsys):
    run(bars, tmp_path / "m", epochs=None, minutes=0.001, quiet=False)
    assert "trained alike, sharing the minutes; the better one on validation is kept" in capsys.readouterr().err
    for path in (tmp_path / "m", *(tmp_path / "m.baselines").iterdir()):
        with Bundle.open(path) as bundle:
            assert bundle.manifest.training["plan"]["epochs"]["why"].startswith("0.0005 min at ")


def test_without_baselines_there_is_one_net(bars, tmp_path):
    bundle = run(bars, tmp_path / "m", baselines=False)
    assert bundle.manifest.net.name == "lstm"
    assert "baselines" not in bundle.manifest.training
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_the_rate_of_frames_is_that_of_the_training_in_evaluation_and_prediction(bars, tmp_path):
    bundle = run(bars, tmp_path / "m", frame_rate=10, sampling="dense", spacing=0.1, baselines=False)
    assert {sample.item.rate for sample in open_own(bundle).samples} == {10}
    shutil.copytree(bars / "left", tmp_path / "other" / "left")
    shutil.copytree(bars / "right", tmp_path / "other" / "right")
    other = given_data(bundle, tmp_path / "other")
    assert {sample.item.rate for sample in other.samples} == {10}
    slower = given_data(bundle, tmp_path / "other", EvaluateSettings(frame_rate=5))
    assert {sample.item.rate for sample in slower.samples} == {5}
    with pytest.raises(SettingsError, match="frame_rate: the model's own data is read as at its training"):
        open_evaluation_data(bundle, EvaluateSettings(frame_rate=5))

    frames = tuple(sorted((bars / "left" / "0").iterdir()))
    with load(bundle.path, backend="torch", threads=1) as model:
        for asked, rate in ((None, 10), (25, 25)):
            out = tmp_path / f"{rate}.jsonl"
            model.predict_to([str(bars / "left" / "0")], PredictSettings(out=out, frame_rate=asked))
            expected = model.predict(Clip(frames, rate=rate)).to_json()
            assert json.loads(out.read_text())["labels"][0]["score"] == pytest.approx(expected[0]["score"], abs=1e-5)
        scores = [model.predict(Clip(frames, rate=rate)).to_json()[0]["score"] for rate in (10, 25)]
    assert abs(scores[0] - scores[1]) > 1e-4, "the rate tells which frames are seen"


@pytest.mark.parametrize("sampling", ["segments", "uniform"])
def test_frames_in_memory_give_the_same_training_as_files(bars, tmp_path, sampling):
    one, two = (
        run(bars, tmp_path / cache, cache=cache, sampling=sampling, baselines=False) for cache in ("auto", "off")
    )
    assert one.manifest.training["plan"]["cache"]["value"] == "ram"
    assert two.manifest.training["plan"]["cache"]["value"] == "off"
    for name in ("train_loss", "val_loss"):
        assert rows(one.path)[0][name] == rows(two.path)[0][name]
