"""A warning of validation that stays, such as a mode collapse, stops the training; the checkpoint before it is good."""

import csv

import pytest
import torch

from sightsmith.core.errors import TrainingError
from sightsmith.core.settings import from_mapping
from sightsmith.tasks.gan import GanLearner
from sightsmith.training import callbacks
from sightsmith.training.checkpoints import load_tree
from sightsmith.training.settings import TrainSettings
from sightsmith.training.train import train


def white(learner, batch, optimiser):
    """Return the loss of a generator that is pulled to a white picture, whatever its noise: it collapses."""
    labels_B = learner.conditions(batch[1])
    noise_BD = torch.randn(len(batch[1]), int(learner.nets["generator"].noise_size))
    made_BCHW = learner.nets["generator"](noise_BD, labels_B)
    loss = (made_BCHW - 1).square().mean() if optimiser == "generator" else made_BCHW.mean()
    return loss + 0 * sum(weight.sum() for weight in learner.parameters())


def test_a_collapse_that_stays_stops_and_the_checkpoint_before_it_goes_on(digit_files, tmp_path, monkeypatch, capsys):
    out, work = tmp_path / "gan", tmp_path / "gan.train"
    raw = {"data": str(digit_files), "task": {"name": "gan"}, "net": {"width": 4}, "workers": 0, "out": out}
    how = {**raw, "epochs": 9, "ema": 0.0, "near_duplicates": False, "batch_size": 16}
    monkeypatch.setattr(callbacks, "_PATIENCE_STEPS", 30)
    with monkeypatch.context() as patched:
        patched.setattr(GanLearner, "loss", white)
        with pytest.raises(
            TrainingError, match=r"\(mode collapse\).*It has stayed for 5 epochs, up to epoch"
        ) as stopped:
            train(from_mapping(TrainSettings, {**how, "lr": 0.02}, where="test"))
    assert stopped.value.exit_code == 3
    told = capsys.readouterr().err
    assert told.count("Training stops if it stays for 5 epochs without a better Fréchet distance.") == 1
    assert sorted(path.name for path in work.glob("*.safetensors")) == ["best.safetensors", "last.safetensors"]
    last, ended = load_tree(work / "last.safetensors"), len((work / "metrics.csv").read_text().splitlines()) - 1
    assert last["callbacks"]["Record"]["warned"] == 0
    assert load_tree(work / "best.safetensors")["epoch"] == ended - 5
    assert not out.exists()
    monkeypatch.setattr(callbacks, "_PATIENCE_STEPS", 1000)  # after so few steps it is no collapse
    bundle = train(from_mapping(TrainSettings, {**how, "lr": 0.0002, "resume": True}, where="test"), quiet=True)
    rows = [*csv.DictReader((bundle.path / "report/metrics.csv").read_text().splitlines())]
    assert [int(row["epoch"]) for row in rows] == [*range(1, 10)]
    for row in rows:
        losses = [float(row[f"train_loss_{name}"]) for name in GanLearner.OPTIMISERS]
        assert sum(losses) == pytest.approx(float(row["train_loss"]), rel=1e-4)
