"""One truth in Pascal VOC, COCO and YOLO is one truth, on real data too; and data that cannot be read is named."""

import json
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from box_data import (
    NAMES,
    TRUTH,
    WRITERS,
    coco_json,
    codes,
    objects_of,
    problem,
    write_coco,
    write_pictures,
    write_voc,
    write_yolo,
    yolo_line,
)
from sightsmith.core.errors import DataError
from sightsmith.data.source import SourceOptions, open_source

every_format = pytest.mark.parametrize("name", WRITERS)
EXPECTED = {stem: sorted((name, tuple(map(float, box))) for name, box in objects) for stem, objects in TRUTH.items()}


@every_format
def test_a_format_is_recognised_and_its_objects_are_read(tmp_path, name):
    WRITERS[name](tmp_path)
    source = open_source(tmp_path)
    assert (source.format, source.kind, source.names) == (name, "boxes", NAMES)
    assert objects_of(source) == EXPECTED
    assert codes(source) == {"negative"}
    assert problem(source, "negative").keys == (source.samples[2].key,)
    assert source.samples[0].target.size == (64, 48)


@pytest.mark.parametrize("numbers", [(0, 1), (1, 2), (2, 1), (90, 17)])
def test_names_stay_right_however_categories_are_numbered(tmp_path, numbers):
    """As of a peer that numbers from 0 in one format and from 1 in the other."""
    write_coco(tmp_path, coco_json(numbers=numbers))
    source = open_source(tmp_path)
    assert objects_of(source) == EXPECTED
    assert source.names == tuple(name for _, name in sorted(zip(numbers, NAMES, strict=True)))


def test_a_name_is_one_class_in_all_files(tmp_path):
    for split, numbers in (("train", (1, 2)), ("valid", (2, 1))):
        write_pictures(tmp_path / split)
        content = json.dumps(coco_json(numbers=numbers))
        (tmp_path / split / "_annotations.coco.json").write_text(content)
    source = open_source(tmp_path)
    assert [sample.split for sample in source.samples] == ["train"] * 3 + ["val"] * 3
    first, second = (
        [source.truth_text(sample) for sample in source.samples if sample.split == split] for split in ("train", "val")
    )
    assert first == second


def real(shared_data, tmp_path, name):
    """Return detmetrics in one of its formats, as a folder of that format alone."""
    base = shared_data("detmetrics") / "data" / "database"
    truths = base / "gts"
    if name == "voc":
        (tmp_path / "JPEGImages").symlink_to(base / "images")
        (tmp_path / "Annotations").symlink_to(truths / "pascalvoc_format")
    elif name == "yolo":
        (tmp_path / "images").symlink_to(base / "images")
        (tmp_path / "labels").symlink_to(truths / "yolo_format" / "obj_train_data")
        shutil.copy(truths / "yolo_format" / "obj.names", tmp_path)
    else:
        (tmp_path / "images").symlink_to(base / "images")
        (tmp_path / "annotations").symlink_to(truths / name)
    return open_source(tmp_path)


def test_real_truths_in_three_formats_are_identical(shared_data, tmp_path):
    read = {}
    for name in ("voc", "coco_format_v1", "coco_format_v2", "yolo"):
        (tmp_path / name).mkdir()
        read[name] = real(shared_data, tmp_path / name, name)
    expected = objects_of(read["voc"])
    assert sum(map(len, expected.values())) == 273
    assert objects_of(read["coco_format_v1"]) == objects_of(read["coco_format_v2"]) == expected
    assert {frozenset(source.names) for source in read.values()} == {frozenset(read["voc"].names)}
    rounded = objects_of(read["yolo"])  # six decimals of a share: half a thousandth of a pixel at 500 pixels
    for stem, objects in expected.items():
        assert [name for name, _ in rounded[stem]] == [name for name, _ in objects]
        pairs = zip(rounded[stem], objects, strict=True)
        assert all(np.allclose(one[1], other[1], rtol=0, atol=2e-3) for one, other in pairs)


