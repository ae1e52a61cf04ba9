"""Where training may write: never over the data, inside it, or over anything but a bundle."""

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import sightsmith as ss
from photos import make_photos
from processes import tree
from sightsmith.core.errors import DataError, OutputExistsError, SettingsError
from sightsmith.training.settings import TrainSettings
from sightsmith.training.train import taken, train
from sightsmith.training.work_folder import WorkFolder


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_photos(tmp_path / "home" / "photos", 1)


def start(data: str | Path, out: str | Path, **how) -> WorkFolder:
    """Take the folder and start in it, as a training that is interrupted at once."""
    work = WorkFolder(Path(out))
    settings = TrainSettings(data=str(data), out=Path(out), **how)
    with closing(work):
        work.take(settings)
        work.start(settings)
    return work


def listed(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("data", "out"),
    [
        ("home/photos", "home/photos"),
        ("home/photos", "home"),
        ("home/photos", "home/../home/photos/"),
        ("home/photos/cat", "home/photos"),
        ("home/labels.csv", "home"),
    ],
)
def test_the_data_is_never_replaced(photos, tmp_path, data, out, overwrite):
    (tmp_path / "home/labels.csv").write_text("path,label")
    before = listed(tmp_path)
    with pytest.raises(OutputExistsError, match=r"is or contains the training data .*another out"):
        start(data, out, overwrite=overwrite)
    assert listed(tmp_path) == before


def test_other_pictures_are_never_replaced(photos, tmp_path):
    make_photos(tmp_path / "others", 1)
    before = listed(tmp_path)
    with pytest.raises(OutputExistsError, match="others exists already and is not a bundle"):
        start("home/photos", "others", overwrite=True)
    assert listed(tmp_path) == before


@pytest.mark.parametrize(
    ("here", "data", "out"),
    [
        ("home/photos", ".", "model"),
        (".", "home/photos", "home/photos/model"),
        (".", "home/photos", "home/photos/cat/model.zip"),
        (".", "home/photos", "link/model"),
        (".", "link", "home/photos/model"),
    ],
)
def test_no_model_is_put_among_the_pictures(photos, tmp_path, monkeypatch, here, data, out):
    (tmp_path / "link").symlink_to(photos)
    before = listed(tmp_path)
    monkeypatch.chdir(tmp_path / here)
    with pytest.raises(SettingsError, match=r"is inside the training data .* beside the data, such as out=") as told:
        start(data, out)
    assert listed(tmp_path) == before
    start(data, str(told.value).rpartition("out='")[2].rstrip("'"))


@pytest.mark.parametrize("out", [".", "..", "home/..", "/"])
def test_out_needs_a_name(photos, out):
    with pytest.raises(SettingsError, match="out must be the name of a folder to make, such as out='model', got '"):
        start("home/photos", out)


def test_a_data_set_known_by_name_is_not_the_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert start("digits", "digits", overwrite=True).path == Path("digits.train")
    with pytest.raises(OutputExistsError, match="is or contains the training data"):
        start("./digits", "digits", overwrite=True)


def test_a_path_in_python_is_a_path_also_where_a_data_set_has_its_name(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.move(photos, "digits")
    with pytest.raises(DataError, match=r"\./digits: cannot be trained on[\s\S]*one usable picture.*cat, dog, owl"):
        ss.train(Path("digits"), out="x", quiet=True)


@pytest.mark.parametrize("how", [{}, {"overwrite": True}])
def test_a_folder_that_is_not_an_interrupted_training_is_not_worked_in(photos, tmp_path, how):
    others = make_photos(tmp_path / "cats.train", 1)
    with pytest.raises(OutputExistsError, match=r"cats\.train is needed as work folder.*no run\.toml.*another out"):
        start("home/photos", "cats", **how)
    assert len(list(others.rglob("*.jpg"))) == 3
    with pytest.raises(OutputExistsError, match=r"cats\.train: is or contains the training data"):
        start("cats.train", "cats", **how)


def test_an_interrupted_training_is_started_again_when_asked(photos):
    assert start("home/photos", "cats").path.is_dir()
    with pytest.raises(OutputExistsError, match="resume=True goes on with it"):
        start("home/photos", "cats")
    start("home/photos", "cats", resume=True)
    start("home/photos", "cats", overwrite=True)


HOLD = """
import multiprocessing, sys, time
from pathlib import Path
from sightsmith.training.settings import TrainSettings
from sightsmith.training.work_folder import WorkFolder

settings = TrainSettings(data="home/photos", out=Path(sys.argv[1]), workers=1)
work = WorkFolder(settings.out)
work.take(settings)
work.start(settings)
worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(300,))  # as one that decodes pictures
worker.start()
print(worker.pid, flush=True)
time.sleep(300)
"""


@pytest.fixture
def running(photos, tmp_path):
    """Return a process that has started a training into `cats`, and has a worker."""
    with subprocess.Popen([sys.executable, "-c", HOLD, "cats"], stdout=subprocess.PIPE, text=True) as process:
        worker = int(process.stdout.readline())
        yield process
        process.kill()
        os.kill(worker, signal.SIGKILL)


@pytest.mark.parametrize("out", ["cats", "home/../cats", "link/cats"])
def test_a_second_training_into_one_folder_is_refused_while_the_first_runs(running, tmp_path, out):
    (tmp_path / "link").symlink_to(tmp_path)
    before = tree(tmp_path / "cats.train")
    for how in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(OutputExistsError, match=r"cats\.train: a training is running there.*another out"):
            start("home/photos", out, workers=1, **how)
    assert tree(tmp_path / "cats.train") == before


def test_a_training_that_was_killed_is_resumed_at_once_though_its_workers_live(running):
    running.kill()
    running.wait()
    start("home/photos", "cats", workers=1, resume=True)
    start("home/photos", "cats", workers=1, overwrite=True)


def test_a_refused_training_leaves_no_folder(photos, tmp_path):
    work = WorkFolder(Path("cats"))
    with closing(work):
        work.take(TrainSettings(data="home/photos", out=Path("cats")))
        assert (tmp_path / "cats.train").is_dir()
    assert not (tmp_path / "cats.train").exists()


def test_where_folders_cannot_be_locked_training_goes_on_and_says_so(photos, monkeypatch, capsys):
    def no_locks(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(DataError):  # one picture a class is too few
        train(TrainSettings(data="home/photos", out=Path("cats")))
    assert "warning: this system cannot lock cats.train; start no second training" in capsys.readouterr().err


def test_missing_data_is_told_before_anything_else(photos):
    start("home/photos", "cats")
    with pytest.raises(DataError, match="photoz: no such file or folder"):
        train(TrainSettings(data="home/photoz", out=Path("cats")), quiet=True)


def test_without_a_name_the_next_free_one_is_taken(photos, tmp_path):
    """A running training holds its name, and so does whatever else lies there."""
    open_settings = TrainSettings(data=str(photos))
    first, work = taken(open_settings)
    second, other = taken(open_settings)
    assert (first.out, second.out) == (Path("runs/photos"), Path("runs/photos-2"))
    other.close()
    work.close()
    Path("runs/photos").mkdir()
    Path("runs/photos/note.txt").touch()
    third, work = taken(open_settings)
    assert third.out == Path("runs/photos-2")
    work.close()
    assert not list(Path("runs").glob("*.train"))


def test_a_misspelt_argument_is_told_before_what_is_missing():
    with pytest.raises(SettingsError, match=r"unknown key 'epoch'\. Did you mean 'epochs'"):
        ss.train("photos", epoch=3)
