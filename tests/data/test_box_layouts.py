"""Names, folders and texts of annotations that are easily misread."""

import json

import pytest

from box_data import (
    NAMES,
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
from sightsmith.core.errors import DataError, SettingsError
from sightsmith.data.converting import convert, formats
from sightsmith.data.source import open_source

JSON = "annotations/instances_all.json"
SPACED = {f"my {stem}": objects for stem, objects in TRUTH.items()}


def write_list(root, split, *lines):
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True, exist_ok=True)
    (lists / f"{split}.txt").write_text("".join(f"{line}\n" for line in lines))


def test_names_with_spaces_are_whole_in_lists_of_voc(tmp_path):
    write_voc(tmp_path, SPACED)
    write_list(tmp_path, "train", "my a", "my b -1")
    write_list(tmp_path, "val", "my c", "my d")
    source = open_source(tmp_path)
    assert [sample.split for sample in source.samples] == ["train", "train", "val"]
    assert problem(source, "missing-annotation").keys == ("my d",)


def test_names_with_spaces_survive_every_conversion(tmp_path):
    write_coco(tmp_path / "data")
    content = coco_json()
    for entry in content["images"]:
        entry["file_name"] = f"my {entry['file_name']}"
    write_pictures(tmp_path / "data" / "images", SPACED)
    (tmp_path / "data" / JSON).rename(tmp_path / "data" / JSON.replace("all", "train"))
    (tmp_path / "data" / JSON.replace("all", "train")).write_text(json.dumps(content))
    expected = objects_of(open_source(tmp_path / "data"))
    for form in formats():
        convert(tmp_path / "data", form, tmp_path / form, quiet=True)
        assert objects_of(open_source(tmp_path / form)) == expected


def test_a_name_that_xml_cannot_hold_is_refused_and_every_other_comes_back(tmp_path):
    write_coco(tmp_path / "data", coco_json() | {"categories": [{"id": 1, "name": "a\x01"}, {"id": 2, "name": "b"}]})
    with pytest.raises(DataError, match=r"cannot hold the character '\\x01' of 'a\\x01'\. Rename it, or write coco"):
        convert(tmp_path / "data", "voc", tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()
    names = ("a\n <b>&\r]]>", "é\u2028e")
    pairs = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    (tmp_path / "data" / JSON).write_text(json.dumps(coco_json() | {"categories": pairs}))
    for form in formats():
        convert(tmp_path / "data", form, tmp_path / form, quiet=True)
        assert sorted(open_source(tmp_path / form).names) == sorted(names)


def test_two_pictures_of_one_number_are_refused_and_one_entry_twice_is_not(tmp_path):
    content = coco_json()
    content["images"].append(content["images"][0])
    write_coco(tmp_path, content)
    assert codes(open_source(tmp_path)) == {"negative"}
    content["images"][1]["id"] = 1
    (tmp_path / JSON).write_text(json.dumps(content))
    with pytest.raises(DataError, match=r'"a.png" and "b.png" are both image 1\. Renumber one'):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"iscrowd": 0', f'"iscrowd": {"9" * 5000}', "a number of too many digits"),
        ('"images": [', '"info": ' + "[" * 100_000 + '"images": [', "nested too deep"),
    ],
)
def test_json_that_python_cannot_hold_is_named(tmp_path, before, after, said):
    write_coco(tmp_path)
    file = tmp_path / JSON
    file.write_text(file.read_text().replace(before, after, 1))
    with pytest.raises(DataError, match=said):
        open_source(tmp_path)


def test_numbers_at_the_end_of_the_range_are_outside_without_a_warning_of_numpy(tmp_path):
    content = coco_json() | {"licenses": 3}
    content["annotations"][0]["bbox"] = [1e308] * 4
    content["annotations"][1]["bbox"] = [-1e308, 0, 1e308, 5]
    write_coco(tmp_path / "coco", content)
    assert len(problem(open_source(tmp_path / "coco"), "outside-box").keys) == 2
    write_yolo(tmp_path / "yolo")
    (tmp_path / "yolo" / "labels" / "c.txt").write_text("0 1e308 .5 1e308 .5\n")
    assert problem(open_source(tmp_path / "yolo"), "pixels-not-shares").keys == ("images/c.png",)


