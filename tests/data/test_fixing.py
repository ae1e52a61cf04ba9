"""A repaired copy: without the planted faults, with every change in its list; the original stays as it is."""

import csv
import hashlib
import json

import pytest

from box_data import NAMES, TRUTH, coco_json, objects_of, voc_xml, write_coco, write_pictures, write_voc, write_yolo
from processes import sightsmith
from sightsmith import model
from sightsmith.core.errors import OutputExistsError, SettingsError
from sightsmith.data.source import open_source

CAR = TRUTH["a"][0]


def plant_voc(name, objects, **how):
    def plant(root):
        write_voc(root)
        (root / "Annotations" / f"{name}.xml").write_text(voc_xml(name, objects, **how))

    return plant


def plant_missing(root):
    write_voc(root)
    (root / "JPEGImages" / "c.png").unlink()


def plant_copy(root):
    write_voc(root)
    (root / "JPEGImages" / "d.png").write_bytes((root / "JPEGImages" / "a.png").read_bytes())
    (root / "Annotations" / "d.xml").write_text(voc_xml("d", TRUTH["a"]))


def plant_damage(root):
    write_voc(root)
    whole = (root / "JPEGImages" / "b.png").read_bytes()
    (root / "JPEGImages" / "b.png").write_bytes(whole[: len(whole) // 2])


def plant_unused(root):
    content = coco_json()
    content["categories"].append({"id": 9, "name": "ghost"})
    write_coco(root, content)


def plant_line(line):
    def plant(root):
        write_yolo(root)
        with (root / "labels" / "a.txt").open("a") as file:
            file.write(line)

    return plant


PLANTED = {  # the fault, and the change in the list: picture, start of the note, after
    "empty-box": (plant_voc("c", [("car", (9, 9, 9, 20))]), "JPEGImages/c.png", "Annotations/c.xml:2: car", "left out"),
    "outside-box": (plant_voc("c", [("car", (80, 9, 90, 20))]), "JPEGImages/c.png", "Annotations/c.xml:2:", "left out"),
    "clipped-box": (
        plant_voc("c", [("car", (50, 9, 90, 20))]),
        "JPEGImages/c.png",
        "Annotations/c.xml:2: car 50 9 90 20",
        "cut at the edge: car 50 9 64 20",
    ),
    "wrong-size": (plant_voc("c", [CAR], size=(640, 480)), "JPEGImages/c.png", "Annotations/c.xml", "the real size"),
    "missing-file": (plant_missing, "c.png", "Annotations/c.xml", "left out"),
    "same-box": (
        plant_voc("c", [CAR, ("person", (30, 8, 40, 40)), CAR]),
        "JPEGImages/c.png",
        "Annotations/c.xml:6: car 4 6 20 30",
        "left out",
    ),
    "duplicate": (plant_copy, "JPEGImages/d.png", "JPEGImages/d.png", "left out"),
    "unreadable": (plant_damage, "JPEGImages/b.png", "JPEGImages/b.png", "left out"),
    "unused-class": (plant_unused, "", "ghost", "left out"),
    "pixels-not-shares": (plant_line("0 20 20 9 9\n"), "images/a.png", "labels/a.txt:3", "left out"),
    "unknown-class": (plant_line("7 .5 .5 .1 .1\n"), "images/a.png", "labels/a.txt:3", "left out"),
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


@pytest.mark.parametrize("code", PLANTED)
def test_the_copy_is_without_the_fault_and_the_change_is_listed(tmp_path, code):
    plant, key, before, after = PLANTED[code]
    plant(tmp_path / "data")
    original = content_of(tmp_path / "data")
    report = model.check(tmp_path / "data", fix=tmp_path / "out", quiet=True)
    assert code in {problem.code for problem in report.problems}
    (row,) = rows_of(tmp_path / "out")
    assert (row["code"], row["picture"], row["after"]) == (code, key, after)
    assert row["before"].startswith(before)
    assert row["why"]
    assert content_of(tmp_path / "data") == original
    again = model.check(tmp_path / "out", quiet=True)
    assert code not in {problem.code for problem in again.problems}
    assert again.format == report.format
    assert again.total == len(report.kept) == report.fixed.pictures
    assert report.fixed.to_json()["changes"] == [row]


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
    write_pictures(tmp_path / "more", ("z",))
    done = sightsmith("check", "data", "--fix", "out", "--size", "320", cwd=tmp_path)
    assert "Repaired copy: out, 3 pictures; 1 change, listed in changes.csv." in done.out
    told = json.loads(sightsmith("check", "data", "--fix", "out", "--overwrite", "--json", cwd=tmp_path).out)
    assert told["fixed"]["changes"][0]["code"] == "same-box"


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
