"""The rows of a table that name clips: a video file or a folder of frames each, or a part of one."""

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sightsmith.core import images, video_files
from sightsmith.core.images import printable
from sightsmith.core.names import natural
from sightsmith.core.video import Clip
from sightsmith.kinds.parts.columns import Row

PART = ("start", "end")  # Columns of the part of a video, in seconds

Fault = tuple[str, str]  # Code of the problem of a row, and the text that shows it


def shows_clips(folder: str, name: str) -> bool:
    """Tell whether a path names a video, by its extension, or a folder of frames."""
    ending = os.path.splitext(name)[1].lower()  # noqa: PTH122 - for every row
    return ending in video_files.EXTENSIONS or os.path.isdir(os.path.join(folder, name))  # noqa: PTH112, PTH118


def open_rows(rows: Sequence[Row], folder: str, *, rate: float | None) -> tuple[list[Any], dict[int, Fault]]:
    """Return the item of each row, and the faults of those that have none, by position.

    Args:
        rate: frames a second of folders of frames; None if the rows name pictures.
    """
    paths = [os.path.join(folder, row["path"]) for row in rows]  # noqa: PTH118 - takes a tenth of a Path's memory
    if rate is None:
        return list(paths), {}
    items: list[Any] = []
    faults: dict[int, Fault] = {}
    for at, (row, path) in enumerate(zip(rows, paths, strict=True)):
        part = _part(row)
        video = _frames(path) if os.path.isdir(path) else path  # noqa: PTH112
        if part is None:
            faults[at] = ("bad-part", f"{row.get('start', '')} to {row.get('end', '')}")
        elif not video:
            faults[at] = ("no-frame", "")
        items.append(Clip(video, *part, rate=rate) if part is not None and video else None)
    return items, faults


def part_text(row: Mapping[str, str]) -> str:
    """Return the part of a video that a row names, as the end of its key; empty for all of it."""
    start, end = (row.get(name, "") for name in PART)
    return f"@{printable(start) or '0'}-{printable(end)}" if start or end else ""


def groups_of_videos(rows: Sequence[Row]) -> list[str | None]:
    """Return the group of each row: its video, if several rows are parts of it."""
    counts = Counter(row["path"] for row in rows)
    return [printable(row["path"]) if counts[row["path"]] > 1 else None for row in rows]


def _part(row: Row) -> tuple[float, float | None] | None:
    """Return the start and the end, None if they cannot be."""
    try:
        start, end = float(row.get("start") or 0), float(row["end"]) if row.get("end") else None
    except ValueError:
        return None
    right = math.isfinite(start) and start >= 0 and (end is None or (math.isfinite(end) and end > start))
    return (start, end) if right else None


def _frames(folder: str) -> tuple[str, ...]:
    """Return the paths of the pictures directly in a folder, in natural order."""
    names = sorted((entry.name for entry in os.scandir(folder) if entry.is_file()), key=natural)
    endings = tuple(images.EXTENSIONS)
    return tuple(os.path.join(folder, name) for name in names if name.lower().endswith(endings))  # noqa: PTH118
