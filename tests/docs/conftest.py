"""A folder as the documentation's examples expect it: pictures, and a small model called `cats`."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from doc_pages import shell

COLOURS = {"cat": (200, 40, 50), "dog": (230, 210, 60), "owl": (90, 50, 150)}
SIDE = 24


def picture(rng: np.random.Generator, label: str) -> Image.Image:
    """Return a disc of the class's colour on a ground of other discs, with noise."""
    drawn = Image.new("RGB", (SIDE, SIDE), tuple(map(int, rng.integers(60, 200, 3))))
    pen = ImageDraw.Draw(drawn)
    for x, y, size in rng.integers(0, SIDE, (6, 3)).tolist():
        pen.ellipse((x, y, x + size // 3, y + size // 3), fill=tuple(map(int, rng.integers(40, 220, 3))))
    size = int(rng.integers(SIDE // 3, SIDE // 2 + 4))
    x, y = rng.integers(2, SIDE - size - 1, 2).tolist()
    shade = np.clip(np.array(COLOURS[label]) + rng.integers(-20, 20, 3), 0, 255)
    pen.ellipse((x, y, x + size, y + size), fill=tuple(map(int, shade)))
    noise = rng.integers(-12, 12, (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(np.asarray(drawn).astype(int) + noise, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def furnished(made_once) -> Path:
    """Return the folder: photos/ test/ more/ pic.jpg, and cats, trained, evaluated and exported by the commands."""
    return made_once("furnished", furnish)


def furnish(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for where, count in (("photos", 40), ("test", 8)):
        for label in COLOURS:
            (folder / where / label).mkdir(parents=True)
            for number in range(count):
                picture(rng, label).save(folder / where / label / f"{number:03}.jpg", quality=92)
    (folder / "more").mkdir()
    for number, label in enumerate(COLOURS):
        picture(rng, label).save(folder / "more" / f"{number}.jpg", quality=92)
    picture(rng, "dog").save(folder / "pic.jpg", quality=92)
    shell(
        "sightsmith train photos --size 24 --epochs 4 --net.width 16 --workers 0 --out cats\n"
        "sightsmith export cats --to openvino\n"
        "sightsmith evaluate cats",
        folder,
    )


@pytest.fixture
def room(furnished, tmp_path) -> Path:
    """Return a copy of the furnished folder for one page."""
    folder = tmp_path / "room"
    shutil.copytree(furnished, folder)
    return folder
