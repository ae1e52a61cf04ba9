"""The walk of the README on real photos and on real traffic signs, every verb in turn."""

import json
from collections import Counter
from pathlib import Path

import pytest

from processes import Done, sightsmith

SETTINGS = {
    "cifar10_subset": ("--model", "smallcnn", "--net.width", "8", "--epochs", "1"),
    "gtsrb_tracks": ("--model", "smallcnn", "--net.width", "8", "--epochs", "3", "--size", "24"),
}
TRACKS = ("--group-by", r"^(.+/\d+)_")
"""A track is ten pictures of one sign from one drive: 0/00000_00000.ppm … 0/00000_00029.ppm."""

pytestmark = pytest.mark.slow


def first_picture(folder: Path) -> Path:
    return min(path for path in folder.rglob("*") if path.suffix in {".png", ".ppm"})


def walk(data: Path, home: Path, grouping: tuple[str, ...]) -> dict[str, Done]:
    """Do every verb in turn, each of which has to succeed."""
    picture = first_picture(data)
    steps = {
        "check": ("check", data, *grouping),
        "train": ("train", data, "--out", "signs", *grouping, *SETTINGS[data.name]),
        "evaluate": ("evaluate", "signs", "--json"),
        "predict": ("predict", "signs", picture, picture.parent),
        "explain": ("explain", "signs", picture, "--json"),
        "export": ("export", "signs", "--to", "openvino", "--prove", "test"),
        "verify": ("verify", "signs"),
    }
    return {name: sightsmith(*step, cwd=home).succeeded() for name, step in steps.items()}


@pytest.mark.parametrize(("name", "grouping"), [("cifar10_subset", ()), ("gtsrb_tracks", TRACKS)])
def test_the_walk(shared_data, tmp_path, name, grouping):
    data = shared_data(name)
    done = walk(data, tmp_path, grouping)
    assert "0 errors" in done["check"].out
    manifest = json.loads((tmp_path / "signs/manifest.json").read_text(encoding="utf-8"))
    splits = json.loads((tmp_path / "signs/splits.json").read_text(encoding="utf-8"))
    assert {split: len(keys) for split, keys in splits.items()} == manifest["data"]["counts"]
    measured = json.loads(done["evaluate"].out)
    assert measured["counts"]["evaluated"] == len(splits["test"])
    assert measured["metrics"]["accuracy"] > 1.2 / len(manifest["definition"]["names"]), "no better than a guess"
    answers = [json.loads(line) for line in done["predict"].out.splitlines()]
    assert answers[0]["labels"] == answers[1]["labels"]
    assert json.loads(done["explain"].out)["label"] == answers[0]["labels"][0]["label"]
    assert list(tmp_path.glob("*.signs.class_map.png"))
    assert f"on {len(splits['test']):,} pictures" in done["export"].out
    assert "OpenVINO" in done["verify"].out
    if grouping:
        no_track_straddles(splits)
    else:
        assert {key.split("/")[0] for key in splits["test"]} == {"test"}, "the data's own test split is the test"


def no_track_straddles(splits: dict[str, list[str]]) -> None:
    tracks = {split: Counter(key.rsplit("_", 1)[0] for key in keys) for split, keys in splits.items()}
    assert all(tracks.values())
    assert not tracks["train"].keys() & tracks["val"].keys()
    assert not (tracks["train"].keys() | tracks["val"].keys()) & tracks["test"].keys()
    assert {count for found in tracks.values() for count in found.values()} == {10}