def test_real_voc_names_its_two_empty_boxes(shared_data):
    source = open_source(shared_data("bccd_voc"))
    assert (len(source.samples), sum(len(sample.target) for sample in source.samples)) == (364, 4886)
    assert {sample.split for sample in source.samples} == {"train", "val", "test"}
    assert problem(source, "empty-box").notes == (
        "Annotations/BloodImage_00338.xml:158: RBC 504 337 504 337",
        "Annotations/BloodImage_00343.xml:50: RBC 181 329 181 329",
    )
    assert "610 begin at 1" in problem(source, "counted-from-one").message


def test_real_coco_names_its_missing_picture_and_its_unused_category(shared_data):
    source = open_source(shared_data("coad_driving_coco"))
    assert (len(source.samples), len(source.names), source.licence) == (403, 6, "CC BY 4.0")
    assert problem(source, "missing-file").notes == ("train/_annotations.coco.json: image 7",)
    assert "category 0, 'Adas'" in problem(source, "unused-zero").message


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("nc: 2\nnames: {0: car, 1: person}\n", [None, None, None]),
        ("names: [car, person]\ntrain: images\n", ["train"] * 3),
        ("names: [car, person]\npath: /elsewhere/set\ntrain: ../images\n", ["train"] * 3),
        ("names: [car, person]\ntrain: train.txt\nval: ./val.txt\n", ["train", "train", "val"]),
    ],
)
def test_a_yolo_list_names_classes_and_splits(tmp_path, layout, expected):
    write_yolo(tmp_path, names=layout)
    (tmp_path / "train.txt").write_text("./images/a.png\nimages/b.png\n")
    (tmp_path / "val.txt").write_text("images/c.png\n")
    source = open_source(tmp_path)
    assert objects_of(source) == EXPECTED
    assert [sample.split for sample in source.samples] == expected
    assert open_source(tmp_path / "data.yaml").names == source.names


def test_what_a_yolo_list_asks_to_download_is_not_run(tmp_path):
    write_yolo(tmp_path, names="names: [car, person]\ndownload: https://example.com/set.zip\n")
    assert "nothing is fetched" in problem(open_source(tmp_path), "not-downloaded").message


def test_outlines_are_read_as_the_boxes_around_them(tmp_path):
    write_yolo(tmp_path)
    (tmp_path / "labels" / "c.txt").write_text("1 0.25 0.5 0.5 0.25 0.75 0.5 0.5 0.75\n")
    source = open_source(tmp_path)
    assert objects_of(source)["c"] == [("person", (16.0, 12.0, 48.0, 36.0))]
    assert "1 object has an outline" in problem(source, "outline").message


def test_names_without_a_list_come_from_the_option(tmp_path):
    write_yolo(tmp_path, names="")
    with pytest.raises(DataError, match=r"no data.yaml with names.*names='?FILE"):
        open_source(tmp_path)
    (tmp_path / "names.txt").write_text("car\nperson\n")
    assert objects_of(open_source(tmp_path, SourceOptions(names=tmp_path / "names.txt"))) == EXPECTED


def test_difficult_objects_and_crowds_are_ignored_and_said(tmp_path):
    write_voc(tmp_path / "voc")
    file = tmp_path / "voc" / "Annotations" / "b.xml"
    file.write_text(file.read_text().replace("<difficult>0", "<difficult>1"))
    source = open_source(tmp_path / "voc")
    assert source.samples[1].target.ignored_N.tolist() == [True]
    assert problem(source, "ignored").notes == ("Annotations/b.xml:2",)
    content = coco_json()
    content["annotations"][2] |= {"iscrowd": 1, "area": 100}
    write_coco(tmp_path / "coco", content)
    source = open_source(tmp_path / "coco")
    truth = source.samples[1].target
    assert (truth.crowd_N.tolist(), truth.ignored_N.tolist(), truth.areas_N.tolist()) == ([True], [True], [100])
    assert problem(source, "crowd").notes == ("annotations/instances_all.json: annotation 3",)


