"""Answers as annotations that labelling tools read: COCO and YOLO. Names are written; numbers are an encoding.

COCO: https://cocodataset.org/#format-data; boxes are left, top, width and height in pixels. YOLO: a text file a
picture, a line an object: the number of the class, and the centre, width and height in shares of the picture.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sightsmith.kinds.boxes.value import Boxes

CONTENT = frozenset({"images", "labels", "annotations", "data.yaml"})  # All that a folder of either format has


class Coco:
    """One file, `annotations/instances_all.json`; each object also has its score, as in COCO's results."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._file = folder / "annotations" / "instances_all.json"
        self._numbers = {name: at for at, name in enumerate(names, 1)}
        self._pictures: list[dict[str, Any]] = []
        self._objects: list[dict[str, Any]] = []

    def add(self, name: str, size: tuple[int, int], answer: Boxes, options: Mapping[str, Any]) -> None:
        """Add a picture of this name and (width, height)."""
        number = len(self._pictures) + 1
        self._pictures.append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
        for label, score, (left, top, right, bottom) in answer.objects(**options):
            box = [left, top, round(right - left, 2), round(bottom - top, 2)]
            self._objects.append(
                {
                    "id": len(self._objects) + 1,
                    "image_id": number,
                    "category_id": self._numbers[label],
                    "bbox": box,
                    "area": round(box[2] * box[3], 2),
                    "iscrowd": 0,
                    "score": round(score, 6),
                }
            )

    def finish(self) -> None:
        """Write the file."""
        categories = [{"id": number, "name": name} for name, number in self._numbers.items()]
        whole = {"images": self._pictures, "annotations": self._objects, "categories": categories}
        self._file.parent.mkdir()
        self._file.write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")


class Yolo:
    """`data.yaml` with the names, and `labels/NAME.txt` of each picture, empty if it has no object; no scores."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder, self._names = folder, names
        self._numbers = {name: at for at, name in enumerate(names)}
        (folder / "labels").mkdir()

    def add(self, name: str, size: tuple[int, int], answer: Boxes, options: Mapping[str, Any]) -> None:
        """Write the labels of a picture of this name and (width, height)."""
        lines = []
        for label, _, (left, top, right, bottom) in answer.objects(**options):
            centre = (left + right) / 2 / size[0], (top + bottom) / 2 / size[1]
            shares = *centre, (right - left) / size[0], (bottom - top) / size[1]
            lines.append(f"{self._numbers[label]} {' '.join(f'{share:.10g}' for share in shares)}\n")
        path = (self._folder / "labels" / name).with_suffix(".txt")
        path.write_text("".join(lines), encoding="utf-8")

    def finish(self) -> None:
        """Write the names."""
        # A string of JSON is one of YAML.
        names = [f"  {number}: {json.dumps(name, ensure_ascii=False)}" for number, name in enumerate(self._names)]
        text = "\n".join([f"nc: {len(names)}", "names:", *names, ""])
        (self._folder / "data.yaml").write_text(text, encoding="utf-8")


FORMS = {"coco": Coco, "yolo": Yolo}
