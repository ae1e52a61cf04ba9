"""A small folder of photos, and a model that the command line made of it."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from photos import QUICK, make_photos
from processes import Done, sightsmith

SAID = "said.json"


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
def life(made_once) -> Life:
    """Return the small model's life: trained, evaluated, exported. Copy before changing anything."""

    def make(home: Path) -> None:
        make_photos(home / "photos")
        said = {
            "train": sightsmith("train", "photos", "--out", "cats", *QUICK, cwd=home),
            "evaluate": sightsmith("evaluate", "cats", "--json", cwd=home),
            "export": sightsmith("export", "cats", "--to", "openvino", "--prove", "test", cwd=home),
        }
        (home / SAID).write_text(json.dumps({verb: asdict(done.succeeded()) for verb, done in said.items()}))

    home = made_once("home", make)
    said = json.loads((home / SAID).read_text())
    return Life(home, **{verb: Done(**done) for verb, done in said.items()})


@pytest.fixture
def cats(life, tmp_path) -> Path:
    """Return a copy of the bundle that a test may damage."""
    return Path(shutil.copytree(life.bundle, tmp_path / "cats"))


@pytest.fixture
def photos(life, tmp_path) -> Path:
    """Return a copy of the photos that a test may damage."""
    return Path(shutil.copytree(life.home / "photos", tmp_path / "photos"))
