"""Each fault that reading boxes finds is planted and named, with its picture and line."""

import json

import numpy as np
import pytest
from PIL import Image

from box_data import (
    TRUTH,
    coco_json,
    codes,
    objects_of,
    problem,
    voc_xml,
    write_coco,
    write_pictures,
    write_voc,
    write_yolo,
    yolo_line,
)
from sightsmith.data.source import open_source
from sightsmith.data.sources.parts.annotations import turned

XML = "Annotations/a.xml"
JSON = "annotations/instances_all.json"


def voc_with(tmp_path, numbers):
    """Write Pascal VOC whose first object of picture a has other numbers."""
    write_voc(tmp_path)
    file = tmp_path / XML
    file.write_text(voc_xml("a", [("car", numbers), *TRUTH["a"][1:]]))
    return open_source(tmp_path)


def coco_with(tmp_path, at=0, **changes):
    """Write COCO with changes to an annotation."""
    content = coco_json()
    content["annotations"][at] |= changes
    write_coco(tmp_path, content)
    return open_source(tmp_path)


def yolo_with(tmp_path, line):
    write_yolo(tmp_path)
    file = tmp_path / "labels" / "a.txt"
    file.write_text(line + "\n" + file.read_text())
    return open_source(tmp_path)


@pytest.mark.parametrize(
    ("code", "severity", "numbers", "left"),
    [
        ("empty-box", "error", (20, 6, 4, 30), 1),
        ("empty-box", "error", (4, 6, 4, 30), 1),
        ("not-finite", "error", ("nan", 6, 20, 30), 1),
        ("not-finite", "error", (4, 6, "inf", 30), 1),
        ("outside-box", "error", (70, 6, 90, 30), 1),
        ("clipped-box", "warning", (50, 6, 90, 30), 2),
        ("shares-not-pixels", "error", (0.1, 0.2, 0.5, 0.9), 1),
        ("unreadable-object", "error", ("four", 6, 20, 30), 1),
    ],
)
def test_a_wrong_box_of_voc_is_named(tmp_path, code, severity, numbers, left):
    source = voc_with(tmp_path, numbers)
    found = problem(source, code)
    assert (found.severity, found.keys, found.lost) == (severity, ("JPEGImages/a.png",), 0)
    assert found.notes[0].startswith(f"{XML}:2: car")
    assert len(source.samples[0].target) == left


@pytest.mark.parametrize(
    ("code", "changes", "said"),
    [
        ("empty-box", {"bbox": [4, 6, 0, 24]}, "car 4 6 0 24"),
        ("not-finite", {"bbox": [4, float("nan"), 16, 24]}, "car 4 nan 16 24"),
        ("outside-box", {"bbox": [4, 60, 16, 24]}, "car 4 60 16 24"),
        ("clipped-box", {"bbox": [4, 6, 16, 99]}, "car 4 6 16 99"),
        ("shares-not-pixels", {"bbox": [0.1, 0.2, 0.3, 0.4]}, "car 0.1 0.2 0.3 0.4"),
        ("unreadable-object", {"bbox": [1, 2, 3]}, "bbox [1, 2, 3], four numbers are due"),
        ("unreadable-object", {"bbox": [1, 2, 3, "x"]}, "four numbers are due"),
        ("unknown-class", {"category_id": 7}, "category 7"),
    ],
)
def test_a_wrong_box_of_coco_is_named(tmp_path, code, changes, said):
    found = problem(coco_with(tmp_path, **changes), code)
    assert found.keys == ("images/a.png",)
    assert found.notes[0].startswith(f"{JSON}: annotation 1: ")
    assert said in found.notes[0]


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("empty-box", "0 0.5 0.5 0 0.5"),
        ("not-finite", "0 nan 0.5 0.1 0.5"),
        ("outside-box", "0 1.5 0.5 0.1 0.5"),
        ("clipped-box", "0 0.95 0.5 0.2 0.5"),
        ("pixels-not-shares", "0 12 18 16 24"),
        ("unknown-class", "2 0.5 0.5 0.5 0.5"),
        ("unknown-class", "-1 0.5 0.5 0.5 0.5"),
        ("unreadable-object", "0 0.5 0.5 0.5"),
        ("unreadable-object", "0 0.5 0.5 0.5 0.5 0.99"),
        ("unreadable-object", "car 0.5 0.5 0.5 0.5"),
        ("unreadable-object", "0.5 0.5 0.5 0.5 0.5"),
    ],
)
def test_a_wrong_line_of_yolo_is_named(tmp_path, code, line):
    found = problem(yolo_with(tmp_path, line), code)
    assert found.keys == ("images/a.png",)
    assert found.notes[0].startswith("labels/a.txt:1: ")


