"""Data of boxes and of masks is told from folders of classes."""

import json

import numpy as np
import pytest
from PIL import Image

from sightsmith.core.errors import DataError
from sightsmith.data.source import SourceOptions, open_source

BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>"
VOC = f"<annotation><object><name>cat</name>{BOX}</object></annotation>"
COCO = {
    "images": [{"id": 1, "file_name": "0.png"}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
}


def photos(folder, count=3, seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng([seed, number]).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def masks(folder, name, count=3):
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(np.eye(24, 32, number, dtype=np.uint8)).save(folder / name.format(number))


def texts(folder, suffix, text, count=3):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number}{suffix}").write_text(text)


def voc(root):
    photos(root / "JPEGImages")
    texts(root / "Annotations", ".xml", VOC)
    masks(root / "SegmentationClass", "{}.png")


def yolo(root):
    for split in ("train", "val"):
        photos(root / "images" / split)
        texts(root / "labels" / split, ".txt", "0 0.5 0.5 0.25 1\n17 0.1 .2 0.001 0.4\n")
    (root / "classes.txt").write_text("cat\n")


def coco(root):
    photos(root / "train")
    (root / "train" / "_annotations.coco.json").write_text(json.dumps(COCO))


def coco_flat(root):
    photos(root)
    (root / "instances.json").write_text(json.dumps(COCO))


def camvid(root):
    photos(root / "train")
    masks(root / "trainannot", "{}.png")


def carvana(root):
    photos(root / "imgs")
    masks(root / "masks", "{}_mask.png")


@pytest.mark.parametrize(("write", "said"), [(camvid, "trainannot"), (carvana, "masks")])
def test_masks_are_said_to_be_no_classes(tmp_path, write, said):
    write(tmp_path)
    with pytest.raises(DataError, match=rf"masks in {said}\), and masks are not read yet.*format='folder'"):
        open_source(tmp_path)


def test_real_masks_are_recognised(shared_data):
    with pytest.raises(DataError, match="segmentation data .*masks are not read yet"):
        open_source(shared_data("camvid"))


@pytest.mark.parametrize(("write", "name"), [(voc, "voc"), (yolo, "yolo"), (coco, "coco"), (coco_flat, "coco")])
def test_boxes_open_by_their_own_format(tmp_path, write, name):
    write(tmp_path)
    assert open_source(tmp_path).format == name


def test_a_folder_with_boxes_in_two_formats_asks_which(shared_data):
    with pytest.raises(DataError, match=r"may be coco or voc\. Say which"):
        open_source(shared_data("detmetrics"))


def test_a_format_asked_for_is_used_and_warns(tmp_path):
    voc(tmp_path)
    source = open_source(tmp_path, SourceOptions(format="folder"))
    assert {"JPEGImages", "SegmentationClass"} <= set(source.names)
    assert [problem.severity for problem in source.problems if problem.code == "other-task"] == ["warning"]


def test_classes_with_boxes_beside_their_pictures_stay_classes(tmp_path):
    for seed, name in enumerate(("cats", "dogs")):
        photos(tmp_path / "train" / name, seed=seed)
        texts(tmp_path / "train" / name, ".xml", VOC)
    source = open_source(tmp_path)
    assert source.names == ("cats", "dogs")
    found = next(problem for problem in source.problems if problem.code == "other-task")
    assert found.severity == "warning"
    assert "6 .xml files with boxes" in found.message


def test_other_texts_and_classes_called_mask_are_no_boxes(tmp_path):
    for seed, name in enumerate(("mask", "face")):
        photos(tmp_path / name, seed=seed)
        texts(tmp_path / name, ".txt", "a photo of 1 person\n")
        texts(tmp_path / name, ".xml", "<metadata/>")
        (tmp_path / name / "notes.json").write_text('{"camera": 3}')
    source = open_source(tmp_path)
    assert source.names == ("face", "mask")
    assert "other-task" not in {problem.code for problem in source.problems}


def test_masks_are_opened_by_the_decoders_of_pictures_alone(tmp_path):
    """Whatever its name: Pillow would start Ghostscript for a PostScript file called 0.png."""
    photos(tmp_path / "imgs")
    (tmp_path / "masks").mkdir()
    for number in range(3):
        Image.fromarray(np.eye(24, 32, number, dtype=np.uint8)).save(tmp_path / "masks" / f"{number}.png", format="GIF")
    assert open_source(tmp_path).names == ("imgs", "masks")
