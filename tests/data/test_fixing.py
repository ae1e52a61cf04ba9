"""A repaired copy: without the planted faults, with every change in its list; the original stays as it is."""

import csv
import hashlib

import pytest
from PIL import Image

from box_data import NAMES, TRUTH, coco_json, objects_of, voc_xml, write_coco, write_pictures, write_voc, write_yolo
from processes import sightsmith
from sightsmith import model
from sightsmith.core.errors import OutputExistsError, SettingsError
from sightsmith.data.source import open_source

CAR, PERSON = TRUTH["a"]
GOOD = ("good", "better", "best")


def plant_voc(name, objects, **how):
    def plant(root):
        write_voc(root)
        (root / "Annotations" / f"{name}.xml").write_text(voc_xml(name, objects, **how))

    return plant


def voc_faults(root):
    """Write Pascal VOC in which each picture that is not of `GOOD` has a fault."""
    wrong = {
        "empty": ("car", (9, 9, 9, 20)),
        "outside": ("car", (80, 9, 90, 20)),
        "clipped": ("car", (50, 9, 90, 20)),
        "nan": ("car", ("nan", 9, 9, 20)),
        "shares": ("car", (0.1, 0.2, 0.5, 0.9)),
        "text": ("car", ("four", 9, 9, 20)),
        "double": CAR,
    }
    right = (*GOOD, "gone", "broken", "damaged", "escape", "twice", "loose")
    write_voc(
        root, {stem: [CAR, PERSON] for stem in right} | {stem: [CAR, PERSON, each] for stem, each in wrong.items()}
    )
    pictures, annotations, lists = root / "JPEGImages", root / "Annotations", root / "ImageSets" / "Main"
    (pictures / "gone.png").unlink()
    (annotations / "broken.xml").write_text("<annotation>")
    (pictures / "damaged.png").write_bytes((pictures / "damaged.png").read_bytes()[:999])
    (annotations / "escape.xml").write_text(voc_xml("../../escape", [CAR]))
    copies = {"twin": ("good", [CAR, PERSON]), "other": ("better", [CAR]), "leaked": ("best", [CAR, PERSON])}
    for stem, (original, objects) in copies.items():
        (pictures / f"{stem}.png").write_bytes((pictures / f"{original}.png").read_bytes())
        (annotations / f"{stem}.xml").write_text(voc_xml(stem, objects))
    write_pictures(pictures, ["seized"], (50, 40))
    (annotations / "seized.xml").write_text(voc_xml("seized", [CAR], size=(640, 480)))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.effect_noise((64, 48), 90).save(pictures / "lying.png", exif=exif)
    (annotations / "lying.xml").write_text(voc_xml("lying", [CAR]))
    lists.mkdir(parents=True)
    stems = sorted(file.stem for file in annotations.iterdir() if file.stem not in ("loose", "leaked"))
    (lists / "train.txt").write_text("\n".join([*stems, "absent"]))
    (lists / "test.txt").write_text("leaked\ntwice\n")


def coco_faults(root):
    content = coco_json(numbers=(3, 2))
    content["categories"] += [{"id": 0, "name": "things"}, {"id": 9, "name": "car"}]
    more = {"id": 7, "image_id": 1, "category_id": 3, "bbox": [1, 1, 9, 9]}
    content["annotations"] += [
        more | {"category_id": 8},
        more | {"id": 8, "image_id": 99},
        more | {"id": 9, "category_id": 9, "segmentation": [[1, 1, 9, 1, 9, 9]]},
    ]
    write_coco(root, content)
    (root / "README.md").write_text("words")
    (root / "images" / "phone.heic").write_bytes(b"a picture")


def yolo_faults(root):
    write_yolo(root, names="names: [car, person]\ntrain: images\ntest: images/test\n")
    with (root / "labels" / "a.txt").open("a") as file:
        file.write("0 20 20 9 9\n7 .5 .5 .1 .1\n0 .5 .5\n")
    (root / "labels" / "none.txt").write_text("0 .5 .5 .1 .1\n")
    write_pictures(root / "images" / "inner", ["far"])
    (root / "labels" / "far.txt").write_text("0 .5 .5 .1 .1\n")
    (root / "images" / "bad.png").write_bytes(b"no picture")


def corners(root):
    boxes = [(at, at, at + 9, at + 6) for at in range(2, 32)]
    content = coco_json({"a": [("car", box) for box in boxes], "b": [], "c": []})
    for entry, box in zip(content["annotations"], boxes, strict=False):
        entry["bbox"] = box
    write_coco(root, content)


