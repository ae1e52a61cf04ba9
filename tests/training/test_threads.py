"""The number of compute threads of a training: asked for, kept, or followed."""

import os
import subprocess
import sys

import pytest
import torch

from digit_training import settings, stop_after_first_checkpoint
from sightsmith.training.callbacks import TrainingStoppedError
from sightsmith.training.threads import Threads
from sightsmith.training.train import train


def test_a_number_asked_for_is_used_and_given_back(digit_files, tmp_path, monkeypatch):
    used = set()
    end = Threads.on_train_batch_end
    monkeypatch.setattr(Threads, "on_train_batch_end", lambda *given: (used.add(torch.get_num_threads()), end(*given)))
    before = torch.get_num_threads()
    train(settings(digit_files, tmp_path / "x", epochs=1, threads=3, batch_size=64), quiet=True)
    assert used == {3}
    assert torch.get_num_threads() == before


def test_a_resumed_training_keeps_its_number_unless_another_is_asked_for(digit_files, tmp_path, capsys):
    out = tmp_path / "x"
    stop_after_first_checkpoint(out)
    with pytest.raises(TrainingStoppedError):
        train(settings(digit_files, out, epochs=3, threads=3), quiet=True)
    capsys.readouterr()
    train(settings(digit_files, out, epochs=3, resume=True))
    assert "compute threads: 3 (as before" in capsys.readouterr().err


@pytest.mark.parametrize("how", [{"asked": 2}, {"asked": None, "fixed": True}])
def test_what_fixes_the_number_leaves_nothing_to_follow(how, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    told = []
    callback = Threads(how["asked"], 4, told.append, fixed=how.get("fixed", False))
    callback.on_train_start(None, torch.nn.Linear(1, 1))
    before = torch.get_num_threads()
    for _ in range(50):
        callback.on_train_batch_end(None, None, None, None, 0)
    assert (told, torch.get_num_threads()) == ([], before)


@pytest.mark.parametrize(("chosen", "spins"), [({}, "'10000'"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "'0'")])
def test_a_commands_threads_wait_briefly_unless_the_user_chose(chosen, spins):
    clean = {name: value for name, value in os.environ.items() if name not in {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}}
    code = "import sys; from sightsmith.cli import main; sys.argv = ['sightsmith', '--version']\n"
    code += "try: main()\nfinally: import torch"
    environment = clean | {"OMP_DISPLAY_ENV": "verbose"} | chosen
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    if "GOMP_SPINCOUNT" not in done.stderr:
        pytest.skip("this torch has another OpenMP than GNU's")
    assert f"GOMP_SPINCOUNT = {spins}" in done.stderr
