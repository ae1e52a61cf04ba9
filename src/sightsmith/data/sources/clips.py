r"""A folder of clips per class: video files, or pictures that are frames.

```
clips/fight/1.mp4                   class fight
clips/train/fight/1.mp4             class fight, split train: folders and splits as in the format `folder`
frames/fight/first/0001.jpg         frames in a folder of their own are a clip, here of class fight
signs/3/00002_00006.ppm             frame 6 of the clip 3/00002, by --frames-by '^(\d+/\d+)_'; class 3
```
The pictures of a folder are the frames of one clip unless a pattern says which belong together: those whose paths are
the same up to the end of its part in (…). Frames are in natural order, 25 a second or as `--frame-rate` says.
"""

import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from sightsmith.core import images, video_files
from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.images import printable
from sightsmith.core.names import natural
from sightsmith.core.video import Clip
from sightsmith.data.problem import Problem, problem_of_each
from sightsmith.data.source import Source, SourceOptions, part_end_finder
from sightsmith.data.sources.parts.class_folders import Layout, open_folder
from sightsmith.data.sources.parts.listing import Listing, list_pictures, paths_of, refuse_mixture, some_files

HAS_PATHS = True  # Labels may be parts of the files' paths
HAS_FRAMES = True  # Pictures may be the frames of clips

_VIDEOS, _PICTURES = tuple(video_files.EXTENSIONS), tuple(images.EXTENSIONS)

Frames = dict[str, list[str]]  # Paths of the frames of each clip, by its name


def detect(path: Path) -> bool:
    names = [name.lower() for name in some_files(path)] if path.is_dir() else []
    return any(name.endswith(_VIDEOS) for name in names) and not any(name.endswith(_PICTURES) for name in names)


def open_source(location: str, options: SourceOptions) -> Source:
    """List the folder.

    Raises:
        DataError: not a folder, no clip in a folder of its class, or pictures among the videos.
        SettingsError: the frame rate is not above 0.
    """
    if not Path(location).is_dir():
        raise DataError(f"{printable(location)}: the format 'clips' needs a folder, this is a file.")
    listing, rate = list_pictures(location), options.rate()
    if options.frames_by is None:
        refuse_mixture(location, listing, options)
    if listing.videos and options.frames_by is None:
        clips, known = _videos(listing)
        return open_folder(location, options, clips, _layout(location, {}, rate), known)
    frames, known = _frames(listing, options.frames_by)
    clips = replace(listing, pictures=_by_folder(list(frames)), leaves=[])
    return open_folder(location, options, clips, _layout(location, frames, rate), known)


def _layout(location: str, frames: Frames, rate: float) -> Layout:
    def item(key: str) -> Clip:
        paths = frames.get(key)
        if paths is None:
            return Clip(os.path.join(location, key))  # noqa: PTH118 - a Path takes ten times the memory
        return Clip(tuple(os.path.join(location, path) for path in paths), rate=rate)  # noqa: PTH118

    return Layout(format="clips", input="clip", noun="clip", item=item)


def _videos(listing: Listing) -> tuple[Listing, tuple[Problem, ...]]:
    """Return the listing with the videos in the place of the pictures, which are left out."""
    unused = paths_of(listing.pictures)
    message = f"{many(len(unused), 'picture')} beside the videos left out. Move them out of the data."
    left_out = problem_of_each("not-a-video", "info", message, sorted(unused))
    return replace(listing, pictures=listing.videos, videos={}), left_out


def _frames(listing: Listing, frames_by: str | None) -> tuple[Frames, tuple[Problem, ...]]:
    """Return the frames of each clip, in order, and the pictures that belong to none."""
    end_of = part_end_finder("frames_by", frames_by) if frames_by is not None else _folder_end
    frames: Frames = defaultdict(list)
    strays: list[str] = []
    for path in sorted(paths_of(listing.pictures), key=natural):
        end = end_of(path)
        if end:
            frames[path[:end]].append(path)
        else:
            strays.append(path)
    if strays and not frames and frames_by is not None:
        raise DataError(
            f"frames_by: the pattern {frames_by!r} matches none of {many(len(strays), 'picture')}; the first is "
            f"{printable(strays[0])!r}. Write a pattern that fits such names, with the end of the clip's name in (…)."
        )
    message = (
        f"{many(len(strays), 'picture is', 'pictures are')} the frame of no clip. "
        "Frames lie in a folder for each clip, or fit the pattern of --frames-by: move them, or widen it."
    )
    return dict(frames), problem_of_each("no-clip", "error", message, strays, lost=True)


def _folder_end(path: str) -> int | None:
    return max(path.rfind("/"), 0) or None


def _by_folder(keys: list[str]) -> dict[str, list[str]]:
    """Return names by their folder."""
    found: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        folder, _, name = key.rpartition("/")
        found[folder].append(name)
    return dict(found)