def shifted(root):
    write_yolo(root)
    lines = [f"{1 + at % 2} .{at + 20} .5 .2 .2\n" for at in range(30)]
    (root / "labels" / "a.txt").write_text("".join(lines))
    (root / "labels" / "b.txt").write_text("")


XML = "Annotations/"
PLANTED = {  # by what is planted: the code, and the change in the list: picture, start of what was, what became of it
    voc_faults: {
        "empty-box": ("JPEGImages/empty.png", f"{XML}empty.xml:6: car", "left out"),
        "outside-box": ("JPEGImages/outside.png", f"{XML}outside.xml:6: car", "left out"),
        "clipped-box": (
            "JPEGImages/clipped.png",
            f"{XML}clipped.xml:6: car 50 9 90 20",
            "cut at the edge: car 50 9 64 20",
        ),
        "not-finite": ("JPEGImages/nan.png", f"{XML}nan.xml:6: car nan", "left out"),
        "shares-not-pixels": ("JPEGImages/shares.png", f"{XML}shares.xml:6", "left out"),
        "unreadable-object": ("JPEGImages/text.png", f"{XML}text.xml:6: car", "left out"),
        "same-box": ("JPEGImages/double.png", f"{XML}double.xml:6: car 4 6 20 30", "left out"),
        "missing-file": ("gone.png", f"{XML}gone.xml", "left out"),
        "unreadable-annotation": (f"{XML}broken.xml", f"{XML}broken.xml:1: not XML", "left out"),
        "unreadable": ("JPEGImages/damaged.png", "JPEGImages/damaged.png", "left out"),
        "outside-folder": (f"{XML}escape.xml", f"{XML}escape.xml: ../../escape.png", "left out"),
        "duplicate": ("JPEGImages/twin.png", "JPEGImages/twin.png", "left out"),
        "contradiction": ("JPEGImages/better.png", "JPEGImages/better.png", "left out"),
        "leak": ("JPEGImages/best.png", "JPEGImages/best.png", "left out"),
        "wrong-size": ("JPEGImages/seized.png", f"{XML}seized.xml", "the real size"),
        "exif-rotation": ("JPEGImages/lying.png", f"{XML}lying.xml", "turned"),
        "two-splits": ("twice", "ImageSets/Main/test.txt:2 and ImageSets/Main/train.txt:", "in one split"),
        "missing-annotation": ("absent", "ImageSets/Main/train.txt:", "left out"),
        "unlisted-picture": ("JPEGImages/loose.png", f"{XML}loose.xml", "left out"),
    },
    coco_faults: {
        "unknown-class": ("images/a.png", "annotations/instances_all.json: annotation 7", "left out"),
        "orphan-object": ("annotations/instances_all.json", "annotations/instances_all.json: annotation 8", "left out"),
        "repeated-name": ("", "", "written as read"),
        "unused-zero": ("", "", "written as read"),
        "unused-class": ("", "things", "left out"),
        "outline": ("", "", "left out"),
        "unsupported-format": ("images/phone.heic", "", "left out"),
        "not-a-picture": ("README.md", "", "left out"),
    },
    yolo_faults: {
        "pixels-not-shares": ("images/a.png", "labels/a.txt:3: car 20 20 9 9", "left out"),
        "unknown-class": ("images/a.png", "labels/a.txt:4", "left out"),
        "unreadable-object": ("images/a.png", "labels/a.txt:5", "left out"),
        "orphan-label": ("labels/none.txt", "", "left out"),
        "misplaced-label": ("images/inner/far.png", "labels/far.txt", "left out"),
        "missing-split": ("images/test", "data.yaml: test", "left out"),
        "unreadable": ("images/bad.png", "", "left out"),
    },
    corners: {"mixed-corners": ("", "", "written as read")},
    shifted: {"id-shift": ("", "", "written as read")},
}


