"""Pascal VOC: an XML file a picture, and lists of the splits.

```
ROOT/Annotations/1.xml   ROOT/JPEGImages/1.jpg   ROOT/ImageSets/Main/train.txt, val.txt, test.txt, trainval.txt
ROOT/train/1.xml         ROOT/train/1.jpg: XML beside the pictures, splits by folder
```
Corners are read as edges in pixels from 0, as the tools of today write them and as conversions to COCO and YOLO take
them. Everingham et al., "The Pascal Visual Object Classes Challenge 2012 Development Kit", count pixels from 1, both
corners inside; the difference is a pixel at the left and the top, and cannot be told from the numbers for certain.
"""

import re
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.names import natural
from sightsmith.core.records import Sample, Split
from sightsmith.data.source import Source, SourceOptions, build_source
from sightsmith.data.sources.parts.annotations import Annotation, read_samples
from sightsmith.data.sources.parts.box_files import list_data, looks_like
from sightsmith.data.sources.parts.faults import Faults
from sightsmith.data.sources.parts.names import read_text, split_named
from sightsmith.data.sources.parts.picture_files import PictureFiles, leads_outside, stem_of
from sightsmith.data.sources.parts.writing import lost_of
from sightsmith.data.sources.parts.xml_file import Element, read_xml

KIND = "boxes"
SPLITS_ALL = True  # what no list names is not used

_READ = frozenset({"name", "difficult", "bndbox"})
_UNSAID = frozenset({"", "0", "Unspecified"})  # Of a property that an object does not have
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_LIST = re.compile(r"(?:(?P<base>.*)/)?ImageSets/Main/(?P<name>train|val|test|trainval)\.txt")
_MARK = re.compile(r"\s+-?[01]$")  # Behind the names in lists of one class; names may have spaces too
_EVIDENCE = 50  # Boxes from which a count from 1 is told
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def detect(path: Path) -> bool:
    return looks_like("voc", path)


def open_source(location: str, options: SourceOptions) -> Source:
    """Read the annotations. Raises DataError: no folder, or none can be used."""
    root, listing = list_data(location)
    pictures, faults = PictureFiles(listing), Faults()
    files = sorted((other for other in listing.others if other.lower().endswith(".xml")), key=natural)
    if not files:
        raise DataError(f"{location}: the format 'voc' needs .xml files of annotations, and there is none below it.")
    splits = _Splits(root, listing.others, files, faults)
    read = (_read(root, file, pictures, splits, faults) for file in files)
    found = [one for one in read if one is not None]
    splits.tell_missing()
    pictures.name_unlisted({one.key for one in found} | {key for key, _ in faults.of("unlisted-picture")}, faults)
    names = sorted({name for one in found for name in one.names}, key=natural)
    samples = read_samples(found, names, faults, "corners")
    _tell_count(samples, faults)
    listing.others = [other for other in listing.others if other not in {*files, *splits.lists}]
    return build_source(
        format="voc",
        location=location,
        kind=KIND,
        names=names,
        samples=samples,
        options=options,
        problems=(*faults.problems(), *listing.problems()),
    )


class _Splits:
    """The splits that the lists name, or else the folders."""

    def __init__(self, root: Path, others: list[str], files: list[str], faults: Faults) -> None:
        self.lists = [other for other in others if _LIST.fullmatch(other)]
        self._faults = faults
        self._annotated = {key for file in files for key in self._keys(file.rpartition(".")[0])}
        self._of: dict[tuple[str, str], tuple[Split, str]] = {}  # by the folder above ImageSets and the name listed
        order = ("test", "val", "train", "trainval")
        for file in sorted(self.lists, key=lambda file: order.index(stem_of(file))):
            self._add(root, file, split_named(stem_of(file)) or "train")

    def _add(self, root: Path, file: str, split: Split) -> None:
        match = _LIST.fullmatch(file)
        base = (match and match["base"]) or ""
        for number, line in enumerate(read_text(root / file).splitlines(), 1):
            if not line.strip():
                continue
            name = line.strip()
            if (base, name) not in self._annotated:
                name = _MARK.sub("", name)
            first, place = self._of.setdefault((base, name), (split, f"{file}:{number}"))
            if first != split and stem_of(file) != "trainval":
                self._faults.add("two-splits", name, f"{place} and {file}:{number}")

    def of(self, file: str) -> Split | None:
        """Return the split of an annotation. Raises KeyError: there are lists, and none names it."""
        if not self.lists:
            return next((split for part in file.split("/")[:-1] if (split := split_named(part))), None)
        name = file.rpartition(".")[0]
        for base, listed in self._keys(name):
            if (base, listed) in self._of:
                return self._of[base, listed][0]
        raise KeyError(file)

    def tell_missing(self) -> None:
        """Name what is listed and has no annotation."""
        for (base, name), (_, place) in self._of.items():
            if (base, name) not in self._annotated:
                self._faults.add("missing-annotation", name, place)

    @staticmethod
    def _keys(name: str) -> list[tuple[str, str]]:
        """Return the (base, listed name) that may stand for an annotation, such as ("", "1") for Annotations/1."""
        base, _, listed = f"/{name}".rpartition("/Annotations/")
        return [(base.lstrip("/"), listed), ("", name.rpartition("/")[2])]


