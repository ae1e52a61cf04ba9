"""Telling data with boxes or masks from folders of classes."""

import re
from pathlib import Path

from PIL import Image

from sightsmith.core.errors import DataError
from sightsmith.core.images import FORMATS, printable
from sightsmith.core.names import natural
from sightsmith.data.problem import Problem
from sightsmith.data.sources.parts.box_files import class_folders, folders_by_stem, found_boxes
from sightsmith.data.sources.parts.listing import Listing
from sightsmith.data.sources.parts.picture_files import stem_of

_MASKS = re.compile(r"mask|annot|label|segm|ground.?truth|trimap|(^|[^a-z])gt([^a-z]|$)", re.IGNORECASE)
_MASK_SUFFIX = re.compile(r"[-_.]?(mask|masks|gt|label|labels|l|seg|annot)$", re.IGNORECASE)
_SHARE = 0.5  # Share of the masks that must have a picture of their name
_COLOURS = 64  # A mask has at most this many


def other_task(location: str, listing: Listing, *, asked: bool) -> tuple[Problem, ...]:
    """Tell whether a folder is of another task than classification.

    Args:
        asked: the user named the format, so recognised annotations are a warning.

    Returns:
        A warning, if there are boxes, or masks whose pictures are in folders of several classes.

    Raises DataError: it is data of masks, and its folders are no classes.
    """
    boxes, masks = found_boxes(location, listing), _masks(location, listing)
    if boxes is None and masks is None:
        return ()
    what, classes = boxes or masks or ("", 0)
    name = printable(location)
    if boxes or asked or classes > 1:
        message = f"{what}, which is not used: each picture is of the class that its folder names."
        return (Problem(code="other-task", severity="warning", message=message),)
    raise DataError(
        f"{name}: {what}, and masks are not read yet. To classify, give each class a folder of its own "
        f"({name}/cats/1.jpg), cutting each object out of its picture if there are several in one, or write a CSV "
        "table with the columns path and label. If the folders are classes all the same, add --format folder."
    )


def _masks(location: str, listing: Listing) -> tuple[str, int] | None:
    """Find folders of masks: by their name, their files' names, and few colours at the size of the picture."""
    named_so = [folder for folder in listing.pictures if _MASKS.search(folder.rpartition("/")[2])]
    folders_of = folders_by_stem(listing) if named_so else {}
    for folder in sorted(named_so, key=natural):
        pairs = []
        for file in listing.pictures[folder]:
            stem = _MASK_SUFFIX.sub("", stem_of(file))
            partners = (folders_of[stem_of(file)] | folders_of.get(stem, set())) - {folder}
            pairs += [(file, stem, partner) for partner in partners if not _MASKS.search(partner.rpartition("/")[2])]
        few = sorted(pairs)[:3] if len(pairs) > _SHARE * len(listing.pictures[folder]) else []
        if few and all(_is_mask(location, listing, folder, *pair) for pair in few):
            partners = {partner for _, _, partner in pairs}
            return f"segmentation data (masks in {printable(folder)})", class_folders(partners)
    return None


def _is_mask(location: str, listing: Listing, folder: str, file: str, stem: str, partner: str) -> bool:
    picture = next(name for name in listing.pictures[partner] if stem_of(name) in (stem, stem_of(file)))
    try:
        with (
            Image.open(Path(location, folder, file), formats=FORMATS) as mask,
            Image.open(Path(location, partner, picture), formats=FORMATS) as image,
        ):
            return mask.size == image.size and mask.format != "JPEG" and mask.getcolors(_COLOURS) is not None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
