"""`minutes`: the length of a training in time becomes epochs and their share, and changes nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightsmith.core.errors import SettingsError
from sightsmith.core.settings import from_mapping, read_toml
from sightsmith.training.pace import Pace
from sightsmith.training.settings import TrainSettings
from sightsmith.training.train import train


def pace(training: float, validation: float = 0.5, spent: float = 0.0) -> Pace:
    return Pace(training=training, validation=validation, steps=30, spent=spent)


@given(
    training=st.floats(1e-3, 1e4),
    validation=st.floats(1e-3, 1e3),
    spent=st.floats(0, 100),
    minutes=st.floats(0.1, 1e3),
    least=st.integers(1, 5),
)
def test_the_epochs_fill_the_time_that_measuring_left(training, validation, spent, minutes, least):
    epochs, share = Pace(training=training, validation=validation, steps=30, spent=spent).length(minutes, least)
    takes, left = epochs.value * (training * share.value + validation), max(0, minutes * 60 - spent)
    assert least <= epochs.value <= 100_000
    assert 0.01 <= share.value <= 1
    assert takes <= left * 1.0001 or "no training" in epochs.why
    assert takes >= left - epochs.value * training * 1.01e-4 or epochs.value == 100_000 or share.value == 1


def test_epochs_of_all_pictures_where_they_fit():
    assert [choice.value for choice in pace(1.5).length(1, least=1)] == [30, 1.0]
    assert [choice.value for choice in pace(1.5, spent=10.0).length(1, least=1)] == [25, 1.0]
    assert "1 min at 2.0 s for all pictures, measured on 30 steps" in pace(1.5).length(1, least=1)[0].why


def test_one_look_is_not_all_that_a_short_training_gets():
    """Pictures for an hour, ten minutes of time: the best of ten validations is kept, not the only one."""
    epochs, share = pace(3600.0, 2.0).length(10, least=1)
    assert (epochs.value, share.value) == (10, 0.0161)


def test_there_is_an_epoch_however_short_the_time():
    for short in (pace(100.0), pace(1e4, spent=500.0)):
        epochs, share = short.length(0.01, least=1)
        assert (epochs.value, share.value, "is no training" in epochs.why) == (1, 0.01, True)
    assert pace(100.0, 50.0).length(1, least=3)[0].value == 3


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
    assert (again["epochs"], again.get("epoch_share", 1.0)) == (plan["epochs"]["value"], plan["epoch_share"]["value"])
    assert "minutes" not in again
    counted = train(from_mapping(TrainSettings, {**again, "out": tmp_path / "counted"}, where="test"), quiet=True)
    for role in timed.manifest.nets:
        first, second = timed.weights(role), counted.weights(role)
        assert all((first[name] == second[name]).all() for name in first)
    assert (timed.path / "report/steps.csv").read_text() == (counted.path / "report/steps.csv").read_text()


def test_minutes_that_contradict_other_settings(digit_files, tmp_path):
    for wrong, told in (
        ({"epochs": 3}, "minutes must be left out if epochs are given"),
        ({"epoch_share": 0.5}, "epoch_share must be left out if minutes are given"),
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
