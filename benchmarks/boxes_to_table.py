"""Turn detection data into tables of tags and of numbers, for the docs and the benchmarks.

    python -m benchmarks.boxes_to_table bccd_voc ../shared/data/bccd_voc blood
    python -m benchmarks.boxes_to_table coad ../shared/data/coad_driving_coco driving

writes `blood/tags.csv` (path, labels, group, split), `blood/cells.csv` (path, number, group, split) and links to the
pictures. A picture has a tag for each class that has a box in it; its number is the count of its boxes. Roboflow's
copies of one photograph (`NAME.rf.HASH.jpg`) are one group. Pictures that the data's own list calls test are the test
split; the rest is left to training.
"""

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET

Boxes = dict[Path, list[str]]  # The class of each box, by picture

_TESTED = Path("ImageSets/Main/test.txt")  # Of a Pascal VOC folder: the pictures of the test split


def voc(folder: Path) -> Boxes:
    """Read a Pascal VOC folder."""
    found: Boxes = {}
    for file in sorted((folder / "Annotations").glob("*.xml")):
        picture = (folder / "JPEGImages" / file.name).with_suffix(".jpg")
        if picture.exists():
            found[picture] = [str(one.text) for one in ET.parse(file).iterfind("object/name")]
    return found


def coco(folder: Path) -> Boxes:
    """Read the parts of a COCO folder; listed pictures that do not exist are left out."""
    found: Boxes = {}
    for file in sorted(folder.glob("*/*.json")):
        raw = json.loads(file.read_text(encoding="utf-8"))
        names = {one["id"]: one["name"] for one in raw["categories"]}
        boxes = defaultdict(list)
        for one in raw["annotations"]:
            boxes[one["image_id"]].append(names[one["category_id"]])
        for image in raw["images"]:
            picture = file.parent / image["file_name"]
            if picture.exists():
                found[picture] = boxes[image["id"]]
    return found


READERS = {"bccd_voc": voc, "coad": coco}
EVERYWHERE = {"bccd_voc": "RBC"}
"""A class that every picture shows. A picture without a box of it was not annotated to the end (15 of 364 blood smears
have boxes of white cells alone, among dozens of red ones), so it is left out of cells.csv."""


def tested(folder: Path) -> set[str]:
    """Return the names, without ending, of the pictures that the data's own list puts into its test split."""
    listed = folder / _TESTED
    return set(listed.read_text(encoding="utf-8").split()) if listed.exists() else set()


def write_tables(boxes: Boxes, test: set[str], out: Path, everywhere: str | None = None) -> None:
    """Write the tables, and links to the pictures that they name."""
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    with (out / "tags.csv").open("w", newline="") as tags, (out / "cells.csv").open("w", newline="") as numbers:
        tag_rows, number_rows = csv.writer(tags), csv.writer(numbers)
        tag_rows.writerow(["path", "labels", "group", "split"])
        number_rows.writerow(["path", "number", "group", "split"])
        for picture, classes in boxes.items():
            link = out / "pictures" / picture.name
            if not link.exists():
                link.symlink_to(picture.resolve())
            path, group = f"pictures/{picture.name}", picture.name.partition(".rf.")[0].removesuffix(".jpg")
            split = "test" if picture.stem in test else ""
            tag_rows.writerow([path, ";".join(sorted(set(classes))), group, split])
            if everywhere is None or everywhere in classes:
                number_rows.writerow([path, len(classes), group, split])


if __name__ == "__main__":
    reader, source, target = sys.argv[1:]
    boxes, test = READERS[reader](Path(source)), tested(Path(source))
    write_tables(boxes, test, Path(target), EVERYWHERE.get(reader))