def test_the_picture_in_fewest_folders_is_that_of_a_name(tmp_path):
    write_coco(tmp_path, coco_json({"1": TRUTH["a"]}))
    write_pictures(tmp_path / "images" / "a" / "train", ["1"])
    write_pictures(tmp_path / "images" / "train", ["1"], (50, 50))
    content = coco_json({"1": TRUTH["a"]})
    content["images"] = [
        {"id": 1, "file_name": "a/train/1.png"},
        {"id": 2, "file_name": "train/1.png", "width": 50, "height": 50},
    ]
    (tmp_path / JSON).write_text(json.dumps(content))
    sizes = {sample.key: sample.target.size for sample in open_source(tmp_path).samples}
    assert sizes == {"images/a/train/1.png": (64, 48), "images/train/1.png": (50, 50)}


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ("[yes, no]", ("yes", "no")),
        ("[on, 'off']", ("on", "off")),
        ("[007, 1.10]", ("007", "1.10")),
        ("[2020-13-45, 0x_]", ("2020-13-45", "0x_")),
        ("{1: b, 0: a}", ("a", "b")),
    ],
)
def test_names_in_yaml_are_texts_as_they_are_written(tmp_path, listed, names):
    write_yolo(tmp_path / "data", names=f"names: {listed}\nnc: 2\ntest:\n")
    assert open_source(tmp_path / "data").names == names
    convert(tmp_path / "data", "yolo", tmp_path / "again", quiet=True)
    assert open_source(tmp_path / "again").names == names


def test_yaml_that_grows_by_aliases_is_refused(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]" for at in range(1, 40)]
    write_yolo(tmp_path, names="\n".join([*lines, "names: *a39", "train: images"]))
    with pytest.raises(DataError, match=r"data.yaml:2: not YAML \(the alias \*a0, write it out\)"):
        open_source(tmp_path)


def test_a_list_called_data_is_read_before_others(tmp_path):
    write_yolo(tmp_path)
    (tmp_path / "a.yaml").write_text("names: [x, y]\n")
    (tmp_path / "images" / "data.yaml").write_text("names: [x, y]\n")
    assert open_source(tmp_path).names == NAMES


def test_labels_are_found_whatever_the_case_of_their_folder(tmp_path):
    write_yolo(tmp_path)
    expected = objects_of(open_source(tmp_path))
    for images, labels in (("Images", "Labels"), ("IMAGES", "LABELS"), ("Images", "labels")):
        next(one for one in tmp_path.iterdir() if one.name.lower() == "images").rename(tmp_path / images)
        next(one for one in tmp_path.iterdir() if one.name.lower() == "labels").rename(tmp_path / labels)
        assert objects_of(open_source(tmp_path)) == expected


def test_a_picture_whose_labels_are_elsewhere_is_no_negative(tmp_path):
    write_yolo(tmp_path)
    for stem in "ac":
        (tmp_path / "images" / "train").mkdir(exist_ok=True)
        (tmp_path / "images" / f"{stem}.png").rename(tmp_path / "images" / "train" / f"{stem}.png")
    (tmp_path / "labels" / "c.txt").unlink()
    source = open_source(tmp_path)
    found = problem(source, "misplaced-label")
    assert (found.severity, found.keys, found.notes, found.lost) == (
        "error",
        ("images/train/a.png",),
        ("labels/a.txt",),
        1,
    )
    assert [sample.key for sample in source.samples] == ["images/b.png", "images/train/c.png"]


def test_labels_of_a_picture_that_is_not_listed_are_those_of_no_other(tmp_path):
    write_yolo(tmp_path, names="names: [car, person]\ntrain: images/train\n")
    write_pictures(tmp_path / "images" / "train", ["a"])
    write_pictures(tmp_path / "images" / "val", ["a"])
    (tmp_path / "labels" / "val").mkdir()
    (tmp_path / "labels" / "a.txt").rename(tmp_path / "labels" / "val" / "a.txt")
    source = open_source(tmp_path)
    assert codes(source) & {"misplaced-label", "orphan-label", "negative"} == {"negative"}
    assert [sample.key for sample in source.samples] == ["images/train/a.png"]


def test_pictures_of_masks_are_counted(tmp_path):
    write_voc(tmp_path)
    (tmp_path / "JPEGImages").rename(tmp_path / "shots")
    write_pictures(tmp_path / "SegmentationClass", ["a"])
    source = open_source(tmp_path)
    assert problem(source, "mask").keys == ("SegmentationClass/a.png",)
    assert "unlisted-picture" not in codes(source)


