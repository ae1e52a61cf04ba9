"""COCO's instances: a JSON file a split, with pictures, objects and names.

```
ROOT/annotations/instances_train2017.json   ROOT/train2017/1.jpg, or ROOT/images/…/1.jpg
ROOT/train/_annotations.coco.json           ROOT/train/1.jpg
ROOT/instances.json                         ROOT/1.jpg, ROOT/images/1.jpg
```
Boxes are left, top, width and height in pixels. Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014,
arXiv:1405.0312; https://cocodataset.org/#format-data. Numbers of categories are an encoding of each file: the same name
is the same class in all of them.
"""

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from sightsmith.core.errors import DataError
from sightsmith.core.names import natural
from sightsmith.core.records import Split
from sightsmith.data.source import Source, SourceOptions, build_source
from sightsmith.data.sources.parts.annotations import Annotation, read_samples
from sightsmith.data.sources.parts.box_files import any_fits, is_coco, list_data, looks_like
from sightsmith.data.sources.parts.faults import Faults
from sightsmith.data.sources.parts.names import read_text, split_named
from sightsmith.data.sources.parts.picture_files import PictureFiles, leads_outside, stem_of

KIND = "boxes"
SPLITS_ALL = False  # a file without a split is read as such

_INSTANCES = "instances"
_READ = frozenset({"id", "image_id", "category_id", "bbox", "area", "iscrowd", "ignore", "segmentation"})
_LARGEST = 2**53  # Whole numbers up to this are floats
_WORD = re.compile(r"[a-z]+|\d+")
_LONGEST = 80  # Characters of a value that a message shows


def detect(path: Path) -> bool:
    return looks_like("coco", path)


def open_source(location: str, options: SourceOptions) -> Source:
    """Read the files. Raises DataError: there is none, or one is not of this format."""
    root, listing = list_data(location)
    one = Path(location)
    files = [one.relative_to(root).as_posix()] if one.is_file() else _instance_files(location, listing.others)
    if not files:
        raise DataError(f"{location}: the format 'coco' needs a .json file with images, annotations and categories.")
    pictures, reading = PictureFiles(listing), _Reading()
    for file in files:
        reading.read(root, file, pictures)
    pictures.name_unlisted(reading.listed, reading.faults)
    samples = read_samples(reading.found, list(reading.names), reading.faults, "corner and size")
    reading.tell_unused()
    listing.others = [other for other in listing.others if other not in files]
    return build_source(
        format="coco",
        location=location,
        kind=KIND,
        names=list(reading.names),
        samples=samples,
        options=options,
        problems=(*reading.faults.problems(), *listing.problems()),
        licence=", ".join(reading.licences) or None,
    )


def _instance_files(location: str, others: list[str]) -> list[str]:
    """Return the files to read: of a folder with files called instances, as COCO's own, those alone."""
    files = [other for other in sorted(others, key=natural) if other.lower().endswith(".json")]
    files = [file for file in files if any_fits(location, [file], is_coco)]
    named = {file.rpartition("/")[0] for file in files if stem_of(file).startswith(_INSTANCES)}
    return [file for file in files if file.rpartition("/")[0] not in named or stem_of(file).startswith(_INSTANCES)]


