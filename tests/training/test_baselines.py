"""`train --baselines` that is stopped goes on, and takes no bundle of another training for its own."""

import json

import pytest

from sightsmith.core.errors import OutputExistsError
from sightsmith.nets.heads.majority import Majority
from sightsmith.tasks import classify
from sightsmith.training import fit
from sightsmith.training.settings import TrainSettings
from sightsmith.training.train import train

NETS = ("majority", "pixel_knn")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(classify, "baselines", lambda _: {name: {} for name in NETS})


def run(out, **changes):
    small = {"test_fraction": 0.5, "epochs": 1, "net": {"width": 2}, "near_duplicates": False}
    return train(TrainSettings(data="digits", out=out, device="cpu", threads=1, **small, **changes), quiet=True)


def stop_at(monkeypatch, name):
    """Let training be interrupted when the bundle of a net would be written."""
    write = fit.finalize

    def stopped(run, *rest, **further):
        if run.plan.model.value == name:
            monkeypatch.setattr(fit, "finalize", write)
            raise KeyboardInterrupt
        return write(run, *rest, **further)

    monkeypatch.setattr(fit, "finalize", stopped)


def splits(path):
    return json.loads((path / "splits.json").read_text())


def test_after_a_stop_only_what_is_missing_is_fitted(tmp_path, monkeypatch):
    stop_at(monkeypatch, "pixel_knn")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "m", baselines=True)
    curve = (tmp_path / "m.train/metrics.csv").read_text()
    first = (tmp_path / "m.baselines/majority").stat().st_ino
    made = run(tmp_path / "m", baselines=True, resume=True)
    assert made.manifest.training["baselines"] == dict.fromkeys(NETS, "")
    assert (tmp_path / "m/report/metrics.csv").read_text() == curve, "the net was trained again"
    assert (tmp_path / "m.baselines/majority").stat().st_ino == first, "a finished baseline was fitted again"
    spent = [float(line.split(",")[-2]) for line in curve.splitlines()[1:]]
    assert made.manifest.training["seconds"] >= round(sum(spent), 1), "the time before the stop counts"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "m.baselines"]


def test_baselines_of_a_training_that_is_replaced_are_not_taken(tmp_path, monkeypatch):
    run(tmp_path / "m", baselines=True)
    stop_at(monkeypatch, "majority")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "m", baselines=True, overwrite=True, seed=1)
    run(tmp_path / "m", baselines=True, overwrite=True, resume=True, seed=1)
    for name in NETS:
        assert splits(tmp_path / "m.baselines" / name) == splits(tmp_path / "m")


def test_too_little_memory_for_one_costs_nothing_else(tmp_path, monkeypatch):
    def fit(*_):
        raise MemoryError

    monkeypatch.setattr(Majority, "fit", fit)
    made = run(tmp_path / "m", baselines=True)
    assert made.manifest.training["baselines"] == {"majority": "MemoryError", "pixel_knn": ""}


def test_they_are_not_written_into_the_data(tmp_path):
    (tmp_path / "m.baselines/all/a").mkdir(parents=True)
    settings = TrainSettings(data=str(tmp_path / "m.baselines"), out=tmp_path / "m", baselines=True, overwrite=True)
    with pytest.raises(OutputExistsError, match="is or contains the training data"):
        train(settings)
