"""Telling data with boxes or masks (VOC, YOLO, COCO, segmentation) from folders of classes."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.images import FORMATS, printable
from sightsmith.core.names import natural
from sightsmith.data.problem import Problem
from sightsmith.data.sources.parts.listing import Listing
from sightsmith.data.sources.parts.names import split_named

_NOT_CLASSES = frozenset(
    {"images", "image", "img", "imgs", "jpegimages", "pictures", "photos", "frames", "data"}
    | {"segmentationclass", "segmentationobject"}  # of Pascal VOC
)
"""Folders that hold the pictures of all classes, in lower case."""
_MASKS = re.compile(r"mask|annot|label|segm|ground.?truth|trimap|(^|[^a-z])gt([^a-z]|$)", re.IGNORECASE)
_MASK_SUFFIX = re.compile(r"[-_.]?(mask|masks|gt|label|labels|l|seg|annot)$", re.IGNORECASE)
_YOLO_LINE = re.compile(r"\d+(\s+[01]?\.\d+(e-?\d+)?|\s+[01]){4,}\s*", re.IGNORECASE)
_FILES = 20  # Annotations looked into, at most
_HEAD = 2**18  # Bytes read from each end of an annotation
_SHARE = 0.5  # Share of the annotations (masks) that must have a picture of their name
_COLOURS = 64  # A mask has at most this many


def other_task(location: str, listing: Listing, *, asked: bool) -> tuple[Problem, ...]:
    """Tell whether a folder is of another task than classification.

    Args:
        asked: the user named the format, so recognised annotations are a warning.

    Returns:
        A warning, if pictures with boxes are in folders of several classes or the format was asked for.

    Raises DataError: it is data of boxes or masks, and its folders are no classes.
    """
    recognised = _boxes(location, listing) or _masks(location, listing)
    if recognised is None:
        return ()
    what, classes = recognised
    name = printable(location)
    if asked or classes > 1:
        message = f"{what}, which is not used: each picture is of the class that its folder names."
        return (Problem(code="other-task", severity="warning", message=message),)
    raise DataError(
        f"{name}: {what}. Sightsmith classifies whole pictures and reads no boxes or masks yet. To classify, give each "
        f"class a folder of its own ({name}/cats/1.jpg), cutting each object out of its picture if there are several "
        "in one, or write a CSV table with the columns path and label. If the folders are classes all the same, add "
        "--format folder."
    )


def _boxes(location: str, listing: Listing) -> tuple[str, int] | None:
    """Return the kind of annotations beside the pictures, and how many classes the pictures' folders may name."""
    for suffix, name, fits in ((".xml", "Pascal VOC", _is_voc), (".txt", "YOLO", _is_yolo)):
        files = [other for other in listing.others if other.lower().endswith(suffix)]
        folders_of = _folders_by_stem(listing) if files else {}
        paired = [file for file in files if _stem(file) in folders_of]
        if len(paired) > _SHARE * len(files) and _any(location, paired, fits):
            what = f"object-detection data ({name}: {many(len(paired), f'{suffix} file')} with boxes)"
            return what, _classes(set().union(*(folders_of[_stem(file)] for file in paired)))
    tables = [other for other in listing.others if other.lower().endswith(".json")]
    if listing.pictures and _any(location, tables, _is_coco):
        return "object-detection data (COCO: a .json file with boxes)", _classes(listing.pictures)
    return None


def _masks(location: str, listing: Listing) -> tuple[str, int] | None:
    """Find folders of masks: by their name, their files' names, and few colours at the size of the picture."""
    named_so = [folder for folder in listing.pictures if _MASKS.search(folder.rpartition("/")[2])]
    folders_of = _folders_by_stem(listing) if named_so else {}
    for folder in sorted(named_so, key=natural):
        pairs = []
        for file in listing.pictures[folder]:
            stem = _MASK_SUFFIX.sub("", _stem(file))
            partners = (folders_of[_stem(file)] | folders_of.get(stem, set())) - {folder}
            pairs += [(file, stem, partner) for partner in partners if not _MASKS.search(partner.rpartition("/")[2])]
        few = sorted(pairs)[:3] if len(pairs) > _SHARE * len(listing.pictures[folder]) else []
        if few and all(_is_mask(location, listing, folder, *pair) for pair in few):
            partners = {partner for _, _, partner in pairs}
            return f"segmentation data (masks in {printable(folder)})", _classes(partners)
    return None


def _is_mask(location: str, listing: Listing, folder: str, file: str, stem: str, partner: str) -> bool:
    picture = next(name for name in listing.pictures[partner] if _stem(name) in (stem, _stem(file)))
    try:
        with (
            Image.open(Path(location, folder, file), formats=FORMATS) as mask,
            Image.open(Path(location, partner, picture), formats=FORMATS) as image,
        ):
            return mask.size == image.size and mask.format != "JPEG" and mask.getcolors(_COLOURS) is not None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _folders_by_stem(listing: Listing) -> dict[str, set[str]]:
    folders: defaultdict[str, set[str]] = defaultdict(set)
    for folder, files in listing.pictures.items():
        for file in files:
            folders[_stem(file)].add(folder)
    return folders


def _classes(folders: Iterable[str]) -> int:
    """Return how many classes folders may name, apart from splits and folders such as `images`."""
    parts = (folder.split("/") for folder in folders)
    return len(
        {tuple(part for part in each if not split_named(part) and part.lower() not in _NOT_CLASSES) for each in parts}
    )


def _any(location: str, files: list[str], fits: Callable[[str], bool]) -> bool:
    return any(fits(_ends(Path(location, file))) for file in sorted(files)[:_FILES])


def _ends(file: Path) -> str:
    """Return the start and the end of a text; large files are not read as a whole."""
    try:
        with file.open("rb") as opened:
            head = opened.read(_HEAD)
            opened.seek(max(_HEAD, file.stat().st_size - _HEAD))
            return (head + opened.read(_HEAD)).decode("utf-8", "replace")
    except OSError:
        return ""


def _is_voc(text: str) -> bool:
    return "<annotation" in text and "<bndbox" in text


def _is_yolo(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    return bool(lines) and all(_YOLO_LINE.fullmatch(line.strip()) for line in lines[:_FILES])


def _is_coco(text: str) -> bool:
    return '"image_id"' in text and '"bbox"' in text


def _stem(file: str) -> str:
    return os.path.splitext(os.path.basename(file))[0]  # noqa: PTH119, PTH122 - for every file