@every_format
def test_pictures_without_any_object_are_read(tmp_path, name):
    truth = {"a": [], "b": []}
    if name == "coco":
        write_coco(tmp_path, coco_json(truth))
        (tmp_path / "images" / "c.png").unlink()
    else:
        WRITERS[name](tmp_path, truth)
    if name == "voc":  # names are those of objects
        assert open_source(tmp_path).names == ()
        return
    source = open_source(tmp_path)
    assert (source.names, objects_of(source)) == (NAMES, {"a": [], "b": []})
    assert len(problem(source, "negative").keys) == 2


def test_an_empty_truth_is_a_named_error(tmp_path):
    write_coco(tmp_path, {"images": [], "annotations": [], "categories": []})
    with pytest.raises(DataError, match=r"no picture in it can be used(.|\n)*3 pictures are left out"):
        open_source(tmp_path)


BOMB = '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;">]>\n<annotation>&y;<bndbox/></annotation>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<annotation>&x;<bndbox/></annotation>'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "Annotations/a.xml:1: it declares an entity"),
        (OUTSIDE, "Annotations/a.xml:1: it declares an entity"),
        ("<annotation>\n<object></annotation>", "Annotations/a.xml:2: not XML (mismatched tag)"),
        ("<a>" * 40 + "</a>" * 40, "Annotations/a.xml:1: elements may be 32 deep"),
        ("\n<html/>", "Annotations/a.xml:2: <annotation> is due, this is <html>"),
        ("", "Annotations/a.xml:1: not XML (no element found)"),
    ],
)
def test_xml_that_is_broken_or_dangerous_is_named(tmp_path, text, said):
    write_voc(tmp_path)
    (tmp_path / "Annotations" / "a.xml").write_text(text)
    found = problem(open_source(tmp_path), "unreadable-annotation")
    assert (found.severity, found.lost) == ("error", 1)
    assert said in found.notes[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("names: !!python/object/apply:os.system ['true']\n", r"data.yaml:1: .*tags can run code"),
        ("train: images\nnames: !mine [a]\n", r"data.yaml:2: .*tags can run code"),
        ("train: images\nnames: [a\n", r"data.yaml:\d: not YAML"),
        ("train: images\nnames: 3\n", r"names must be a list"),
        ("train: images\nnames: [[a]]\n", r"names must be a list.*\{0: \['a'\]\}"),
        ("train: images\nnames: [a, a]\n", r"object classes 0 and 1 are both called 'a'"),
        ("kpt_shape: [17, 3]\ntrain: images\nnames: [a]\n", r"kpt_shape"),
    ],
)
def test_yaml_that_is_broken_or_dangerous_is_named(tmp_path, text, said):
    write_yolo(tmp_path, names=text)
    with pytest.raises(DataError, match=said):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"images": [,\n "categories"', r"instances_all.json:1: Expecting value"),
        ('{"images": [], "categories": 3, "annotations": []}', "'categories' must be a list of objects"),
        ('{"images": [{"id": 1}], "categories": [], "annotations": []}', "a picture needs an id and a file_name"),
        ('{"images": [], "categories": [{"id": 1}], "annotations": []}', "a category needs an id and a name"),
    ],
)
def test_json_that_is_broken_is_named(tmp_path, text, said):
    write_coco(tmp_path)
    (tmp_path / "annotations" / "instances_all.json").write_text(text)
    with pytest.raises(DataError, match=said):
        open_source(tmp_path)


def test_thousands_of_pictures_open_in_seconds(tmp_path):
    stems = [f"{number:04}" for number in range(500)]
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    Image.new("RGB", (64, 48)).save(tmp_path / "images" / "0000.png")
    lines = "".join(yolo_line(number % 2, (number % 40, 5, number % 40 + 8, 20)) for number in range(70))
    (tmp_path / "labels" / "0000.txt").write_text(lines)
    for stem in stems[1:]:
        (tmp_path / "images" / f"{stem}.png").hardlink_to(tmp_path / "images" / "0000.png")
        (tmp_path / "labels" / f"{stem}.txt").hardlink_to(tmp_path / "labels" / "0000.txt")
    (tmp_path / "data.yaml").write_text("names: [car, person]\n")
    start = time.process_time()
    source = open_source(tmp_path)
    assert sum(len(sample.target) for sample in source.samples) == 35_000
    assert time.process_time() - start < 5  # half a second here