def test_pictures_and_annotations_without_each_other_are_named(tmp_path):
    write_voc(tmp_path / "voc")
    (tmp_path / "voc" / "JPEGImages" / "b.png").unlink()
    write_pictures(tmp_path / "voc" / "JPEGImages", ["extra"])
    source = open_source(tmp_path / "voc")
    assert problem(source, "missing-file").notes == ("Annotations/b.xml",)
    assert problem(source, "unlisted-picture").keys == ("JPEGImages/extra.png",)
    content = coco_json()
    content["annotations"][2]["image_id"] = 99
    write_coco(tmp_path / "coco", content)
    (tmp_path / "coco" / "images" / "c.png").unlink()
    write_pictures(tmp_path / "coco" / "images", ["extra"])
    source = open_source(tmp_path / "coco")
    assert problem(source, "missing-file").notes == (f"{JSON}: image 3",)
    assert problem(source, "unlisted-picture").keys == ("images/extra.png",)
    assert problem(source, "orphan-object").notes == (f"{JSON}: annotation 3: image 99",)
    write_yolo(tmp_path / "yolo")
    (tmp_path / "yolo" / "images" / "b.png").unlink()
    (tmp_path / "yolo" / "labels" / "a.txt").unlink()
    source = open_source(tmp_path / "yolo")
    assert problem(source, "orphan-label").keys == ("labels/b.txt",)
    assert problem(source, "negative").keys == ("images/a.png", "images/c.png")


def test_lists_of_voc_make_splits_and_their_faults_are_named(tmp_path):
    write_voc(tmp_path)
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\n")
    (lists / "test.txt").write_text("b\ngone\n")
    (lists / "car_train.txt").write_text("a 1\nb -1\n")
    source = open_source(tmp_path)
    assert [(sample.key, sample.split) for sample in source.samples] == [
        ("JPEGImages/a.png", "train"),
        ("JPEGImages/b.png", "test"),
    ]
    assert problem(source, "two-splits").keys == ("b",)
    assert problem(source, "missing-annotation").notes == ("ImageSets/Main/test.txt:2",)
    assert problem(source, "unlisted-picture").keys == ("JPEGImages/c.png",)


def test_a_picture_that_cannot_be_opened_is_named(tmp_path):
    write_yolo(tmp_path)
    (tmp_path / "images" / "b.png").write_bytes(b"no picture")
    source = open_source(tmp_path)
    assert problem(source, "unreadable").keys == ("images/b.png",)
    assert len(source.samples) == 2


@pytest.mark.parametrize("name", ["../secret.png", "/etc/secret.png", "..\\secret.png", "C:\\secret.png"])
def test_no_file_name_leads_out_of_the_folder(tmp_path, name):
    write_pictures(tmp_path, ["secret"])
    content = coco_json()
    content["images"][0]["file_name"] = name.replace("..", "../..", 1)
    write_coco(tmp_path / "data", content)
    source = open_source(tmp_path / "data")
    assert problem(source, "outside-folder").severity == "error"
    assert [sample.key for sample in source.samples] == ["images/b.png", "images/c.png"]
    write_voc(tmp_path / "voc")
    file = tmp_path / "voc" / XML
    file.write_text(file.read_text().replace("a.png", name.replace("..", "../..", 1)))
    assert problem(open_source(tmp_path / "voc"), "outside-folder").keys == (XML,)


def test_the_real_size_counts(tmp_path):
    content = coco_json()
    content["images"][0] |= {"width": 640, "height": 480}
    write_coco(tmp_path, content)
    source = open_source(tmp_path)
    assert problem(source, "wrong-size").notes == (f"{JSON}: image 1: says 640×480, is 64×48",)
    assert source.samples[0].target.size == (64, 48)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_boxes_drawn_before_turning_are_turned_with_the_picture(tmp_path, orientation):
    """A bright patch is where its box is, in the picture that is decoded."""
    from sightsmith.core.images import decode

    pixels_HW = np.zeros((48, 64), dtype=np.uint8)
    pixels_HW[8:16, 40:60] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "train").mkdir()
    Image.fromarray(pixels_HW).save(tmp_path / "train" / "a.png", exif=exif)
    (tmp_path / "train" / "a.xml").write_text(voc_xml("a", [("car", (40, 8, 60, 16))]))
    source = open_source(tmp_path)
    if orientation < 5:  # the sides do not tell
        assert problem(source, "exif-unclear").notes == (f"EXIF orientation {orientation}",)
        return
    assert problem(source, "exif-rotation").notes == (f"train/a.xml: EXIF orientation {orientation}",)
    left, top, right, bottom = map(int, source.samples[0].target.boxes_N4[0])
    upright_HW = np.asarray(decode(tmp_path / "train" / "a.png"))
    assert source.samples[0].target.size == upright_HW.shape[::-1] == (48, 64)
    assert (upright_HW[top:bottom, left:right] > 200).all()
    assert int((upright_HW > 200).sum()) == (right - left) * (bottom - top) == 160


def test_turning_keeps_size_one_as_it_is():
    boxes_N4 = np.array([[1.0, 2, 3, 4]])
    assert turned(boxes_N4, 1, (64, 48)) is boxes_N4


def many_boxes(count=30):
    rng = np.random.default_rng(0)
    corners_N2 = rng.integers(0, (44, 28), (count, 2))
    return np.concatenate([corners_N2, corners_N2 + rng.integers(4, 20, (count, 2))], axis=1).tolist()


