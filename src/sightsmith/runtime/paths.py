"""From arguments (files, folders, patterns, `-`, URLs) to their pictures or videos, one by one.

An argument that cannot be found or fetched becomes an item with an error: one bad name does not stop the rest, but is
reported.
"""

import glob
import http.client
import io
import os
import sys
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sightsmith.core.addresses import without_secrets
from sightsmith.core.counts import many
from sightsmith.core.images import EXTENSIONS, Picture, printable, sniff
from sightsmith.core.names import natural
from sightsmith.core.video import Clip
from sightsmith.core.video_files import EXTENSIONS as VIDEOS
from sightsmith.core.video_files import is_playlist, sniff_video
from sightsmith.data.sources.parts.listing import SYSTEM_NAMES, Listing, list_pictures

MAX_FETCH = 20 * 2**20  # Bytes taken from one URL, and from standard input, at the most
_FETCH_SECONDS = 20.0
_START = 512  # Bytes that tell a picture or a video from a list of paths
_MOST_PATH = 1 << 16  # Bytes of a line with a path or a URL


@dataclass(frozen=True, slots=True)
class Asked:
    """One picture or clip asked for: its name, and the item or why there is none."""

    name: str
    item: Picture | Clip | None
    error: str | None = None


def find_items(inputs: Iterable[str], *, urls: bool = False, rate: float | None = None) -> Iterator[Asked]:
    """Yield the pictures of the inputs, or their videos, folders in sorted order.

    Args:
        inputs: files, folders (walked to the bottom), patterns such as `*.jpg`, `-` for standard input (one
            picture, or one path a line), and URLs.
        urls: fetch http and https addresses; otherwise they are errors.
        rate: a folder gives its videos, and each folder of pictures below it the clip of these frames, so many a
            second; None for pictures alone.
    """
    for given in inputs:
        if given == "-":
            yield from _standard_input(urls=urls, rate=rate)
        elif "://" in given and not given.startswith(("http://", "https://")):
            yield _failed(without_secrets(given), "an address of a stream is answered along its video: say --stream.")
        elif not given.startswith(("http://", "https://")):
            yield from _paths(given, rate=rate)
        elif urls:
            yield _url(given)
        else:
            yield _failed(without_secrets(given), "addresses are not fetched unless you say --urls.")


def _paths(given: str, *, rate: float | None) -> Iterator[Asked]:
    path = Path(given)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError as problem:
        yield _failed(given, f"cannot be looked at ({problem.strerror}).")
        return
    if is_folder:
        yield from _folder(path, rate=rate)
    elif exists:
        yield Asked(printable(given), path)
    elif not glob.has_magic(given):
        yield _failed(given, "no such file.")
    else:
        matches = glob.glob(given, recursive=True)  # noqa: PTH207  # a pattern may be absolute
        found = sorted(name for name in matches if SYSTEM_NAMES.isdisjoint(Path(name.lower()).parts))
        if not found:
            yield _failed(given, "no file matches this pattern.")
        for name in found:
            yield from _paths(name, rate=rate)


def _folder(folder: Path, *, rate: float | None) -> Iterator[Asked]:
    """Yield a folder's pictures or clips in the order of training data, then an error for each unusable file."""
    listing = list_pictures(str(folder))
    found = listing.pictures if rate is None else listing.videos
    for name in sorted(found, key=natural):
        for file in sorted(found[name], key=natural):
            path = folder / name / file
            yield Asked(printable(str(path)), path)
    if rate is not None:
        yield from _frames(folder, listing, rate)
    for name in sorted(listing.unsupported, key=natural):
        yield _failed(folder / name, "this format is not read here. Convert it to JPEG or PNG.")
    for name in sorted(listing.closed):
        yield _failed(folder / name, "this folder cannot be read. Change its permissions.")
    if not (found or (rate is not None and listing.pictures) or listing.unsupported or listing.closed):
        noun, endings = ("pictures", EXTENSIONS) if rate is None else ("videos", VIDEOS)
        yield _failed(folder, f"no {noun} in this folder ({', '.join(sorted(endings))}).")


def _frames(folder: Path, listing: Listing, rate: float) -> Iterator[Asked]:
    """Yield each folder of pictures as the clip of these frames, unless videos lie beside them."""
    for name in sorted(listing.pictures, key=natural):
        path, files = folder / name, sorted(listing.pictures[name], key=natural)
        if name in listing.videos:
            yield _failed(path, f"{many(len(files), 'picture')} beside videos: not taken for frames. Move them away.")
        else:
            yield Asked(printable(str(path)), Clip(tuple(path / file for file in files), rate=rate))


def _failed(name: str | Path, why: str) -> Asked:
    shown = printable(str(name))
    return Asked(shown, None, f"{shown}: {why}")


def _standard_input(*, urls: bool, rate: float | None) -> Iterator[Asked]:
    buffered = cast("io.BufferedReader", sys.stdin.buffer)
    start = buffered.peek(_START)
    if sniff(start) or sniff_video(start):
        data = buffered.read(MAX_FETCH + 1)
        too_long = f"standard input: more than {MAX_FETCH >> 20} MiB. Save it to a file and name that."
        yield Asked("-", None, too_long) if len(data) > MAX_FETCH else Asked("-", data)
        return
    if is_playlist(start):
        yield Asked("-", None, "standard input: a playlist, which names other files or addresses. Give a video itself.")
        return
    while line := buffered.readline(_MOST_PATH):
        if len(line) == _MOST_PATH:
            yield Asked("-", None, f"standard input: a line of over {_MOST_PATH:,} bytes, which is no path.")
            return
        name = os.fsdecode(line).strip()
        if name and name != "-":
            yield from find_items([name], urls=urls, rate=rate)


def _url(url: str) -> Asked:
    try:
        # http and https only, see `find_items`; a malformed address is a ValueError
        request = urllib.request.Request(url, headers={"User-Agent": "sightsmith"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=_FETCH_SECONDS) as answer:  # noqa: S310
            data = answer.read(MAX_FETCH + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _failed(url, f"not fetched ({error}).")
    return Asked(url, data) if len(data) <= MAX_FETCH else _failed(url, f"more than {MAX_FETCH >> 20} MiB.")
