"""Where training may write: never over the data, inside it, or over anything but a bundle."""

import shutil
from pathlib import Path

import pytest

import sightsmith as ss
from photos import make_photos
from sightsmith.core.errors import DataError, OutputExistsError, SettingsError
from sightsmith.training.settings import TrainSettings
from sightsmith.training.work import WorkFolder


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_photos(tmp_path / "home" / "photos", 1)


def start(data: str | Path, out: str | Path, **how) -> WorkFolder:
    work = WorkFolder(Path(out))
    work.start(TrainSettings(data=str(data), out=Path(out), **how))
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
    with pytest.raises(OutputExistsError, match=r"is where the training data .* lies.*another --out"):
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
    with pytest.raises(
        SettingsError, match=r"lies inside the training data .* beside the data, such as --out "
    ) as told:
        start(data, out)
    assert listed(tmp_path) == before
    start(data, str(told.value).rpartition("--out ")[2])


@pytest.mark.parametrize("out", [".", "..", "home/..", "/"])
def test_out_needs_a_name(photos, out):
    with pytest.raises(SettingsError, match="out must be the name of a folder to make, such as --out model, got '"):
        start("home/photos", out)


def test_a_data_set_known_by_name_is_not_the_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert start("digits", "digits", overwrite=True).path == Path("digits.train")
    with pytest.raises(OutputExistsError, match="is where the training data"):
        start("./digits", "digits", overwrite=True)


def test_a_path_in_python_is_a_path_also_where_a_data_set_has_its_name(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.move(photos, "digits")
    with pytest.raises(DataError, match=r"\./digits: cannot be trained on[\s\S]*one usable picture.*cat, dog, owl"):
        ss.train(Path("digits"), out="x", quiet=True)


@pytest.mark.parametrize("how", [{}, {"overwrite": True}])
def test_a_folder_that_is_not_an_interrupted_training_is_not_worked_in(photos, tmp_path, how):
    others = make_photos(tmp_path / "cats.train", 1)
    with pytest.raises(OutputExistsError, match=r"cats\.train is needed to work in.*no run\.toml.*another --out"):
        start("home/photos", "cats", **how)
    assert len(list(others.rglob("*.jpg"))) == 3
    with pytest.raises(OutputExistsError, match=r"cats\.train: is where the training data"):
        start("cats.train", "cats", **how)


def test_an_interrupted_training_is_started_again_when_asked(photos):
    assert start("home/photos", "cats").path.is_dir()
    with pytest.raises(OutputExistsError, match="--resume goes on with it"):
        start("home/photos", "cats")
    start("home/photos", "cats", resume=True)
    start("home/photos", "cats", overwrite=True)
