"""Listing the pictures below a folder: fast, safe against cyclic links, reporting every skipped file."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.images import EXTENSIONS, printable
from sightsmith.core.video_files import EXTENSIONS as VIDEOS
from sightsmith.data.problem import Problem, problem_of_each
from sightsmith.data.settings import SourceOptions

_OTHER_PICTURES = frozenset(
    {
        *(".heic", ".heif", ".hif", ".avif", ".gif", ".jp2", ".j2k", ".jpx", ".jpf", ".jxl", ".jxr", ".wdp", ".apng"),
        *(".tga", ".ico", ".cur", ".icns", ".dib", ".pcx", ".dds", ".qoi", ".sgi", ".xbm", ".xpm", ".pam", ".pfm"),
        *(".psd", ".psb", ".xcf", ".svg", ".eps", ".wmf", ".emf", ".exr", ".hdr", ".fits"),
        *(".raw", ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"),
        *(".dcm", ".dicom", ".nii", ".nii.gz", ".mha", ".mhd", ".nrrd"),  # medicine
        *(".svs", ".ndpi", ".scn", ".mrxs", ".czi", ".lif", ".vsi", ".nd2"),  # microscopes
    }
)
"""Extensions of picture formats that are not decoded here; such files are named as errors."""
SYSTEM_NAMES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
"""Files and folders that systems leave behind, in lower case."""
_DEPTH = 64
_SOME_FOLDERS, _SOME_ENTRIES, _SOME_DEPTH = 60, 400, 4  # Looked into before all files are listed
_SUFFIXES = 6  # Kinds of files that a message counts apart


@dataclass(slots=True)
class Listing:
    """The files below a folder; every path is relative to it, with `/`, as the system gives it."""

    pictures: dict[str, list[str]] = field(default_factory=dict)  # names of the files, of each folder that has any
    leaves: list[str] = field(default_factory=list)  # folders without folders in them
    videos: dict[str, list[str]] = field(default_factory=dict)  # likewise of videos
    others: list[str] = field(default_factory=list)  # files that are neither
    unsupported: list[str] = field(default_factory=list)  # pictures in formats that are not decoded here
    hidden: list[str] = field(default_factory=list)  # hidden files and folders, and those that systems leave behind
    loops: list[str] = field(default_factory=list)  # links that lead back to a folder above them
    closed: list[str] = field(default_factory=list)  # folders that may not be read

    def problems(self, noun: str = "picture") -> tuple[Problem, ...]:
        """Return the problems of data whose files are pictures, or what else `noun` calls them."""
        unsupported = (
            f"{many(len(self.unsupported), 'picture is', 'pictures are')} in a format that is not read here "
            f"({_by_suffix(self.unsupported)}). Convert to JPEG or PNG, or move them out of the data."
        )
        closed = f"{many(len(self.closed), 'folder')} may not be read by this user. Change their permissions."
        loops = f"{many(len(self.loops), 'link leads', 'links lead')} back to a folder above: not followed."
        others = [*self.others, *paths_of(self.videos)]
        unused = f"{many(len(others), 'file')} left out: no {noun}s by their names ({_by_suffix(others)})."
        hidden = f"{many(len(self.hidden), 'hidden file or folder is', 'hidden files or folders are')} left out."
        out = "left out"
        return (
            *problem_of_each(
                "unsupported-format", "error", unsupported, sorted(self.unsupported), repair=out, lost=True
            ),
            *problem_of_each("closed-folder", "error", closed, sorted(self.closed), repair=out),
            *problem_of_each("link-loop", "warning", loops, sorted(self.loops), repair=out),
            *problem_of_each("not-a-picture", "info", unused, sorted(others), repair=out),
            *problem_of_each("hidden", "info", hidden, sorted(self.hidden), repair=out),
        )


def list_pictures(root: str) -> Listing:
    """List everything below `root`, links followed, no file opened."""
    listing = Listing()
    # of each folder: its path below root, and the identities of those above it
    pending: dict[str, tuple[str, frozenset[tuple[int, int]]]] = {root: ("", frozenset())}

    def close(error: OSError) -> None:
        listing.closed.append(pending.pop(error.filename)[0])

    for path, folders, files in os.walk(root, followlinks=True, onerror=close):
        folder, above = pending.pop(path)
        prefix = f"{folder}/" if folder else ""
        status = os.stat(path)  # noqa: PTH116 - names that are not UTF-8, and speed
        here = (status.st_dev, status.st_ino)
        if here in above or len(above) > _DEPTH:
            listing.loops.append(folder)
            folders.clear()
            continue
        listing.hidden += [prefix + name for name in (*folders, *files) if _is_hidden(name)]
        folders[:] = [name for name in folders if not _is_hidden(name)]
        pending |= {os.path.join(path, name): (prefix + name, above | {here}) for name in folders}  # noqa: PTH118
        if not folders:
            listing.leaves.append(folder)
        for name in files:
            if not _is_hidden(name):
                _sort_in(listing, folder, prefix, name)
    return listing


def some_files(root: Path) -> Iterator[str]:
    """Yield names of files below a folder, level by level, within bounds."""
    folders = [(root, 0)]  # grows while it is read
    for folder, depth in islice(folders, _SOME_FOLDERS):
        try:
            with os.scandir(folder) as entries:
                for entry in islice(entries, _SOME_ENTRIES):
                    if entry.is_dir():
                        folders += [(Path(entry.path), depth + 1)] if depth < _SOME_DEPTH else []
                    else:
                        yield entry.name
        except OSError:
            continue


def paths_of(files: dict[str, list[str]]) -> list[str]:
    """Return the paths of files by folder."""
    return [f"{folder}/{name}" if folder else name for folder, names in files.items() for name in names]


def refuse_mixture(location: str, listing: Listing, options: SourceOptions) -> None:
    """Raise DataError for a folder of pictures and videos if the options do not say which of them are the data."""
    if options.format or not (listing.pictures and listing.videos):
        return
    videos, pictures = sorted(paths_of(listing.videos)), sorted(paths_of(listing.pictures))
    raise DataError(
        f"{printable(location)}: holds {many(len(videos), 'video')} and {many(len(pictures), 'picture')}, such as "
        f"{printable(videos[0])} and {printable(pictures[0])}. Say which are the data: --format clips, or --format "
        "folder for the pictures; the others are left out."
    )


def _is_hidden(name: str) -> bool:
    return name[0] == "." or name.lower() in SYSTEM_NAMES


def _sort_in(listing: Listing, folder: str, prefix: str, name: str) -> None:
    suffix = _suffix(name)
    if suffix in EXTENSIONS:
        listing.pictures.setdefault(folder, []).append(name)
    elif suffix in VIDEOS:
        listing.videos.setdefault(folder, []).append(name)
    elif suffix in _OTHER_PICTURES:
        listing.unsupported.append(prefix + name)
    else:
        listing.others.append(prefix + name)


def _suffix(name: str) -> str:
    lower = name.lower()
    return ".nii.gz" if lower.endswith(".nii.gz") else os.path.splitext(lower)[1]  # noqa: PTH122 - for every file


def _by_suffix(paths: list[str]) -> str:
    counts = Counter(printable(_suffix(path)) or "no extension" for path in sorted(paths))
    shown = [f"{count:,} {suffix}" for suffix, count in counts.most_common(_SUFFIXES)]
    more = counts.total() - sum(count for _, count in counts.most_common(_SUFFIXES))
    return ", ".join([*shown, f"{more:,} of other kinds"] if more else shown)