def content_of(folder):
    """Return the digest of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows_of(folder):
    with (folder / "changes.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("plant", PLANTED)
def test_the_copy_is_without_the_faults_and_each_change_is_listed(tmp_path, plant):
    plant(tmp_path / "data")
    original = content_of(tmp_path / "data")
    report = model.check(tmp_path / "data", fix=tmp_path / "out", quiet=True)
    rows = rows_of(tmp_path / "out")
    assert report.fixed.to_json()["changes"] == rows
    assert all(row["why"] for row in rows)
    for code, (key, before, after) in PLANTED[plant].items():
        assert code in {problem.code for problem in report.problems} | {"unused-class"}
        assert [
            row
            for row in rows
            if (row["code"], row["picture"], row["after"]) == (code, key, after) and row["before"].startswith(before)
        ], code
    assert content_of(tmp_path / "data") == original
    again = model.check(tmp_path / "out", quiet=True)
    assert again.format == report.format
    assert again.total == len(report.kept) == report.fixed.pictures
    left = {problem.code for problem in again.errors + again.warnings}
    assert not left & {row["code"] for row in rows}
    assert left <= set(report.fixed.left)
    assert not again.errors


def test_a_fault_that_a_person_must_decide_is_left_and_said(tmp_path):
    plant_voc("c", [CAR, ("person", CAR[1]), ("person", (60, 9, 99, 20))])(tmp_path / "data")
    report = model.check(tmp_path / "data", fix=tmp_path / "out", quiet=True)
    assert report.fixed.left[0] == "two-names"
    assert "Left for you to decide: two-names" in report.to_text()
    assert [row["code"] for row in rows_of(tmp_path / "out")] == ["clipped-box"]
    assert "two-names" in {problem.code for problem in model.check(tmp_path / "out", quiet=True).problems}


def test_the_truths_that_are_right_stay(tmp_path):
    write_voc(tmp_path / "data")
    report = model.check(tmp_path / "data", fix=tmp_path / "out", quiet=True)
    assert report.fixed.changes == ()
    assert rows_of(tmp_path / "out") == []
    assert objects_of(open_source(tmp_path / "out")) == objects_of(open_source(tmp_path / "data"))
    assert open_source(tmp_path / "out").names == NAMES


def test_outlines_that_the_copy_drops_are_said(tmp_path):
    content = coco_json()
    content["annotations"][0]["segmentation"] = [[4, 6, 20, 6, 20, 30]]
    write_coco(tmp_path / "data", content)
    report = model.check(tmp_path / "data", fix=tmp_path / "out", quiet=True)
    assert "lost: 1 object has an outline" in report.to_text()
    assert report.fixed.to_json()["lost"] == ["1 object has an outline, of which the box alone is read"]
    assert "segmentation" not in next((tmp_path / "out" / "annotations").iterdir()).read_text()


def test_what_cannot_be_written_is_refused_before_the_check(tmp_path):
    with pytest.raises(SettingsError, match=r"fix: a repaired copy can be written of coco, voc, yolo, and digits"):
        model.check("digits", fix=tmp_path / "out", quiet=True)
    write_voc(tmp_path / "data")
    with pytest.raises(SettingsError, match="overlap"):
        model.check(tmp_path / "data", fix=tmp_path / "data" / "out", quiet=True)
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputExistsError, match="exists already"):
        model.check(tmp_path / "data", fix=tmp_path / "out", quiet=True)


def test_the_command_writes_a_copy(tmp_path):
    plant_voc("c", [CAR, CAR])(tmp_path / "data")
    done = sightsmith("check", "data", "--fix", "out", "--size", "320", cwd=tmp_path)
    assert "Repaired copy: out, 3 pictures; 1 change, listed in changes.csv." in done.out


def test_real_faults_are_found_and_mended(shared_data, tmp_path):
    report = model.check(shared_data("bccd_voc"), fix=tmp_path / "cells", quiet=True)
    (empty,) = report.errors
    assert (empty.code, empty.keys) == (
        "empty-box",
        ("JPEGImages/BloodImage_00338.jpg", "JPEGImages/BloodImage_00343.jpg"),
    )
    assert [note.split(": ")[0] for note in empty.notes] == [
        "Annotations/BloodImage_00338.xml:158",
        "Annotations/BloodImage_00343.xml:50",
    ]
    assert empty.spots == (((504, 337, 504, 337),), ((181, 329, 181, 329),))
    assert dict(report.contents[0].rows) == {"RBC": 4153, "WBC": 372, "Platelets": 361}
    assert not model.check(tmp_path / "cells", quiet=True).failed(strict=True)


def test_a_missing_file_and_an_unused_class_of_real_data(shared_data):
    report = model.check(shared_data("coad_driving_coco"), quiet=True)
    codes = {problem.code: problem for problem in report.problems}
    assert codes["missing-file"].keys == ("Clases0000_jpg.rf.a968008492a77ec63e8325b8dc137706.jpg",)
    assert "image 7" in codes["missing-file"].notes[0]
    assert "Adas" in codes["unused-class"].message
    assert len(codes["whole-picture"].groups) == 4
    assert (len(report.kept), report.lost) == (403, 1)
