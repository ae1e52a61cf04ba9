"""Everything that can be wrong with what a person gives: each is an error to act on, nothing half-written."""

import json
import os
import shutil
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photos import QUICK, make_photos, stripes
from processes import sightsmith, tree

TRAIN = ("--out", "made", *QUICK[:-1], "1")


def train(data: str | Path, cwd: Path, *more: str, **how):
    return sightsmith("train", data, *TRAIN, *more, cwd=cwd, **how)


def nothing_made(cwd: Path) -> bool:
    return not list(cwd.rglob("made*")) and not list(cwd.rglob("*.part"))


def problems(data: str | Path, cwd: Path) -> dict[str, dict]:
    """Return what `check --json` finds, by code."""
    done = sightsmith("check", data, "--json", cwd=cwd)
    assert done.code in {0, 1}, done.err
    return {one["code"]: one for one in json.loads(done.out)["problems"]}


# The data as a whole


def test_an_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    for done in (sightsmith("check", "empty", cwd=tmp_path), train("empty", tmp_path)):
        done.refused(2, "empty: no picture in it", "the folder is empty", "Give each class a folder of its own")
    assert nothing_made(tmp_path)


def test_a_folder_of_text_files(tmp_path):
    for label in "ab":
        (tmp_path / "texts" / label).mkdir(parents=True)
        (tmp_path / "texts" / label / "notes.txt").write_text("hello")
    for done in (sightsmith("check", "texts", cwd=tmp_path), train("texts", tmp_path)):
        done.refused(2, "texts: no picture in it", "JPEG, PNG", "2 .txt", "Give each class a folder")
    assert nothing_made(tmp_path)


def test_one_class(photos, tmp_path):
    shutil.rmtree(photos / "dog")
    shutil.rmtree(photos / "owl")
    done = sightsmith("check", "photos", cwd=tmp_path)
    assert (done.code, "[one-class]" in done.out) == (1, True)
    train("photos", tmp_path).refused(2, "of one class, 'cat'", "Add another class")
    assert nothing_made(tmp_path)


def test_a_class_with_one_picture(photos, tmp_path):
    for path in sorted((photos / "dog").iterdir())[1:]:
        path.unlink()
    assert "dog" in problems("photos", tmp_path)["single-picture"]["message"]
    train("photos", tmp_path).refused(2, "one usable picture", "dog", "Add pictures, or remove the class")
    assert nothing_made(tmp_path)


def test_an_empty_class(photos, tmp_path):
    for path in (photos / "dog").iterdir():
        path.write_bytes(b"")
    found = problems("photos", tmp_path)
    assert "dog" in found["empty-class"]["message"]
    assert len(found["unreadable"]["groups"]) == 20
    train("photos", tmp_path).refused(2, "no usable picture: dog", "remove the class")
    assert nothing_made(tmp_path)


def test_tiny_and_uneven_classes_are_warnings(photos, tmp_path):
    for path in sorted((photos / "dog").iterdir())[4:]:
        path.unlink()
    make_photos(tmp_path / "more", 60, ("cat",))
    for path in (tmp_path / "more/cat").iterdir():
        path.rename(photos / "cat" / path.name)
    found = problems("photos", tmp_path)
    assert (found["tiny-class"]["severity"], found["imbalance"]["severity"]) == ("warning", "warning")
    assert "'cat' has 60 pictures and 'dog' 4, 15 times fewer" in found["imbalance"]["message"]
    assert sightsmith("check", "photos", cwd=tmp_path).code == 0
    assert sightsmith("check", "photos", "--strict", cwd=tmp_path).code == 1
    done = train("photos", tmp_path).succeeded()
    assert "[tiny-class]" in done.err
    assert "[imbalance]" in done.err


# Single pictures


