"""Recognising files of boxes (Pascal VOC, COCO, YOLO) below a folder, and listing what is there."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.images import printable
from sightsmith.data.sources.parts.listing import Listing, list_pictures, some_files
from sightsmith.data.sources.parts.names import split_named
from sightsmith.data.sources.parts.picture_files import stem_of

_NOT_CLASSES = frozenset(
    {"images", "image", "img", "imgs", "jpegimages", "pictures", "photos", "frames", "data"}
    | {"segmentationclass", "segmentationobject"}  # of Pascal VOC
)
"""Folders that hold the pictures of all classes, in lower case."""
_YOLO_LINE = re.compile(r"\d+(\s+[01]?\.\d+(e-?\d+)?|\s+[01]){4,}\s*", re.IGNORECASE)
_YOLO_LIST = re.compile(r"^(names|nc|train|val|path)\s*:", re.MULTILINE)
_APART = {"annotations", "labels"}
_FILES = 20  # Annotations looked into, at most
_HEAD = 2**18  # Bytes read from each end of an annotation
_SHARE = 0.5  # Share of the annotations that must have a picture of their name


def list_data(location: str) -> tuple[Path, Listing]:
    """List the folder of some data, which is that of the file if the location is a file of annotations."""
    root = data_folder(Path(location))
    return root, list_pictures(str(root))


def data_folder(path: Path) -> Path:
    """Return the folder that has the pictures: the one above `annotations` for a file in it."""
    if path.is_dir():
        return path
    return path.parent.parent if path.parent.name.lower() == "annotations" else path.parent


def looks_like(format_name: str, path: Path) -> bool:
    """Tell whether a folder has boxes in a format, and its own folders name no classes; or a file is of it."""
    suffixes, _, fits = _FORMATS[format_name]
    if path.is_file():
        return format_name != "voc" and path.suffix.lower() in suffixes and fits(_ends(path))
    if not path.is_dir() or not any(name.lower().endswith(suffixes) for name in some_files(path)):
        return False
    found = found_boxes(str(path), list_pictures(str(path)), (format_name,))
    return found is not None and found[1] <= 1


def found_boxes(
    location: str, listing: Listing, formats: Iterable[str] = ("voc", "yolo", "coco")
) -> tuple[str, int] | None:
    """Return the files of boxes beside the pictures, in words, and how many classes the pictures' folders may name."""
    for format_name in formats:
        suffixes, title, fits = _FORMATS[format_name]
        files = [other for other in listing.others if other.lower().endswith(suffixes)]
        folders_of = folders_by_stem(listing) if files else {}
        paired = [file for file in files if stem_of(file) in folders_of]
        listed = [file for file in files if file.lower().endswith((".yaml", ".yml", ".json"))]
        if listing.pictures and any_fits(location, listed, fits):
            what, folders = f"a {suffixes[-1]} file that lists its pictures", set(listing.pictures)
        elif len(paired) > _SHARE * (len(files) - len(listed)) and any_fits(location, paired, fits):
            what = f"{many(len(paired), f'{suffixes[0]} file')} with boxes"
            folders = set().union(*(folders_of[stem_of(file)] for file in paired))
        else:
            continue
        classes = 1 if any(_is_apart(file) for file in paired or listed) else class_folders(folders)
        return f"object-detection data ({title}: {what})", classes
    return None


def _is_apart(file: str) -> bool:
    """Tell whether annotations are in a folder for them alone, so that the folders of the pictures name no classes."""
    return not _APART.isdisjoint(file.lower().split("/")[:-1])


def folders_by_stem(listing: Listing) -> dict[str, set[str]]:
    folders: defaultdict[str, set[str]] = defaultdict(set)
    for folder, files in listing.pictures.items():
        for file in files:
            folders[stem_of(file)].add(folder)
    return folders


def class_folders(folders: Iterable[str]) -> int:
    """Return how many classes folders may name, apart from splits and folders such as `images`."""
    parts = (folder.split("/") for folder in folders)
    return len(
        {tuple(part for part in each if not split_named(part) and part.lower() not in _NOT_CLASSES) for each in parts}
    )


def any_fits(location: str, files: list[str], fits: Callable[[str], bool]) -> bool:
    return any(fits(_ends(Path(location, file))) for file in sorted(files)[:_FILES])


def is_coco(text: str) -> bool:
    """Tell whether a text starts, and goes on, as COCO's instances do."""
    boxed = '"image_id"' in text and '"bbox"' in text
    return text.lstrip().startswith("{") and '"images"' in text and (boxed or '"categories"' in text)


def _is_voc(text: str) -> bool:
    return "<annotation" in text and ("<bndbox" in text or "<size" in text)


def _is_yolo(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    return bool(lines) and all(_YOLO_LINE.fullmatch(line.strip()) for line in lines[:_FILES])


def _names_yolo(text: str) -> bool:
    """Tell whether a text has names, and one of the other keys of YOLO's lists of names."""
    keys = {match[1] for match in _YOLO_LIST.finditer(text)}
    return "names" in keys and len(keys) > 1


_FORMATS: dict[str, tuple[tuple[str, ...], str, Callable[[str], bool]]] = {
    "voc": ((".xml",), "Pascal VOC", _is_voc),
    "yolo": ((".txt", ".yaml", ".yml"), "YOLO", lambda text: _is_yolo(text) or _names_yolo(text)),
    "coco": ((".json",), "COCO", is_coco),
}


def _ends(file: Path) -> str:
    """Return the start and the end of a text; large files are not read as a whole."""
    try:
        with file.open("rb") as opened:
            head = opened.read(_HEAD)
            opened.seek(max(_HEAD, file.stat().st_size - _HEAD))
            return (head + opened.read(_HEAD)).decode("utf-8", "replace")
    except OSError:
        return ""


def no_file(location: str, format_name: str, needed: str) -> DataError:
    return DataError(f"{printable(location)}: the format {format_name!r} needs {needed}, and there is none below it.")
