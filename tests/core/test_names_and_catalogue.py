"""Names: the nearest one is suggested, and a folder's files are its entries."""

import pkgutil
import subprocess
import sys

import pytest

from sightsmith.core.catalogue import Catalogue
from sightsmith.core.errors import SettingsError
from sightsmith.core.names import did_you_mean, folded, hidden_difference, nearest


def test_the_nearest_names_come_first():
    assert nearest("resnet81", ["vgg16", "resnet18", "resnet50"])[0] == "resnet18"
    assert nearest("Fashion-MNST", ["fashion_mnist", "mnist"])[0] == "fashion_mnist"


def test_all_options_are_named_where_none_is_near():
    assert did_you_mean("zzz", ["b", "a"]) == "The choices are: a, b."
    assert did_you_mean("zzz", []) == "There is none."


@pytest.mark.parametrize(
    ("name", "other", "difference"),
    [
        ("caf\u00e9", "cafe\u0301", "their Unicode form"),
        ("cat", "cat\u200b", "characters that cannot be seen"),
        ("cat", "\uff43at", "the width or form of their letters"),
        ("cat", "cat", ""),
        ("cat", "dog", ""),
    ],
)
def test_names_that_look_alike_say_in_what_they_differ(name, other, difference):
    assert hidden_difference(name, other) == difference
    hint = did_you_mean(name, [other])
    assert (f"They differ in {difference}: {name!a} and {other!a}." in hint) == bool(difference)


@pytest.mark.parametrize(("name", "other"), [("Stop sign", "stop_sign"), ("caf\u00e9", "CAFE\u0301"), ("ab", "a-b")])
def test_names_that_may_be_one_fold_to_one(name, other):
    assert folded(name) == folded(other)


@pytest.mark.parametrize(("name", "other"), [("-1", "1"), ("-0.5", "0.5"), ("cat", "cart")])
def test_names_that_differ_fold_apart(name, other):
    assert folded(name) != folded(other)


CORE = Catalogue("sightsmith.core", "part")


def test_entries_are_the_files():
    assert {"errors", "catalogue", "images"} <= set(CORE.names())
    assert "errors" in CORE
    assert CORE.module("errors").__name__ == "sightsmith.core.errors"


def test_an_unknown_entry_is_refused_with_a_suggestion():
    with pytest.raises(SettingsError, match=r"unknown part 'imagse'. Did you mean 'images'"):
        CORE.module("imagse")
    with pytest.raises(SettingsError, match="unknown part"):
        CORE.module("__init__")


def test_a_folder_elsewhere_on_the_path_adds_entries(tmp_path):
    (tmp_path / "sightsmith" / "nets").mkdir(parents=True)
    (tmp_path / "sightsmith" / "nets" / "mynet.py").write_text("PAPER = 'mine'")
    code = (
        "from sightsmith.core.catalogue import Catalogue\n"
        "nets = Catalogue('sightsmith.nets', 'net')\n"
        "print(nets.module('mynet').PAPER, 'smallcnn' in nets)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["mine", "True"]


@pytest.mark.parametrize("module", ["sightsmith", "sightsmith.core.images", "sightsmith.core.flags"])
def test_the_core_imports_no_torch(module):
    code = f"import sys, {module}; print(sorted(set(sys.modules) & {{'torch', 'openvino', 'sklearn', 'fastapi'}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_folder_is_listed_once_however_often_its_entries_are_asked_for(monkeypatch):
    listed = []
    entries = pkgutil.iter_modules
    monkeypatch.setattr(pkgutil, "iter_modules", lambda path: listed.append(path) or entries(path))
    again = Catalogue("sightsmith.core", "part of its own")
    assert again.module("errors") is again.module("errors")
    assert len(listed) == 1
    for _ in range(2):
        with pytest.raises(SettingsError, match="unknown part of its own 'erors'"):
            again.module("erors")
