"""Finding the pictures that annotations name, in the folder of the data and nowhere else."""

import os
import posixpath
from collections import defaultdict

from sightsmith.core.names import natural
from sightsmith.data.sources.parts.faults import Faults
from sightsmith.data.sources.parts.listing import Listing


class PictureFiles:
    """The pictures below a folder, by name."""

    def __init__(self, listing: Listing) -> None:
        self.keys = [
            f"{folder}/{file}" if folder else file
            for folder in sorted(listing.pictures, key=natural)
            for file in sorted(listing.pictures[folder], key=natural)
        ]
        self._known = frozenset(self.keys)
        self._by_stem: defaultdict[str, list[str]] = defaultdict(list)
        for key in self.keys:
            self._by_stem[stem_of(key)].append(key)

    def find(self, name: str, near: str, split_folder: str = "") -> str | None:
        """Return the picture of a file name, None if there is none.

        Args:
            name: a path relative to `near`, or the end of a path.
            near: the folder of the annotation.
            split_folder: a folder that pictures of this annotation are in, if there is a choice.
        """
        name = posixpath.normpath(name.replace("\\", "/"))
        for whole in (posixpath.normpath(posixpath.join(near, name)), name):
            if whole in self._known:
                return whole
        inner = name.lstrip("./")
        ends = [key for key in self._by_stem[stem_of(name)] if f"/{key}".endswith(f"/{inner}")]
        return _nearest(ends, near, split_folder)

    def with_stem(self, name: str, near: str) -> str | None:
        """Return the picture with a name but for its extension, the nearest to a folder; None if there is none."""
        return _nearest(self._by_stem[name], near, "")

    def name_unlisted(self, used: set[str], faults: Faults) -> None:
        """Name the pictures that were not used, those of masks (Pascal VOC's SegmentationClass) apart."""
        for key in self.keys:
            if key not in used:
                faults.add("mask" if _is_mask(key) else "unlisted-picture", key)


def leads_outside(name: str, near: str) -> bool:
    """Tell whether a file name, relative to a folder of the data, leads out of the data."""
    name = name.replace("\\", "/")
    absolute = name.startswith("/") or name[1:2] == ":" or "\0" in name
    return absolute or posixpath.normpath(posixpath.join(near, name)).split("/")[0] == ".."


def stem_of(key: str) -> str:
    """Return the name of a file without its folder and its extension."""
    return os.path.splitext(os.path.basename(key))[0]  # noqa: PTH119, PTH122 - for every file


def _is_mask(key: str) -> bool:
    """Tell whether a picture is in a folder for masks, as Pascal VOC's SegmentationClass and SegmentationObject."""
    return "/segmentation" in f"/{key}".lower()


def _nearest(keys: list[str], near: str, split_folder: str) -> str | None:
    """Return the key that shares most folders with `near`, and of several the one in fewest folders; masks are last."""

    def distance(key: str) -> tuple[bool, bool, int, int]:
        folders = key.split("/")
        common = posixpath.commonprefix([folders, near.split("/")])
        return _is_mask(key), split_folder not in folders, -len(common), len(folders)

    return min(keys, key=distance, default=None)