def test_corners_where_sizes_are_due_are_told_by_all_boxes_together(tmp_path):
    content = coco_json({"a": [("car", tuple(box)) for box in many_boxes()]})
    for entry, box in zip(content["annotations"], many_boxes(), strict=True):
        entry["bbox"] = box
    write_coco(tmp_path, content)
    source = open_source(tmp_path)
    assert "are corners, not corner and size" in problem(source, "mixed-corners").message
    assert source.samples[0].target.boxes_N4.tolist() == many_boxes()


def test_sizes_where_corners_are_due_are_told_too(tmp_path):
    boxes = [(left, top, right - left, bottom - top) for left, top, right, bottom in many_boxes()]
    write_voc(tmp_path, {"a": [("car", box) for box in boxes]})
    source = open_source(tmp_path)
    assert "are corner and size, not corners" in problem(source, "mixed-corners").message
    assert source.samples[0].target.boxes_N4.tolist() == many_boxes()


def test_corners_in_yolo_are_told_too(tmp_path):
    write_yolo(tmp_path, {"a": [("car", (0, 0, 9, 9))]})
    lines = [f"0 {left / 64} {top / 48} {right / 64} {bottom / 48}\n" for left, top, right, bottom in many_boxes()]
    (tmp_path / "labels" / "a.txt").write_text("".join(lines))
    source = open_source(tmp_path)
    assert codes(source) == {"mixed-corners"}
    assert np.allclose(source.samples[0].target.boxes_N4, many_boxes(), atol=1e-4)


def test_right_boxes_are_never_taken_for_another_form(tmp_path):
    write_voc(tmp_path / "voc", {"a": [("car", tuple(box)) for box in many_boxes()]})
    write_coco(tmp_path / "coco", coco_json({"a": [("car", tuple(box)) for box in many_boxes()]}))
    assert codes(open_source(tmp_path / "voc")) == set()
    assert codes(open_source(tmp_path / "coco")) == {"unlisted-picture"}


def test_numbers_of_classes_from_one_are_told_and_names_stay_right(tmp_path):
    boxes = many_boxes()
    write_yolo(tmp_path, {"a": [("car", (0, 0, 9, 9))]})
    lines = [yolo_line(1 + at % 2, box) for at, box in enumerate(boxes)]
    (tmp_path / "labels" / "a.txt").write_text("".join(lines))
    source = open_source(tmp_path)
    assert "count from 1" in problem(source, "id-shift").message
    assert source.samples[0].target.labels_N.tolist() == [at % 2 for at in range(len(boxes))]


def test_a_background_without_objects_is_named(tmp_path):
    write_yolo(tmp_path, names="nc: 3\nnames: [car, person, bus]\n")
    assert "unused-zero" not in codes(open_source(tmp_path))
    (tmp_path / "data.yaml").write_text("nc: 2\nnames: [__background__, person]\n")
    (tmp_path / "labels" / "a.txt").write_text(yolo_line(1, (4, 6, 20, 30)))
    assert "class 0, '__background__'" in problem(open_source(tmp_path), "unused-zero").message


def test_two_categories_of_one_name_are_one_class(tmp_path):
    content = coco_json()
    content["categories"].append({"id": 9, "name": "car"})
    content["annotations"][1]["category_id"] = 9
    write_coco(tmp_path, content)
    source = open_source(tmp_path)
    assert source.names == ("car", "person")
    assert [name for name, _ in objects_of(source)["a"]] == ["car", "car"]
    assert "called 'car'" in problem(source, "repeated-name").message


def test_a_split_that_is_not_there_or_twice_is_named(tmp_path):
    write_yolo(tmp_path, names="names: [car, person]\ntrain: images\nval: images\ntest: images/test\n")
    source = open_source(tmp_path)
    assert {sample.split for sample in source.samples} == {"train"}
    assert problem(source, "missing-split").keys == ("images/test",)
    assert problem(source, "two-splits").notes == ("val is the same as train, and is not used",)


def test_a_pixel_and_hundreds_of_objects_are_read(tmp_path):
    boxes = [(0, 0, 1, 1)] + [(at % 60, at // 60, at % 60 + 2, at // 60 + 2) for at in range(500)]
    write_coco(tmp_path, coco_json({"a": [("car", box) for box in boxes], "b": [], "c": []}))
    source = open_source(tmp_path)
    assert codes(source) == {"negative"}
    assert source.samples[0].target.boxes_N4.tolist() == [list(map(float, box)) for box in boxes]


def test_objects_of_a_missing_picture_are_not_named_again(tmp_path):
    write_coco(tmp_path)
    (tmp_path / "images" / "a.png").unlink()
    assert codes(open_source(tmp_path)) == {"missing-file", "negative"}


def test_texts_of_json_as_numbers_are_names_of_pictures(tmp_path):
    content = coco_json()
    for entry in content["images"]:
        entry["id"] = f"p{entry['id']}"
    for entry in content["annotations"]:
        entry["image_id"] = f"p{entry['image_id']}"
    write_coco(tmp_path, content)
    assert json.loads((tmp_path / JSON).read_text())["images"][0]["id"] == "p1"
    assert codes(open_source(tmp_path)) == {"negative"}
