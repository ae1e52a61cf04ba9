"""Small data sets of boxes in each format, with one truth."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (64, 48)  # (width, height) of each picture
NAMES = ("car", "person")
TRUTH = {"a": [("car", (4, 6, 20, 30)), ("person", (30, 8, 40, 40))], "b": [("person", (0, 0, 64, 48))], "c": []}
"""Objects of each picture: a name and its edges in pixels; c has none."""


def write_pictures(folder, stems=tuple(TRUTH), size=SIZE, suffix=".png"):
    """Write a picture of noise for each stem."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, stem in enumerate(stems):
        pixels_HWC = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels_HWC).save(folder / f"{stem}{suffix}")


def voc_xml(stem, objects, size=SIZE, suffix=".png"):
    inner = "".join(
        f"<object>\n<name>{name}</name><difficult>0</difficult><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>"
        f"<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>\n"
        for name, box in objects
    )
    return (
        f"<annotation><filename>{stem}{suffix}</filename><size><width>{size[0]}</width><height>{size[1]}</height>"
        f"</size>\n{inner}</annotation>"
    )


def write_voc(root: Path, truth=TRUTH):
    write_pictures(root / "JPEGImages", truth)
    (root / "Annotations").mkdir()
    for stem, objects in truth.items():
        (root / "Annotations" / f"{stem}.xml").write_text(voc_xml(stem, objects))


def coco_json(truth=TRUTH, numbers=(1, 2), size=SIZE):
    """Return the content of COCO's file; `numbers` are the ids of `NAMES`."""
    images = [
        {"id": number, "file_name": f"{stem}.png", "width": size[0], "height": size[1]}
        for number, stem in enumerate(truth, 1)
    ]
    objects = [(image["id"], *each) for image, listed in zip(images, truth.values(), strict=True) for each in listed]
    return {
        "images": images,
        "categories": [{"id": number, "name": name} for number, name in zip(numbers, NAMES, strict=True)],
        "annotations": [
            {
                "id": number,
                "image_id": image,
                "category_id": numbers[NAMES.index(name)],
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "iscrowd": 0,
            }
            for number, (image, name, (left, top, right, bottom)) in enumerate(objects, 1)
        ],
    }


def write_coco(root: Path, content=None):
    write_pictures(root / "images")
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_all.json").write_text(json.dumps(content or coco_json()))


def yolo_line(number, box, size=SIZE):
    left, top, right, bottom = box
    width, height = size
    shares = ((left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height)
    return f"{number} " + " ".join(f"{share:.9f}" for share in shares) + "\n"


def write_yolo(root: Path, truth=TRUTH, names="nc: 2\nnames: [car, person]\n"):
    write_pictures(root / "images", truth)
    (root / "labels").mkdir()
    for stem, objects in truth.items():
        lines = [yolo_line(NAMES.index(name), box) for name, box in objects]
        (root / "labels" / f"{stem}.txt").write_text("".join(lines))
    if names:
        (root / "data.yaml").write_text(names)


WRITERS = {"voc": write_voc, "coco": write_coco, "yolo": write_yolo}


def objects_of(source):
    """Return the objects of each picture by its stem: sorted (name, edges to a thousandth of a pixel)."""
    return {
        Path(sample.key).stem: sorted(
            (source.names[label], tuple(box))
            for label, box in zip(
                sample.target.labels_N.tolist(), sample.target.boxes_N4.round(3).tolist(), strict=True
            )
        )
        for sample in source.samples
    }


def codes(source):
    return {problem.code for problem in source.problems}


def problem(source, code):
    """Return the one problem of a code."""
    (found,) = [one for one in source.problems if one.code == code]
    return found