def _read(root: Path, file: str, pictures: PictureFiles, splits: _Splits, faults: Faults) -> Annotation | None:
    """Return the annotation of a file, None if it cannot be used, which is named."""
    near = file.rpartition("/")[0]
    try:
        tree = read_xml(root / file)
        if tree.name != "annotation":
            raise DataError(f"{tree.line}: <annotation> is due, this is <{tree.name[:40]}>")
    except DataError as error:
        faults.add("unreadable-annotation", file, f"{file}:{error}")
        return None
    except OSError as error:
        faults.add("unreadable-annotation", file, f"{file}: {error.strerror}")
        return None
    written = tree.value("filename")
    if written and leads_outside(written, near):
        faults.add("outside-folder", file, f"{file}: {written[:80]}")
        return None
    key = pictures.find(written, near) if written else None
    if key is None or stem_of(key) != stem_of(file):  # pictures are renamed, and the names inside stay
        key = pictures.with_stem(stem_of(file), near) or key
    if key is None:
        faults.add("missing-file", written or file, file)
        return None
    try:
        split = splits.of(file)
    except KeyError:
        faults.add("unlisted-picture", key, file)
        return None
    one = Annotation(key=key, path=str(root / key), place=file, split=split, recorded=_size(tree))
    for element in tree.all("object"):
        _add_object(one, file, element, faults)
    return one


def _size(tree: Element) -> tuple[int, int] | None:
    """Return the recorded size, None if it is missing or was left at 0."""
    try:
        width, height = (int(float(tree.value(f"size/{side}"))) for side in ("width", "height"))
    except (ValueError, OverflowError):
        return None
    return (width, height) if (width, height) != (0, 0) else None


def _add_object(one: Annotation, file: str, element: Element, faults: Faults) -> None:
    name, place = element.value("name"), f"{file}:{element.line}"
    try:
        numbers = [float(element.value(f"bndbox/{edge}")) for edge in _CORNERS]
    except ValueError:
        faults.add("unreadable-object", one.key, f"{place}: {name[:40]}, a bndbox of four numbers is due")
        return
    if not name:
        faults.add("unreadable-object", one.key, f"{place}: it has no name")
        return
    faults.unread.update(
        inner.name
        for inner in element.inner
        if inner.name not in _READ and (inner.inner or inner.value() not in _UNSAID)
    )
    one.add(numbers, name, place, ignored=element.value("difficult") == "1")


def _tell_count(samples: list[Sample], faults: Faults) -> None:
    """Tell if corners seem to count from 1."""
    boxes_N4 = np.concatenate([sample.target.boxes_N4 for sample in samples]) if samples else np.zeros((0, 4))
    from_one = int((boxes_N4[:, :2] == 1).any(axis=1).sum())
    if len(boxes_N4) < _EVIDENCE or not from_one or (boxes_N4[:, :2] < 1).any() or (boxes_N4 % 1 != 0).any():
        return
    faults.say(
        "counted-from-one",
        f"no box begins at pixel 0 and {many(from_one, 'begins', 'begin')} at 1: the corners may count from 1. They "
        "are read as edges that count from 0, so a box may lack one pixel at its left and its top.",
        "info",
    )


def picture_path(key: str, split: Split | None) -> str:  # noqa: ARG001 - of the interface
    """Return where a picture is written."""
    return f"JPEGImages/{key.rpartition('/')[2]}"


def write(source: Source, folder: Path, paths: list[str]) -> list[str]:
    """Write the annotations of pictures that are at these paths below a folder; return what is lost.

    Raises DataError: a name has a character that XML cannot hold.
    """
    for inner in ("Annotations", "ImageSets/Main"):
        (folder / inner).mkdir(parents=True)
    lists: dict[str, list[str]] = {}
    for sample, path in zip(source.samples, paths, strict=True):
        (folder / "Annotations" / f"{stem_of(path)}.xml").write_text(_xml(sample, source.names, path), encoding="utf-8")
        if sample.split:
            lists.setdefault(sample.split, []).append(stem_of(path))
    for split, stems in lists.items():
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(stems) + "\n", encoding="utf-8")
    truths = [sample.target for sample in source.samples]
    used = {label for truth in truths for label in truth.labels_N.tolist()}
    unused = [name for at, name in enumerate(source.names) if at not in used]
    nameless = [f"{many(len(unused), 'name')} without objects: {', '.join(unused)}"] if unused else []
    return [*lost_of(truths, source.licence, crowds="written as difficult"), *nameless]


def _xml(sample: Sample, names: tuple[str, ...], path: str) -> str:
    truth = sample.target
    width, height = truth.size
    objects = [
        f"  <object>\n    <name>{_escaped(names[label])}</name>\n    <difficult>{int(ignored)}</difficult>\n"
        "    <bndbox>"
        + "".join(f"<{edge}>{number:.15g}</{edge}>" for edge, number in zip(_CORNERS, box, strict=True))
        + "</bndbox>\n  </object>\n"
        for box, label, ignored in zip(
            truth.boxes_N4.tolist(), truth.labels_N.tolist(), truth.ignored_N.tolist(), strict=True
        )
    ]
    return (
        f"<annotation>\n  <folder>JPEGImages</folder>\n  <filename>{_escaped(path.rpartition('/')[2])}</filename>\n"
        f"  <size><width>{width}</width><height>{height}</height></size>\n{''.join(objects)}</annotation>\n"
    )


def _escaped(text: str) -> str:
    """Return a text for XML, from which it is read as it was. Raises DataError: XML cannot hold a character of it."""
    wrong = _NOT_XML.search(text)
    if wrong:
        raise DataError(
            f"to: Pascal VOC is XML, which cannot hold the character {wrong[0]!a} of {text!a}. Rename it, or write "
            "coco or yolo."
        )
    return escape(text, {"\r": "&#13;"})
