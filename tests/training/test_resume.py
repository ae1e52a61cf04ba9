"""A training that is killed, or asked to stop, goes on exactly as it would have."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomli_w

from sightsmith.core.errors import TrainingError
from sightsmith.core.settings import from_mapping
from sightsmith.training.checkpoints import load_tree
from sightsmith.training.settings import TrainSettings
from sightsmith.training.train import train

SCRIPT = Path(__file__).with_name("trainer_process.py")
# Everything that draws random numbers or keeps state is on: workers, policy, mixing, dropout, accumulation, average.
SETTINGS = {
    "model": "smallresnet",
    "net": {"width": 16, "dropout": 0.2},
    "task": {"mixup": 0.2, "cutmix": 1.0},
    "epochs": 2,
    "batch_size": 4,
    "accumulate": 2,
    "augment": "trivial",
    "erase": 0.2,
    "flip": "horizontal",
    "workers": 1,
    "freeze_epochs": 1,
    "test_fraction": 0.1,
}


def start(folder: Path, data: Path, **changes: object) -> subprocess.Popen[str]:
    toml = folder / "run.toml"
    toml.write_text(tomli_w.dumps({"data": str(data), "out": str(folder / "out"), **SETTINGS, **changes}))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), str(toml)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def train_here(folder: Path, data: Path, **changes: object) -> None:
    """Train as `start` does, but without a process of its own, whose imports take longer than this training."""
    settings = {"data": str(data), "out": str(folder / "out"), **SETTINGS, **changes}
    train(from_mapping(TrainSettings, settings, where="test"), quiet=True)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until training has written a checkpoint; fail where it ended without."""
    end = time.monotonic() + 200
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.002)


def curve(folder: Path) -> list[dict[str, str]]:
    """Return metrics.csv without the times."""
    with (folder / "out/report/metrics.csv").open() as file:
        return [
            {k: v for k, v in row.items() if k not in {"seconds", "images_per_second"}} for row in csv.DictReader(file)
        ]


@pytest.fixture(scope="module")
def whole(digit_files, tmp_path_factory) -> Path:
    """Return the folder of an uninterrupted training."""
    folder = tmp_path_factory.mktemp("whole")
    train_here(folder, digit_files)
    return folder


def same(left: Path, right: Path, weights: str = "weights.safetensors") -> None:
    steps = "out/report/steps.csv"
    assert (left / steps).read_text() == (right / steps).read_text()
    assert curve(left) == curve(right)
    assert (left / "out" / weights).read_bytes() == (right / "out" / weights).read_bytes()


@pytest.mark.slow
def test_kill_9_and_resume_gives_the_same_curve_and_weights(digit_files, whole, tmp_path):
    process = start(tmp_path, digit_files)
    last = tmp_path / "out.train/last.safetensors"
    wait_for(last, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    train_here(tmp_path, digit_files, resume=True)
    assert not last.parent.exists()
    same(whole, tmp_path)


@pytest.mark.slow
def test_asked_twice_training_stops_at_once_as_interrupted(digit_files, tmp_path):
    process = start(tmp_path, digit_files, batch_size=64, accumulate=1, size=160)  # steps of about a second
    last = tmp_path / "out.train/last.safetensors"
    wait_for(last, process)
    before = last.stat().st_mtime_ns
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "Ask again" not in (line := process.stderr.readline()):
        assert line, "it ended without a word"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGINT, errors
    assert last.stat().st_mtime_ns == before


@pytest.mark.slow
def test_sigterm_saves_inside_the_epoch_and_resume_goes_on_from_there(digit_files, whole, tmp_path):
    process = start(tmp_path, digit_files, terminate_at_step=34)  # of 24 an epoch
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGTERM
    assert "resume=True" in errors
    progress = load_tree(tmp_path / "out.train/last.safetensors")["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    done = progress["current"]["processed"]
    assert 0 < done < 48
    train_here(tmp_path, digit_files, resume=True)
    same(whole, tmp_path)


@pytest.mark.slow
def test_a_training_by_two_optimisers_survives_kill_9_and_a_ruinous_learning_rate(digit_files, tmp_path):
    how = {"model": "auto", "task": {"name": "gan"}, "net": {"width": 4}, "size": 16, "clip": 0.0}
    how |= {"accumulate": 1, "augment": "auto", "erase": 0.0, "workers": 0, "freeze_epochs": 0}
    folder = tmp_path / "whole"
    train_here(folder, digit_files, **how)

    process = start(tmp_path, digit_files, **how)
    last = tmp_path / "out.train/last.safetensors"
    wait_for(last, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    states = load_tree(last)["optimizer_states"]
    assert [len(state["state"]) > 0 for state in states] == [True, True]

    goes_on = {**how, "resume": True}
    with pytest.raises(TrainingError, match=r"became nan.* The checkpoint before it, .*last.safetensors, is good"):
        train_here(tmp_path, digit_files, **goes_on, lr=1e20)
    train_here(tmp_path, digit_files, **goes_on, lr=1e-3)  # the rate that was chosen at first
    same(folder, tmp_path, "generator.safetensors")