class _Reading:
    """What the files of a data set hold."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.found: list[Annotation] = []
        self.names: dict[str, None] = {}  # in the order of their numbers in the first file
        self.listed: set[str] = set()  # pictures
        self.licences: dict[str, None] = {}
        self._zeros: dict[str, str] = {}  # the name of category 0, with the file

    def read(self, root: Path, file: str, pictures: PictureFiles) -> None:
        """Read a file. Raises DataError: it is no JSON, or a list in it is missing."""
        raw = _parsed(root / file)
        images, objects, categories = (_entries(raw, name, file) for name in ("images", "annotations", "categories"))
        names = self._names(categories, file)
        by_number = self._images(images, root, file, pictures)
        for entry in objects:
            self._add(entry, file, names, by_number)
        licences = raw.get("licenses")
        for licence in licences if isinstance(licences, list) else ():
            if isinstance(licence, dict) and licence.get("name"):
                self.licences[str(licence["name"])] = None

    def tell_unused(self) -> None:
        """Tell of a first category, 0, that no object has."""
        used = {name for one in self.found for name in one.names}
        for name, file in self._zeros.items():
            if name not in used:
                self.faults.say(
                    "unused-zero",
                    f"{file}: no object is of category 0, {name!r}: a background, or a heading over the others. It "
                    "stays a class, which nothing teaches. Delete it from the categories if it is none.",
                    "warning",
                )

    def _names(self, categories: list[dict[str, Any]], file: str) -> dict[Any, str]:
        names: dict[Any, str] = {}
        for entry in categories:
            number, name = _number(entry, "id"), entry.get("name")
            if number is None or not isinstance(name, str) or not name.strip():
                raise DataError(f"{file}: a category needs an id and a name, this is {_shown(entry)}. Correct it.")
            if number in names and names[number] != name:
                raise DataError(f"{file}: {names[number]!r} and {name!r} are both category {number}. Renumber one.")
            names[number] = name.strip()
        repeated = [name for name, count in Counter(names.values()).items() if count > 1]
        if repeated:
            message = f"{file}: several categories are called {repeated[0]!r}: they are read as one class."
            self.faults.say("repeated-name", message, "warning")
        by_number = dict(sorted(names.items(), key=lambda each: (isinstance(each[0], str), each[0])))
        self.names |= dict.fromkeys(by_number.values())
        if 0 in names:
            self._zeros.setdefault(names[0], file)
        return names

    def _images(
        self, images: list[dict[str, Any]], root: Path, file: str, pictures: PictureFiles
    ) -> dict[Any, Annotation | None]:
        """Return the annotation by the number of its picture; None for one that cannot be used.

        Raises DataError: a picture has no number or no name, or two have one number, so that objects would go astray.
        """
        near, split = file.rpartition("/")[0], _split_of(file)
        by_number: dict[Any, Annotation | None] = {}
        numbered: dict[Any, str] = {}
        inner = stem_of(file).removeprefix(_INSTANCES).lstrip("_-")
        for entry in images:
            number, name = _number(entry, "id"), entry.get("file_name")
            if number is None or not isinstance(name, str) or not name:
                raise DataError(f"{file}: a picture needs an id and a file_name, this is {_shown(entry)}. Correct it.")
            if (first := numbered.setdefault(number, name)) != name:
                raise DataError(f"{file}: {_shown(first)} and {_shown(name)} are both image {number}. Renumber one.")
            if number in by_number:
                continue  # one entry twice
            place = f"{file}: image {number}"
            by_number[number] = None
            if leads_outside(name, near):
                self.faults.add("outside-folder", name[:_LONGEST], place)
            elif (key := pictures.find(name, near, inner)) is None:
                self.faults.add("missing-file", name, place)
            else:
                self.listed.add(key)
                one = Annotation(key=key, path=str(root / key), place=place, split=split, recorded=_size(entry))
                by_number[number] = one
                self.found.append(one)
        return by_number

    def _add(
        self, entry: dict[str, Any], file: str, names: dict[Any, str], by_number: dict[Any, Annotation | None]
    ) -> None:
        place = f"{file}: annotation {str(entry.get('id'))[:_LONGEST]}"
        image, category = _number(entry, "image_id"), _number(entry, "category_id")
        if image not in by_number:
            self.faults.add("orphan-object", file, f"{place}: image {image}")
            return
        one = by_number[image]
        if one is None:
            return  # its picture is named already
        box, area = entry.get("bbox"), entry.get("area")
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
            self.faults.add("unreadable-object", one.key, f"{place}: bbox {_shown(box)}, four numbers are due")
        elif category not in names:
            self.faults.add("unknown-class", one.key, f"{place}: category {category}")
        else:
            crowd, ignored = entry.get("iscrowd") in (1, True), entry.get("ignore") in (1, True)
            self.faults.outlines += bool(entry.get("segmentation"))
            self.faults.unread.update(name for name, value in entry.items() if value and name not in _READ)
            own = float(area) if _is_number(area) else math.nan
            one.add(list(map(float, box)), names[category], place, ignored=ignored, crowd=crowd, area=own)


def _parsed(path: Path) -> dict[str, Any]:
    text = read_text(path)
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: {error.msg}. This is no whole JSON file: export it again.") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        reason = "nested too deep" if isinstance(error, RecursionError) else "a number of too many digits"
        raise DataError(f"{path}: {reason}. Correct it, or export it again.") from error
    if not isinstance(raw, dict):
        raise DataError(f"{path}: an object with images, annotations and categories is due, this is a list.")
    return raw


def _entries(raw: dict[str, Any], name: str, file: str) -> list[dict[str, Any]]:
    entries = raw.get(name)
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        found = "there is none" if entries is None else "this is something else"
        raise DataError(f"{file}: {name!r} must be a list of objects, and {found}. Export it as COCO's instances.")
    return entries


def _number(entry: dict[str, Any], name: str) -> int | str | None:
    """Return an id, which may be a text, None if it is missing or something else."""
    value = entry.get(name)
    return value if isinstance(value, (int, str)) and not isinstance(value, bool) else None


def _is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value is a number that a float holds; NaN and infinity are."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, float) or abs(value) < _LARGEST


def _size(entry: dict[str, Any]) -> tuple[int, int] | None:
    """Return the recorded size, None if it is missing or was left at 0."""
    width, height = entry.get("width"), entry.get("height")
    known = isinstance(width, int) and isinstance(height, int) and (width or height)
    return (width, height) if known else None  # type: ignore[return-value]


def _split_of(file: str) -> Split | None:
    """Return the split that a word of the file's name or of its folders' names tells."""
    words = _WORD.findall(stem_of(file).lower()) + [part.lower() for part in reversed(file.split("/")[:-1])]
    return next((split for word in words if (split := split_named(word))), None)


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def picture_path(key: str, split: Split | None) -> str:  # noqa: ARG001 - of the interface
    """Return where a picture is written."""
    return f"images/{key}"


def write(source: Source, folder: Path, paths: list[str]) -> list[str]:
    """Write the files, a split each, for pictures that are at these paths below a folder; nothing is lost."""
    categories = [{"id": at, "name": name} for at, name in enumerate(source.names, 1)]
    licences = [{"id": 1, "name": source.licence, "url": ""}] if source.licence else []
    (folder / "annotations").mkdir()
    for split in dict.fromkeys(sample.split for sample in source.samples):
        whole: dict[str, Any] = {"licenses": licences, "categories": categories, "images": [], "annotations": []}
        for sample, path in zip(source.samples, paths, strict=True):
            if sample.split == split:
                _append(whole, sample.target, path.removeprefix("images/"))
        file = folder / "annotations" / f"{_INSTANCES}_{split or 'all'}.json"
        file.write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")
    return []


def _append(whole: dict[str, Any], truth: Any, name: str) -> None:
    number = len(whole["images"]) + 1
    width, height = truth.size
    whole["images"].append({"id": number, "file_name": name, "width": width, "height": height})
    corners_N4 = truth.boxes_N4
    boxes_N4 = np.concatenate([corners_N4[:, :2], corners_N4[:, 2:] - corners_N4[:, :2]], axis=1)
    for at, box in enumerate(boxes_N4.round(9).tolist()):
        whole["annotations"].append(
            {
                "id": len(whole["annotations"]) + 1,
                "image_id": number,
                "category_id": int(truth.labels_N[at]) + 1,
                "bbox": box,
                "area": float(truth.areas_N[at]),
                "iscrowd": int(truth.crowd_N[at]),
                "ignore": int(truth.ignored_N[at]),
                **({} if truth.scores_N is None else {"score": round(float(truth.scores_N[at]), 6)}),
            }
        )
