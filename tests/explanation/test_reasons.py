"""Reasons: which training pictures are nearest, found again in data that has gaps, and how reasons are drawn."""

import re
import shutil
import xml.etree.ElementTree as ET

import pytest
from PIL import Image

import sightsmith as ss
from photos import make_photos, stripes
from sightsmith.core.errors import OutputExistsError
from sightsmith.explanation.drawing import draw_neighbours, draw_path
from sightsmith.nets.parts.reason import Neighbour, Reason, Step

NEAREST = re.compile(r"Nearest training pictures: (\S+) \((\w+), distance (\S+)\)")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with photos, of which some are damaged and some nearly equal, and a model of neighbours."""
    folder = tmp_path_factory.mktemp("neighbours")
    photos = make_photos(folder / "photos", count=14)
    for name in ("cat/cat_03", "dog/dog_00"):
        path = photos / f"{name}.jpg"
        path.write_bytes(path.read_bytes()[:90])
    for name in ("cat_05", "cat_06", "cat_11"):
        stripes(int(name[-2:]), 0).save(photos / "cat" / f"{name}_again.jpg", quality=70)
    ss.train(photos, out=folder / "near", model="pixel_knn", size=24, max_bad=0.5, quiet=True)
    return folder


@pytest.fixture
def home(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "home")


def test_a_training_picture_is_nearest_to_itself(trained):
    """Though pictures before it were left out, and nearly equal ones were put into one split."""
    with ss.load(trained / "near") as model:
        keys = model.bundle.splits()["train"]
        assert sum("_again" in key for key in keys) > 0
        for key in keys[::4]:
            done = model.explain(trained / "photos" / key)
            found, label, distance = NEAREST.match(done.reasons[0]).groups()
            assert (found, label) == (key, key.split("/")[0])
            assert float(distance) < 1e-5
            assert len(done.reasons) == 1
            drawn = ET.fromstring(done.reason_picture)
            assert len(drawn.findall("{*}image")) == 6, "the picture and five neighbours"
            assert key in done.reason_picture


def moved(home):
    (home / "photos").rename(home / "elsewhere")


def other(home, key):
    stripes(7, 2).save(home / "photos" / key)


def gone(home, key):
    (home / "photos" / key).unlink()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda home, key: moved(home), r"They cannot be shown. .*photos: no such file or folder"),
        (other, r"{key} is another picture than in the training"),
        (gone, r"{key} is missing"),
    ],
)
def test_neighbours_that_are_gone_or_changed_are_not_shown(home, change, says):
    with ss.load(home / "near") as model:
        model.manifest.data["location"] = str(home / "photos")
        key = model.bundle.splits()["train"][3]
        asked = (home / "photos" / key).read_bytes()
        change(home, key)
        done = model.explain(asked)
        assert NEAREST.match(done.reasons[0])[1] == key
        assert re.search(says.format(key=key), done.reasons[1])
        assert done.reasons[1].endswith(f"Put the training data back at '{home / 'photos'}' to see them.")
        assert done.reason_picture is None
        assert set(done.save(home / "why.png")) == {"overlay", "raw"}


def test_a_reason_is_written_beside_the_map_and_replaced_or_removed_with_it(trained, tmp_path):
    with ss.load(trained / "near") as model:
        done = model.explain(trained / "photos/cat/cat_00.jpg")
    paths = done.save(tmp_path / "why.png")
    assert paths["reason"] == tmp_path / "why.reason.svg"
    assert paths["reason"].read_text(encoding="utf-8") == done.reason_picture == done.reason_picture._repr_svg_()
    assert done._repr_html_().count("<img") == 2
    (tmp_path / "new.reason.svg").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"new\.reason\.svg exists already"):
        done.save(tmp_path / "new.png")
    assert not (tmp_path / "new.png").exists(), "told before anything is written"
    done.save(tmp_path / "new.png", overwrite=True)
    assert (tmp_path / "new.reason.svg").read_text(encoding="utf-8") == done.reason_picture


def test_names_of_every_kind_can_be_drawn(tmp_path):
    """Long, wide, with characters that XML must escape or does not allow."""
    name = "<b>&\x07 熊猫" + "long" * 40
    picture = Image.new("L", (400, 200), 99)
    step = Step(question=f"{name} is at most 3", values="2", holds=True, otherwise=f"mostly {name}")
    path = draw_path(Reason(sentences=(), steps=(step,) * 3, answer=name, rest=(name,), notes=(name,)), picture)
    near = Neighbour(key=name, label=name, distance=0.5, features_D=None)
    strip = draw_neighbours([near] * 7, [picture] * 7, picture, name)
    for drawn in (path, strip):
        root = ET.fromstring(drawn)
        assert "熊猫" in drawn
        width, height = map(float, root.get("viewBox").split()[2:])
        for text in root.iter("{http://www.w3.org/2000/svg}text"):
            assert 0 < float(text.get("x")) < width
            assert 0 < float(text.get("y")) < height
            assert len(text.text or "") <= 122
