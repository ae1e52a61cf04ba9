"""Opening data: by name, by path, by format; groups; messages."""

import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightsmith.core.errors import DataError, SettingsError
from sightsmith.core.records import Sample
from sightsmith.data.problem import Problem
from sightsmith.data.source import CATALOGUE, SourceOptions, build_source, known_names, open_source


def test_every_format_keeps_the_contract():
    for name in CATALOGUE.names():
        module = CATALOGUE.module(name)
        assert module.NAMES if not hasattr(module, "detect") else module.detect(Path("/nonexistent")) is False
        assert callable(module.open_source)
        assert module.__doc__


def test_known_names():
    assert set(known_names()) == {"digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "imagenet"}


def test_digits_are_all_there_and_scaled_exactly():
    from sklearn.datasets import load_digits

    source = open_source("digits")
    raw = load_digits()
    assert source.format == "digits"
    assert source.names == tuple("0123456789")
    assert len(source.samples) == 1797
    assert np.array_equal(source.strata(), raw.target)
    for place in (0, 17, 1796):
        picture = source.samples[place].item
        assert picture.dtype == np.uint8
        assert np.array_equal(picture, np.round(raw.images[place] * 255 / 16))
    assert {sample.split for sample in source.samples} == {None}


def test_a_name_wins_over_a_folder_of_that_name_and_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits" / "a").mkdir(parents=True)
    Image.new("L", (9, 9)).save(tmp_path / "digits" / "a" / "1.png")
    named = open_source("digits")
    assert named.format == "digits"
    assert [problem.code for problem in named.problems] == ["name-and-path"]
    assert "./digits" in named.problems[0].message
    assert open_source("./digits").format == "folder"
    assert open_source(Path("digits")).format == "folder"
    assert open_source("digits", SourceOptions(format="folder")).format == "folder"


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("digit", "no data set of that name. Did you mean 'digits'"),
        ("fashon-mnist", "Did you mean 'fashion-mnist'"),
        ("photso/", "Did you mean 'photos'"),
        ("./photos/catz", "Did you mean 'cats'"),
        ("/no/such/place", "no such file or folder"),
    ],
)
def test_what_is_not_there_is_an_error_with_the_nearest_name(location, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    with pytest.raises(DataError, match=message):
        open_source(location)


def test_an_unknown_format_names_the_nearest(tmp_path):
    with pytest.raises(SettingsError, match=r"unknown data format 'foldr'\. Did you mean 'folder'"):
        open_source(tmp_path, SourceOptions(format="foldr"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("photos.zip", "an archive. Unpack it"),
        ("cat.jpg", "one picture, not a data set"),
        ("letter.txt", "in no format known here"),
    ],
)
def test_files_that_are_no_data_set(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"?")
    with pytest.raises(DataError, match=message):
        open_source(tmp_path / name)


def sources_of(keys, **options):
    samples = [Sample(key, b"", 0) for key in keys]
    return build_source(format="x", location="x", names=["a"], samples=samples, options=SourceOptions(**options))


def test_groups_by_pattern():
    keys = ["3/00002_00006.ppm", "3/00002_00009.ppm", "3/00004_00000.ppm"]
    assert [s.group for s in sources_of(keys, group_by=r"^(\d+/\d+)_").samples] == ["3/00002", "3/00002", "3/00004"]
    named = sources_of(keys, group_by=r"^(?P<class>\d+)/(?P<group>\d+)_")
    assert [s.group for s in named.samples] == ["00002", "00002", "00004"]


def test_samples_outside_the_pattern_stand_alone_and_are_named():
    source = sources_of(["a_1.png", "a_2.png", "odd.png"], group_by=r"^(\w)_")
    assert [s.group for s in source.samples] == ["a", "a", None]
    assert source.problems[0].code == "no-group"
    assert source.problems[0].keys == ("odd.png",)


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        ("^(a", SettingsError, "not a regular expression"),
        ("^a_", SettingsError, "needs one part in"),
        ("^(a)(b)", SettingsError, "has 2"),
        ("^(zzz)", DataError, "matches none of 1 picture; the first is 'a_1.png'"),
    ],
)
def test_patterns_that_cannot_group(pattern, error, message):
    with pytest.raises(error, match=message):
        sources_of(["a_1.png"], group_by=pattern)