@pytest.fixture
def damaged(photos) -> Path:
    """Return photos of which one is cut short, one empty and one a text."""
    whole = (photos / "cat/cat_00.jpg").read_bytes()
    (photos / "cat/cat_00.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "dog/dog_00.jpg").write_bytes(b"")
    (photos / "owl/owl_00.jpg").write_text("not a picture")
    return photos


def test_unreadable_pictures_are_named_in_text_json_and_html(damaged, tmp_path):
    done = sightsmith("check", "photos", "--html", "page.html", cwd=tmp_path)
    assert done.code == 1
    assert "Page: page.html" in done.err
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    found = problems("photos", tmp_path)["unreadable"]
    assert found["severity"] == "error"
    for key, word in {
        "cat/cat_00.jpg": "truncated",
        "dog/dog_00.jpg": "zero bytes",
        "owl/owl_00.jpg": "known format",
    }.items():
        assert [key] in found["groups"]
        assert word in found["notes"][found["groups"].index([key])]
        assert key in done.out
        assert key in page.replace("<wbr>", "")
    again = sightsmith("check", "photos", "--html", "page.html", cwd=tmp_path)
    again.refused(2, "page.html exists already", "--overwrite")


def test_too_many_bad_pictures_stop_training_and_max_bad_lets_it_go_on(damaged, tmp_path):
    train("photos", tmp_path).refused(2, "3 of 60", "1.0%", "--max-bad")
    assert nothing_made(tmp_path)
    done = train("photos", tmp_path, "--max-bad", "0.1").succeeded()
    assert "57 pictures" in done.err
    assert "3 left out" in done.err
    for name in ("cat/cat_00.jpg", "dog/dog_00.jpg", "owl/owl_00.jpg"):
        assert name in done.err
    manifest = json.loads((tmp_path / "made/manifest.json").read_text(encoding="utf-8"))
    assert manifest["data"]["skipped"] == 3


def test_copies_and_one_picture_under_two_labels(photos, tmp_path):
    shutil.copy(photos / "cat/cat_01.jpg", photos / "cat/copy.jpg")
    shutil.copy(photos / "cat/cat_02.jpg", photos / "dog/other.jpg")
    found = problems("photos", tmp_path)
    assert found["duplicate"]["groups"] == [["cat/cat_01.jpg", "cat/copy.jpg"]]
    assert found["duplicate"]["severity"] == "warning"
    assert found["contradiction"]["groups"] == [["cat/cat_02.jpg", "dog/other.jpg"]]
    assert found["contradiction"]["severity"] == "error"
    train("photos", tmp_path).refused(2, "cat/cat_02.jpg", "more than one label", "--max-bad")
    done = train("photos", tmp_path, "--max-bad", "0.1").succeeded()
    assert "59 pictures" in done.err
    splits = json.loads((tmp_path / "made/splits.json").read_text(encoding="utf-8"))
    assert not {"cat/copy.jpg", "cat/cat_02.jpg", "dog/other.jpg"} & {key for keys in splits.values() for key in keys}


def test_pictures_in_two_splits(photos, tmp_path):
    for split, numbers in {"train": range(16), "test": range(16, 20)}.items():
        for label in ("cat", "dog", "owl"):
            folder = tmp_path / "parted" / split / label
            folder.mkdir(parents=True)
            for number in numbers:
                shutil.copy(photos / label / f"{label}_{number:02}.jpg", folder)
    parted = tmp_path / "parted"
    shutil.copy(parted / "test/cat/cat_16.jpg", parted / "train/cat/leak.jpg")
    with Image.open(parted / "test/dog/dog_16.jpg") as picture:
        picture.save(parted / "train/dog/near.jpg", quality=85)
    found = problems("parted", tmp_path)
    assert found["leak"]["severity"] == "error"
    assert {Path(key).name for key in found["leak"]["groups"][0]} == {"cat_16.jpg", "leak.jpg"}
    assert found["near-leak"]["severity"] == "warning"
    assert {Path(key).name for key in found["near-leak"]["groups"][0]} == {"dog_16.jpg", "near.jpg"}


def test_near_copies_inside_a_split_are_told(photos, tmp_path):
    with Image.open(photos / "dog/dog_05.jpg") as picture:
        picture.save(photos / "dog/again.jpg", quality=60)
    found = problems("photos", tmp_path)["near-duplicate"]
    assert [sorted(group) for group in found["groups"]] == [["dog/again.jpg", "dog/dog_05.jpg"]]


def test_a_picture_of_one_pixel(photos, life, tmp_path):
    Image.new("RGB", (1, 1), "red").save(photos / "cat/dot.png")
    assert problems("photos", tmp_path)["one-pixel"]["groups"] == [["cat/dot.png"]]
    assert "1×1" in sightsmith("check", "photos", cwd=tmp_path).out
    done = sightsmith("predict", life.bundle, "photos/cat/dot.png", cwd=tmp_path).succeeded()
    assert len(json.loads(done.out)["labels"]) == 3


def png_of(width: int, height: int) -> bytes:
    """Return a small PNG file that says it has this many pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def test_a_png_bomb(photos, life, tmp_path):
    for name, side in {"large": 9_000, "huge": 60_000}.items():
        (photos / f"cat/{name}.png").write_bytes(png_of(side, side))
    found = problems("photos", tmp_path)["too-many-pixels"]
    assert sorted(found["groups"]) == [["cat/huge.png"], ["cat/large.png"]]
    assert "50,000,000 pixels" in found["message"]
    done = sightsmith("predict", life.bundle, "photos/cat", cwd=tmp_path)
    done.refused(1, "skipped photos/cat/large.png", "skipped photos/cat/huge.png", "Make it smaller")
    assert sum("labels" in json.loads(line) for line in done.out.splitlines()) == 20
    sightsmith("explain", life.bundle, "photos/cat/huge.png", cwd=tmp_path).refused(2, "huge.png", "Make it smaller")


def test_pictures_to_measure_on_that_cannot_be_used_are_told_by_every_verb(life, photos, cats, tmp_path):
    (photos / "owl" / "phone.heic").write_bytes(b"not read")
    (photos / "cat" / "cat_00.jpg").rename(photos / "stray.jpg")
    told = ("skipped owl/phone.heic: unsupported format", "skipped stray.jpg: no class")
    done = sightsmith("evaluate", cats, "--data", photos, "--json", cwd=tmp_path).refused(1, *told)
    assert json.loads(done.out)["counts"]["skipped"] == 2
    sightsmith("export", cats, "--to", "openvino", "--prove", photos, cwd=tmp_path).refused(1, *told)
    shutil.rmtree(photos / "owl")
    (photos / "owl").mkdir()
    sightsmith("evaluate", cats, "--data", photos, cwd=tmp_path).refused(2, "no picture of 'owl'", "--missing-ok")


def test_names_that_are_not_utf8(photos, life, tmp_path):
    try:
        for label in ("cat", "dog"):
            name = os.fsencode(photos / label) + b"/caf\xe9.jpg"
            stripes(ord(label[0]), 0).save(os.fsdecode(name), "JPEG")
        folder = os.fsencode(photos) + b"/ch\xe9vre"
        (photos / "owl").rename(os.fsdecode(folder))
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    done = sightsmith("check", "photos", "--json", cwd=tmp_path).succeeded()
    assert json.loads(done.out)["classes"]
    train("photos", tmp_path).succeeded()
    manifest = json.loads((tmp_path / "made/manifest.json").read_bytes().decode("utf-8"))
    assert len(manifest["definition"]["names"]) == 3
    json.loads((tmp_path / "made/splits.json").read_bytes().decode("utf-8"))
    sightsmith("evaluate", "made", cwd=tmp_path).succeeded()
    done = sightsmith("predict", "made", "photos", "--out", "answers.jsonl", cwd=tmp_path).succeeded()
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_bytes().decode("utf-8").splitlines()]
    assert len(rows) == 62
    assert all("labels" in row for row in rows)
    assert sum("caf" in row["picture"] for row in rows) == 2


# Training


def test_a_loss_that_is_no_number_stops_before_the_first_checkpoint(life, tmp_path):
    how = ("--lr", "1e20", "--precision", "fp32", "--clip", "0")
    done = train(life.home / "photos", tmp_path, *how)
    done.refused(3, "the loss became", "in epoch 1, step", "There was no checkpoint yet", "--lr")
    assert nothing_made(tmp_path)


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(life, tmp_path):
    """The learning rate climbs, so that the first epochs go well."""
    calm = ("--optimizer", "sgd", "--precision", "fp32", "--clip", "0")
    how = ("--epochs", "6", "--warmup-epochs", "6", "--lr", "300", *calm)
    done = sightsmith("train", life.home / "photos", "--out", "made", *QUICK[:-2], *how, cwd=tmp_path)
    done.refused(3, "the loss became", "made.train/last.safetensors, is good", "--lr")
    assert "epoch 1/6" in done.err
    assert (tmp_path / "made.train/last.safetensors").is_file()
    assert not (tmp_path / "made").exists()


def test_an_existing_output_is_never_touched_unasked(life, cats, tmp_path):
    before = tree(cats)
    photos = life.home / "photos"
    done = sightsmith("train", photos, "--out", "cats", *QUICK, cwd=tmp_path)
    done.refused(2, "cats exists already", "--overwrite")
    (tmp_path / "answers.jsonl").write_text("mine")
    done = sightsmith("predict", "cats", photos, "--out", "answers.jsonl", cwd=tmp_path)
    done.refused(2, "answers.jsonl exists already", "--overwrite")
    (tmp_path / "page.html").write_text("mine")
    sightsmith("evaluate", "cats", "--report", "page.html", cwd=tmp_path).refused(2, "page.html exists already")
    (tmp_path / "map.png").write_text("mine")
    picture = photos / "cat/cat_00.jpg"
    sightsmith("explain", "cats", picture, "--out", "map.png", cwd=tmp_path).refused(2, "map.png exists already")
    assert tree(cats) == before
    assert {(tmp_path / name).read_text() for name in ("answers.jsonl", "page.html", "map.png")} == {"mine"}
    sightsmith("predict", "cats", photos, "--out", "answers.jsonl", "--overwrite", cwd=tmp_path).succeeded()
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 60


def test_pictures_are_no_place_for_a_model(photos, tmp_path):
    """All the places there are: tests/training/test_work.py."""
    before = tree(tmp_path)
    again = ("--overwrite", *QUICK)
    sightsmith("train", "photos", "--out", "photos", *again, cwd=tmp_path).refused(
        2, "is or contains the training data photos"
    )
    shutil.copytree(photos, tmp_path / "others")
    done = sightsmith("train", "photos", "--out", "others", *again, cwd=tmp_path)
    done.refused(2, "others exists already and is not a bundle", "--overwrite replaces only bundles")
    assert tree(tmp_path / "others") == tree(photos)
    shutil.rmtree(tmp_path / "others")
    assert tree(tmp_path) == before


def test_a_bundle_one_stands_in_and_one_behind_a_link(cats, photos, tmp_path):
    (tmp_path / "latest").symlink_to("cats")
    sightsmith("evaluate", ".", "--data", photos, cwd=cats).succeeded()
    sightsmith("export", ".", "--to", "onnx", cwd=cats).succeeded()
    sightsmith("evaluate", "latest", "--data", photos, cwd=tmp_path).succeeded()
    assert (tmp_path / "latest").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cats", "latest", "photos"]
    sightsmith("verify", "cats", cwd=tmp_path).succeeded()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder where nobody may write, such as /proc")
@pytest.mark.parametrize("verb", ["train", "predict", "check"])
def test_an_output_where_nobody_may_write(life, verb):
    arguments = {
        "train": ("photos", "--out", "/proc/made/cats", *QUICK),
        "predict": ("cats", "photos", "--out", "/proc/made/answers.csv"),
        "check": ("photos", "--html", "/proc/made/page.html"),
    }[verb]
    done = sightsmith(verb, *arguments, cwd=life.home)
    done.refused(2, "/proc/made", "cannot be written")


# A disk that takes nothing more


def still_good(bundle: Path, before: dict[str, bytes]) -> None:
    assert tree(bundle) == before
    assert not [path for path in bundle.parent.rglob("*") if path.name.endswith((".part", ".old"))]
    assert not list(bundle.parent.glob(".sightsmith-*"))
    sightsmith("verify", bundle, cwd=bundle.parent).succeeded()


def test_full_disk_while_training(life, tmp_path):
    photos = life.home / "photos"
    done = train(photos, tmp_path, file_limit=20_000)
    done.refused(3, "cannot be written", "Make room")
    assert not (tmp_path / "made").exists()
    assert not list(tmp_path.rglob("*.part"))
    train(photos, tmp_path, *(["--resume"] if (tmp_path / "made.train").exists() else [])).succeeded()


@pytest.mark.parametrize("to", ["openvino", "onnx"])
def test_full_disk_while_a_graph_is_written(cats, tmp_path, to):
    before = tree(cats)
    done = sightsmith("export", "cats", "--to", to, cwd=tmp_path, file_limit=4_000)
    done.refused(2, "cannot be written", "Make room on the disk")
    still_good(cats, before)


def test_full_disk_while_evaluating(life, cats, tmp_path):
    (life.home / "copied").symlink_to(cats)
    before = tree(cats)
    done = sightsmith("evaluate", "copied", cwd=life.home, file_limit=6_000)
    done.refused(2, "copied: cannot be written", "make room on the disk")
    still_good(cats, before)


def test_full_disk_while_predicting(life, cats, tmp_path):
    before = tree(cats)
    done = sightsmith("predict", "cats", life.home / "photos", "--out", "answers.jsonl", cwd=tmp_path, file_limit=2_000)
    assert done.code in {2, 3}, done.err
    done.refused(done.code, "answers.jsonl", "cannot be written", "room")
    assert not (tmp_path / "answers.jsonl").exists()
    still_good(cats, before)


FULL = """
mount -t tmpfs -o size=3m tmpfs "$1" && cp -r "$2" "$1/cats" || exit 99
place=$1; shift 2
head -c 9m /dev/zero > "$place/rest" 2>/dev/null
"$@"; code=$?
rm -f "$place/rest" "$place"/answers.*
ls -A "$place" && diff -r cats "$place/cats" || code=98
exit $code
"""


@pytest.mark.parametrize("verb", ["train", "export", "evaluate", "predict"])
def test_a_disk_that_is_really_full(life, tmp_path, verb):
    """A file system in memory with the bundle on it and no room left, mounted for this process tree alone."""
    probe = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(tmp_path)]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system")
    arguments = {
        "train": ("photos", "--out", tmp_path / "made", *QUICK),
        "export": (tmp_path / "cats", "--to", "openvino"),
        "evaluate": (tmp_path / "cats",),
        "predict": (tmp_path / "cats", "photos", "--out", tmp_path / "answers.jsonl"),
    }[verb]
    script = ("unshare", "-m", "sh", "-c", FULL, "sh", tmp_path, life.bundle)
    done = sightsmith(verb, *arguments, cwd=life.home, before=list(map(str, script)))
    done.refused(3 if verb == "train" else 2, "cannot be written", "No space left", "room")
    assert [line for line in done.out.splitlines() if " " not in line] == ["cats"], "nothing else is left behind"
    assert ("accuracy" in done.out) == (verb == "evaluate"), "what took long to measure is told all the same"


# Bundles that are not what they say


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["weights.safetensors", "README.md", "backends/openvino"])
def test_one_changed_bit_is_found_by_every_verb_that_trusts_a_bundle(cats, life, tmp_path, name):
    path = cats / name if (cats / name).is_file() else max((cats / name).rglob("*"), key=lambda one: one.stat().st_size)
    flip(path, path.stat().st_size // 2)
    told = str(path.relative_to(cats))
    for verb in (("verify", "cats"), ("predict", "cats", life.home / "photos"), ("serve", "cats", "--port", "0")):
        done = sightsmith(*verb, cwd=tmp_path).refused(
            2, f"cats: {told}: changed after it was written", "copy it again"
        )
        assert done.out == ""


def test_verify_lists_everything_that_is_wrong(cats, tmp_path):
    names = [path for path in sorted(cats.rglob("*")) if path.is_file() and path.name != "manifest.json"]
    for path in names:
        path.write_bytes(path.read_bytes() + b"x")
    done = sightsmith("verify", "cats", cwd=tmp_path).refused(2, "copy it again")
    for path in names:
        assert f"{path.relative_to(cats)}: changed after it was written" in done.err


def test_a_manifest_of_a_newer_schema(cats, tmp_path):
    path = cats / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"schema": 2', '"schema": 99'), encoding="utf-8")
    for verb in ("verify", "inspect", "serve"):
        done = sightsmith(verb, "cats", *(["--port", "0"] if verb == "serve" else []), cwd=tmp_path)
        done.refused(2, "schema 99", "newer Sightsmith", "pip install --upgrade sightsmith")


def test_a_manifest_that_is_damaged(cats, tmp_path):
    path = cats / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8")[:100], encoding="utf-8")
    sightsmith("verify", "cats", cwd=tmp_path).refused(2, "cats: manifest.json")


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "..\\evil.txt"])
def test_an_archive_with_names_that_lead_out_of_it(tmp_path, name):
    (tmp_path / "here").mkdir()
    with zipfile.ZipFile(tmp_path / "here/evil.zip", "w") as archive:
        archive.writestr("manifest.json", "{}")
        archive.writestr(name, "evil")
    done = sightsmith("verify", "evil.zip", cwd=tmp_path / "here")
    done.refused(2, "evil.zip: member", "outside the folder", "do not trust it")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["evil.zip"]


def test_an_archive_that_is_none_and_one_cut_short(life, tmp_path):
    (tmp_path / "text.zip").write_text("hello")
    sightsmith("verify", "text.zip", cwd=tmp_path).refused(2, "text.zip: not a whole zip archive", "Copy it again")
    whole = Path(shutil.make_archive(str(tmp_path / "whole"), "zip", life.bundle))
    sightsmith("verify", "whole.zip", cwd=tmp_path).succeeded()
    (tmp_path / "half.zip").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    sightsmith("predict", "half.zip", life.home / "photos", cwd=tmp_path).refused(
        2, "half.zip: not a whole zip archive"
    )


def test_no_answer_of_a_model_holds_nan(life, tmp_path):
    """Black, white and extreme pictures have answers like any other."""
    for name, value in {"black": 0, "white": 255}.items():
        Image.fromarray(np.full((3, 900, 3), value, np.uint8)).save(tmp_path / f"{name}.png")
    done = sightsmith("predict", life.bundle, "black.png", "white.png", cwd=tmp_path).succeeded()
    assert "NaN" not in done.out
    assert [len(json.loads(line)["labels"]) for line in done.out.splitlines()] == [3, 3]
