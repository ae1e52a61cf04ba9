"""A frozen backbone: its features are computed once, and the net is the one that is trained without that."""

import csv

import numpy as np
import pytest
from PIL import Image

from digit_training import settings, stop_after_first_checkpoint
from moving_bars import clips_of
from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import DataError, SettingsError, TrainingError
from sightsmith.training.train import train

NAMES = ("left", "right")
ALONE = {"model": "lstm", "net": {"backbone": "smallresnet", "hidden": 8}, "baselines": False}


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    """Write the frames of 24 clips of a bar that moves."""
    folder = tmp_path_factory.mktemp("bars")
    for number, (frames_THWC, target) in enumerate(zip(*clips_of(24), strict=True)):
        clip = folder / NAMES[target] / f"{number}"
        clip.mkdir(parents=True)
        for time, frame_HWC in enumerate(frames_THWC):
            Image.fromarray(frame_HWC).save(clip / f"{time}.png")
    return folder


@pytest.fixture(scope="module")
def weights(digit_files, tmp_path_factory):
    """Train a classifier of pictures and return the file of its weights."""
    out = tmp_path_factory.mktemp("pictures") / "digits"
    net = {"model": "smallresnet", "net": {}, "epochs": 1, "colour": "rgb", "size": 16}
    return train(settings(digit_files, out, **net), quiet=True).path / "weights.safetensors"


def run(data, out, weights, *, quiet=True, **changes):
    how = {"model": "auto", "net": {"backbone": "smallresnet"}, "weights": str(weights), "freeze_epochs": "all"}
    how |= {"epochs": 3, "size": 16, "near_duplicates": False, "val_fraction": 0.25, "precision": "fp32", "threads": 1}
    if (data / NAMES[0]).exists():
        how |= {"frames": 4, "format": "clips", "test_fraction": 0.25}
    return train(settings(data, out, **(how | changes)), quiet=quiet)


def cache_of(bundle):
    choice = bundle.manifest.training["plan"]["cache"]
    return choice["value"], choice["why"]


def close(one, two):
    first, second = one.weights("net"), two.weights("net")
    assert first.keys() == second.keys()
    return all(np.allclose(first[name], second[name], rtol=0, atol=1e-4) for name in first)


def curve(bundle):
    rows = csv.DictReader(bundle.file("report/metrics.csv").read_text().splitlines())
    return [(row["train_loss"], row["val_loss"], row["lr"]) for row in rows]


def test_kept_features_give_the_net_that_is_trained_without_them(bars, weights, tmp_path):
    """Of `lstm` and of `frames`, which is fitted beside it; only the head has learned."""
    with_cache, without = (run(bars, tmp_path / cache, weights, cache=cache) for cache in ("auto", "off"))
    value, why = cache_of(with_cache)
    assert value == "ram"
    assert why.startswith("features of the frozen backbone, computed once: 0.")
    assert cache_of(without) == ("off", "the frozen backbone runs in each epoch: as --cache off says")
    (other,) = {"lstm", "frames"} - {with_cache.manifest.net.name}
    beside = [Bundle.open(tmp_path / f"{cache}.baselines" / other) for cache in ("auto", "off")]
    for one, two in ((with_cache, without), beside):
        assert close(one, two)
        for name, expected in one.witnesses().outputs.items():
            np.testing.assert_allclose(two.witnesses().outputs[name], expected, atol=1e-4)
    assert cache_of(beside[0])[0] == "ram"
    trained, start = with_cache.weights("net"), Bundle.open(weights.parent).weights("net")
    prefix = "backbone." if with_cache.manifest.net.name == "lstm" else "net."
    resting = [name for name in start if not name.startswith("head")]
    assert any("running_mean" in name for name in resting)
    assert all(np.array_equal(start[name], trained[f"{prefix}{name}"]) for name in resting)
    assert len(set(curve(with_cache))) == 3


def test_epochs_show_views_of_varied_clips_in_turn_also_after_a_stop(bars, weights, tmp_path):
    varied = {**ALONE, "sampling": "segments", "jitter": 0.5}
    whole = run(bars, tmp_path / "whole", weights, epochs=20, **varied)
    assert "computed once, 4 views of each: 0." in cache_of(whole)[1]
    stop_after_first_checkpoint(tmp_path / "stopped")
    with pytest.raises(TrainingError, match="stopped by SIGTERM"):
        run(bars, tmp_path / "stopped", weights, epochs=20, **varied)
    resumed = run(bars, tmp_path / "stopped", weights, epochs=20, resume=True, **varied)
    assert curve(resumed) == curve(whole)
    first, second = whole.weights("net"), resumed.weights("net")
    assert all(np.array_equal(first[name], second[name]) for name in first)
    same = {"epochs": 5, "lr": 1e-30, "warmup_epochs": 0.0, "schedule": "constant", "batch_size": 4, "ema": 0.0}
    still = run(bars, tmp_path / "still", weights, **varied, **same)
    assert still.manifest.data["counts"]["train"] == 12, "each epoch shows each clip once"
    losses = [float(loss) for loss, _, _ in curve(still)]
    assert losses[4] == pytest.approx(losses[0], rel=1e-5), "the fifth epoch does not show the first view"
    assert len({round(loss, 5) for loss in losses}) == 4


def test_minutes_are_filled_at_the_pace_of_the_head(bars, weights, tmp_path):
    bundle = run(bars, tmp_path / "m", weights, epochs=None, minutes=0.02, **ALONE)
    assert bundle.manifest.training["plan"]["epochs"]["value"] > 1
    assert cache_of(bundle)[0] == "ram"


def test_pictures_are_classified_likewise(digit_files, weights, tmp_path):
    how = {"model": "smallresnet", "net": {}, "epochs": 1}
    with_cache, without = (run(digit_files, tmp_path / cache, weights, cache=cache, **how) for cache in ("auto", "off"))
    assert close(with_cache, without)
    assert cache_of(with_cache)[0] == "ram"


def test_mixed_pictures_have_no_features_to_keep(digit_files, weights, tmp_path):
    bundle = run(digit_files, tmp_path / "m", weights, model="smallresnet", net={}, epochs=1, task={"mixup": 0.2})
    why = "the frozen backbone runs in each epoch: the task needs the pictures themselves"
    assert cache_of(bundle) == ("off", why)


def test_features_that_do_not_fit_are_not_kept(bars, weights, tmp_path, monkeypatch):
    monkeypatch.setattr("sightsmith.data.pixels.free_memory", lambda: 2000)
    bundle = run(bars, tmp_path / "m", weights, epochs=1, **ALONE)
    assert cache_of(bundle) == ("off", "the frozen backbone runs in each epoch: its features do not fit in memory")


def test_random_numbers_are_not_frozen_for_ever(bars, weights, tmp_path):
    told = r"all if parts of the backbone start from random numbers.* Give weights='pretrained' or a file"
    with pytest.raises(SettingsError, match=told):
        run(bars, tmp_path / "m", "none", **ALONE)
    with pytest.raises(DataError, match=r"of another shape: backbone\.0\.0\.weight"):
        run(bars, tmp_path / "m", weights, colour="grey", **ALONE)  # the first filters of the file are for colours
    assert list(tmp_path.iterdir()) == []