def test_a_link_to_nothing_is_named(tmp_path):
    write_voc(tmp_path / "voc")
    (tmp_path / "voc" / "Annotations" / "d.xml").symlink_to(tmp_path / "nothing")
    found = problem(open_source(tmp_path / "voc"), "unreadable-annotation")
    assert found.notes == ("Annotations/d.xml: No such file or directory",)
    write_yolo(tmp_path / "yolo")
    (tmp_path / "yolo" / "labels" / "c.txt").unlink()
    (tmp_path / "yolo" / "labels" / "c.txt").symlink_to(tmp_path / "nothing")
    (tmp_path / "yolo" / "labels" / "b.txt").write_bytes("0 .5 .5 .1 .1".encode("utf-16"))
    source = open_source(tmp_path / "yolo")
    found = problem(source, "unreadable-annotation")
    assert (found.keys, found.lost) == (("labels/b.txt", "labels/c.txt"), 2)
    assert "not UTF-8 text" in found.notes[0]
    assert [sample.key for sample in source.samples] == ["images/a.png"]  # the others are no negatives


def test_folders_for_pictures_alone_are_written_as_each_format_has_them(tmp_path):
    for split in ("train", "valid"):
        write_pictures(tmp_path / "data" / split / "images", ["a", "b"])
        (tmp_path / "data" / split / "labels").mkdir()
        for stem in "ab":
            (tmp_path / "data" / split / "labels" / f"{stem}.txt").write_text(yolo_line(0, (1, 2, 20, 20)))
    (tmp_path / "data" / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\nnames: [car]\n")
    convert(tmp_path / "data", "yolo", tmp_path / "out", quiet=True)
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert written == [
        "data.yaml",
        *(f"images/{split}/{stem}.png" for split in ("train", "val") for stem in "ab"),
        *(f"labels/{split}/{stem}.txt" for split in ("train", "val") for stem in "ab"),
    ]


def test_the_folder_of_a_file_that_is_read_is_not_replaced(tmp_path):
    write_yolo(tmp_path / "yolo")
    write_coco(tmp_path / "coco")
    for file in (tmp_path / "yolo" / "data.yaml", tmp_path / "coco" / JSON):
        folder = tmp_path / file.relative_to(tmp_path).parts[0]
        with pytest.raises(SettingsError, match="overlap"):
            convert(file, "voc", folder, overwrite=True)
        assert file.exists()


def test_a_licence_that_a_format_has_no_place_for_is_said(tmp_path):
    write_coco(tmp_path / "data", coco_json() | {"licenses": [{"id": 1, "name": "CC BY 4.0"}]})
    lost = {form: convert(tmp_path / "data", form, tmp_path / form, quiet=True).lost for form in formats()}
    assert lost == {"coco": (), "voc": ("the licence, CC BY 4.0",), "yolo": ("the licence, CC BY 4.0",)}
    assert open_source(tmp_path / "coco").licence == "CC BY 4.0"


def test_the_picture_of_an_annotation_is_that_of_its_name_and_of_several_the_one_named_inside(tmp_path):
    """A file name inside that is another is that before a renaming."""
    write_voc(tmp_path)
    write_pictures(tmp_path / "JPEGImages", ["c"], suffix=".bmp")
    (tmp_path / "Annotations" / "a.xml").write_text(voc_xml("b", TRUTH["a"]))
    (tmp_path / "Annotations" / "b.xml").unlink()
    assert [sample.key for sample in open_source(tmp_path).samples] == ["JPEGImages/a.png", "JPEGImages/c.png"]
    (tmp_path / "Annotations" / "c.xml").write_text(voc_xml("c", [], suffix=".bmp"))
    assert [sample.key for sample in open_source(tmp_path).samples] == ["JPEGImages/a.png", "JPEGImages/c.bmp"]


def test_a_name_with_half_of_a_character_is_refused(tmp_path):
    write_coco(tmp_path, coco_json() | {"categories": [{"id": 1, "name": "\ud800a"}, {"id": 2, "name": "b"}]})
    with pytest.raises(DataError, match=r"object class 0 is called .*ud800a', in which half of a character is missing"):
        open_source(tmp_path)


def test_properties_that_are_not_read_are_said_and_lost(tmp_path):
    write_voc(tmp_path / "voc", {"a": TRUTH["a"]})
    file = tmp_path / "voc" / "Annotations" / "a.xml"
    more = "<truncated>1</truncated><pose>Unspecified</pose><part><name>wheel</name></part></object>"
    file.write_text(file.read_text().replace("</object>", more))
    assert problem(open_source(tmp_path / "voc"), "unread-property").message == (
        "properties of objects that are not read: truncated (2), part (2)."
    )
    content = coco_json()
    content["annotations"][0] |= {"keypoints": [1, 2, 2], "attributes": {}, "segmentation": [[1, 1, 9, 1, 9, 9]]}
    write_coco(tmp_path / "coco", content)
    assert convert(tmp_path / "coco", "coco", tmp_path / "out", quiet=True).lost == (
        "1 object has an outline, of which the box alone is read",
        "properties of objects that are not read: keypoints (1)",
    )