def test_keys_are_made_unique():
    keys = [s.key for s in sources_of(["a", "b", "a", "a#2", "a"]).samples]
    assert len(set(keys)) == 5
    assert keys[:2] == ["a", "b"]


def test_nothing_in_it_is_an_error_with_the_reasons():
    problem = Problem(code="x", severity="error", message="3 rows are left out.")
    with pytest.raises(DataError, match=r"(?s)no picture in it.*3 rows are left out"):
        build_source(format="x", location="t.csv", names=[], samples=[], options=SourceOptions(), problems=[problem])


def test_a_problem_lists_a_few_in_text_and_all_in_json():
    problem = Problem(
        code="unreadable",
        severity="error",
        message="9 pictures",
        groups=tuple((f"{n}.png",) for n in range(9)),
        notes=tuple(f"why {n}" for n in range(9)),
    )
    assert problem.to_text().count("\n") == 6
    assert "4.png: why 4" in problem.to_text()
    assert "and 4 more" in problem.to_text()
    assert problem.to_json()["keys"] == [f"{n}.png" for n in range(9)]


def test_the_index_takes_less_than_a_kilobyte_a_picture(tmp_path):
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for number in range(2_500):
            os.mknod(tmp_path / name / f"photograph_of_the_summer_{number:05d}.jpg")
    tracemalloc.start()
    source = open_source(tmp_path)
    size, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(source.samples) == 5_000
    assert size / 5_000 < 600
    assert peak / 5_000 < 1024


def test_pictures_of_arrays_are_views():
    source = open_source("digits")
    first, last = source.samples[0].item, source.samples[-1].item
    assert first.base is last.base


def test_a_source_is_frozen():
    source = open_source("digits")
    assert replace(source, location="elsewhere").samples is source.samples
    with pytest.raises(AttributeError):
        source.location = "elsewhere"


def test_sources_gate_and_splits_import_no_torch():
    script = (
        "import sys; from sightsmith.data import gate, gate_page, source, splits; "
        "[source.CATALOGUE.module(name) for name in source.CATALOGUE.names()]; "
        "sys.exit(bool({'torch', 'torchvision', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0


def test_settings_import_neither_numpy_nor_pillow():
    script = "import sys, sightsmith.data.settings; sys.exit(bool({'numpy', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize("name", ["digits", "mnist", "fashion_mnist", "fashion-mnist", "cifar10", "cifar100"])
def test_a_format_that_opens_by_name_refuses_a_path_and_says_what_fits(name, tmp_path, monkeypatch):
    monkeypatch.setenv("SIGHTSMITH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "mine" / "a").mkdir(parents=True)
    Image.new("L", (9, 9)).save(tmp_path / "mine" / "a" / "1.png")
    spelt = name.replace("_", "-")
    message = rf"{tmp_path}/mine: the format '{spelt}' .*by its name alone.*fit format='folder'\."
    with pytest.raises(DataError, match=message):
        open_source(tmp_path / "mine", SourceOptions(format=name))
    (tmp_path / "set.bin").touch()
    with pytest.raises(DataError, match=r"no other format fits"):
        open_source(tmp_path / "set.bin", SourceOptions(format=name))


def test_a_format_that_opens_by_name_takes_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(open_source("digits", SourceOptions(format="digits")).samples) == 1797
    (tmp_path / "digits").mkdir()
    named = open_source("digits", SourceOptions(format="digits"))
    assert [problem.code for problem in named.problems] == ["name-and-path"]


def test_a_name_is_a_path_for_another_format(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"digits: no such file or folder\. Leave format out to open the data set"):
        open_source("digits", SourceOptions(format="npz"))
