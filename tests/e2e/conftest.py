"""A small folder of photos, and a model that the command line made of it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from photos import QUICK, make_photos
from processes import Done, sightsmith


@dataclass(frozen=True)
class Life:
    """A bundle `cats` beside its `photos` in the folder `home`, and what the commands that made it said."""

    home: Path
    train: Done
    evaluate: Done
    export: Done

    @property
    def bundle(self) -> Path:
        return self.home / "cats"


@pytest.fixture(scope="session")
def life(tmp_path_factory) -> Life:
    """Return the small model's life: trained, evaluated, exported. Copy before changing anything."""
    home = tmp_path_factory.mktemp("home")
    make_photos(home / "photos")
    train = sightsmith("train", "photos", "--out", "cats", *QUICK, cwd=home).succeeded()
    evaluate = sightsmith("evaluate", "cats", "--json", cwd=home).succeeded()
    export = sightsmith("export", "cats", "--to", "openvino", "--prove", "test", cwd=home).succeeded()
    return Life(home, train, evaluate, export)


@pytest.fixture
def cats(life, tmp_path) -> Path:
    """Return a copy of the bundle that a test may damage."""
    return Path(shutil.copytree(life.bundle, tmp_path / "cats"))


@pytest.fixture
def photos(life, tmp_path) -> Path:
    """Return a copy of the photos that a test may damage."""
    return Path(shutil.copytree(life.home / "photos", tmp_path / "photos"))
