"""`minutes`: the length of a training in time becomes a number of epochs, and changes nothing else."""

import pytest

from sightsmith.core.errors import SettingsError
from sightsmith.core.settings import from_mapping, read_toml
from sightsmith.training.pace import Pace
from sightsmith.training.settings import TrainSettings
from sightsmith.training.train import train


def pace(seconds: float, spent: float = 0.0) -> Pace:
    return Pace(seconds=seconds, steps=30, spent=spent)


def test_as_many_epochs_as_fit_into_the_time_that_measuring_left():
    assert pace(2.0).epochs(1, least=1).value == 30
    assert pace(2.0, spent=10.0).epochs(1, least=1).value == 25
    assert pace(7.0).epochs(1, least=1).value == 8
    assert pace(1e-9).epochs(1000, least=1).value == 100_000
    assert "1 min at 2.0 s an epoch, measured on 30 steps" in pace(2.0).epochs(1, least=1).why


def test_there_is_an_epoch_however_short_the_time():
    for short in (pace(100.0), pace(1.0, spent=500.0)):
        chosen = short.epochs(1, least=1)
        assert (chosen.value, "fewer than 1 epoch" in chosen.why) == (1, True)
    assert pace(100.0).epochs(1, least=3).value == 3


@pytest.mark.parametrize("task", ["gan", "classify"])
def test_the_training_is_the_same_as_with_that_number_of_epochs(task, digit_files, tmp_path):
    net = {"gan": {"width": 4}, "classify": {"width": 8}}[task]
    how = {"data": str(digit_files), "task": {"name": task}, "net": net, "workers": 0}
    asked = from_mapping(TrainSettings, {**how, "minutes": 0.02, "out": tmp_path / "timed"}, where="test")
    timed = train(asked, quiet=True)
    plan = timed.manifest.training["plan"]
    assert plan["epochs"]["value"] >= 1
    assert "0.02 min at " in plan["epochs"]["why"]
    again = read_toml(timed.path / "report/run.toml")
    assert again["epochs"] == plan["epochs"]["value"]
    assert "minutes" not in again
    counted = train(from_mapping(TrainSettings, {**again, "out": tmp_path / "counted"}, where="test"), quiet=True)
    for role in timed.manifest.nets:
        first, second = timed.weights(role), counted.weights(role)
        assert all((first[name] == second[name]).all() for name in first)
    assert (timed.path / "report/steps.csv").read_text() == (counted.path / "report/steps.csv").read_text()


def test_minutes_that_contradict_other_settings(digit_files, tmp_path):
    for wrong, told in (
        ({"epochs": 3}, "minutes must be left out if epochs are given"),
        ({"minutes": 0}, "minutes must be > 0, got 0"),
        ({"minutes": -1}, "minutes must be in 0…100000"),
        ({"minutes": float("nan")}, "minutes must be in"),
        ({"model": "hog_svm"}, "hog_svm is fitted in one step, in fp32, and takes no minutes"),
        ({"warmup_epochs": 900.0}, "warmup_epochs must be at most the epochs"),
    ):
        raw = {"data": str(digit_files), "minutes": 0.001, "model": "smallcnn", "workers": 0, **wrong}
        with pytest.raises(SettingsError, match=told):
            train(from_mapping(TrainSettings, {**raw, "out": tmp_path / "out"}, where="test"), quiet=True)
        assert not (tmp_path / "out").exists()
