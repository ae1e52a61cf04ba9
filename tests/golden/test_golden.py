"""Bundles that an earlier version wrote answer now as they did then, to the last digit that is written.

Their answers were recorded by PyTorch in fp32 (`make.py`). Every backend is asked: the three differed by 3e-7 at most
when they were recorded, on a processor with AMX, so that other processors need no other numbers.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from golden.answers import answers_of
from processes import sightsmith

HERE = Path(__file__).parent
NAMES = ("digits", "gtsrb_tracks", "cifar10_subset")
BACKENDS = ("torch", "onnx", "openvino")
LAST_DIGIT = 1.01e-6
"""Scores are written with six digits."""
LAST_DIGIT_OF_A_MAP = 1.01e-4

every_bundle = pytest.mark.parametrize("name", NAMES)
every_backend = pytest.mark.parametrize("backend", BACKENDS)


@pytest.fixture
def bundle(name, tmp_path) -> Path:
    """Return the folder of a bundle of schema 1."""
    with zipfile.ZipFile(HERE / f"{name}.zip") as zipped:
        zipped.extractall(tmp_path)
    assert json.loads((tmp_path / name / "manifest.json").read_text(encoding="utf-8"))["schema"] == 1
    return tmp_path / name


def data_of(name: str, shared_data, tmp_path: Path) -> Path:
    """Return the folder that the data of a bundle lies in; the digits are built in."""
    return tmp_path if name == "digits" else shared_data(name).parent


def unlike(expected: Any, got: Any, path: str = "") -> list[str]:
    """Return what differs, a line each."""
    if isinstance(expected, dict) and isinstance(got, dict) and expected.keys() == got.keys():
        return [line for key in expected for line in unlike(expected[key], got[key], f"{path}.{key}")]
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        return [
            line for at, pair in enumerate(zip(expected, got, strict=True)) for line in unlike(*pair, f"{path}[{at}]")
        ]
    if isinstance(expected, float) and isinstance(got, float):
        digit = LAST_DIGIT_OF_A_MAP if path.startswith(".http.explain.map.values") else LAST_DIGIT
        return [] if abs(expected - got) <= digit else [f"{path}: {got} instead of {expected}"]
    return [] if expected == got else [f"{path}: {got!r} instead of {expected!r}"]


@every_bundle
@every_backend
def test_it_answers_as_it_did(bundle, name, backend, shared_data, tmp_path):
    expected = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    got = answers_of(bundle, backend, data_of(name, shared_data, tmp_path))
    assert unlike(expected, got) == []


@pytest.mark.parametrize("name", NAMES[1:])
def test_without_its_data_it_still_predicts_explains_and_serves(bundle, name):
    expected = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    got = answers_of(bundle, "openvino", None)
    assert unlike({part: expected[part] for part in got}, got) == []


@every_bundle
@every_backend
def test_it_is_whole_and_answers_its_witnesses(bundle, backend):
    done = sightsmith("verify", bundle, "--backend", backend, "--precision", "fp32", cwd=bundle.parent).succeeded()
    assert "every file is as it was written; 8 witnesses" in done.out


def test_what_differs_is_found():
    assert unlike({"a": [0.1, "x"]}, {"a": [0.1, "x"]}) == []
    assert unlike({"a": [0.1, "x"]}, {"a": [0.100002, "x"]}) == [".a[0]: 0.100002 instead of 0.1"]
    assert unlike({"a": [0.1, "x"]}, {"a": [0.1, "y"]}) == [".a[1]: 'y' instead of 'x'"]
    assert unlike({"a": 1}, {"b": 1})
    assert unlike([1.0], [1.0, 2.0])
