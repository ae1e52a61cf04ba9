"""The part of a report that shows the answers along the videos whose parts were classified.

Shapes: N samples.
"""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from sightsmith.core.counts import many
from sightsmith.core.pages import breakable
from sightsmith.core.records import Span
from sightsmith.kinds.labels.figures import Rows
from sightsmith.kinds.parts.sections import Block, Chart, Evaluated, Note, Section
from sightsmith.kinds.parts.strips import Stretch, draw_strips, key

_VIDEOS = 8  # Drawn at most


def along(evaluated: Evaluated, spans: Sequence[Span | None]) -> list[Section]:
    """Return a section with a timeline of each video of which two parts were answered, those with most mistakes first.

    Args:
        spans: the part of a video that each sample is, (N,), None for one that is no part.
    """
    videos = {video: parts for video, parts in _videos(evaluated, spans).items() if len(parts) > 1}
    if not videos:
        return []
    worst = sorted(videos, key=lambda video: -sum(one.wrong for one in videos[video]))[:_VIDEOS]
    drawn = [one for video in worst for one in videos[video]]
    items = evaluated.nouns[1]
    most = f" The {_VIDEOS} of {len(videos):,} with the most mistakes are shown." if len(videos) > _VIDEOS else ""
    note = (
        f"Videos of which several parts were answered, those with the most mistakes first.{most} Below each other: "
        f"what the {items} show, the answers to them, and how certain these are, from 0 to 100%. Times are minutes "
        "and seconds of the video."
    )
    used = [name for one in drawn for name in (one.name, one.truth)]
    blocks: list[Block] = [Note(key(evaluated.names, used), quiet=False)]
    for video, title in zip(worst, _titles(worst), strict=True):
        parts = videos[video]
        told = f"{title}: {sum(not one.wrong for one in parts):,} of {many(len(parts), *evaluated.nouns)} right"
        blocks += [Note(breakable(told), quiet=False), Chart(svg=draw_strips(parts, evaluated.names, told))]
    return [Section(title="Along the videos", note=note, blocks=blocks)]


def _videos(evaluated: Evaluated, spans: Sequence[Span | None]) -> dict[str, list[Stretch]]:
    """Return the answered parts of each video, by its path."""
    rows: Rows = evaluated.rows
    names = evaluated.names
    videos: dict[str, list[Stretch]] = {}
    for sample, span in enumerate(spans):
        if span is None:
            continue
        one = Stretch(
            start=span.start,
            end=span.end,
            name=names[rows.predicted_N[sample]],
            score=float(rows.scores_NT[sample, 0]),
            truth=names[rows.targets_N[sample]],
        )
        videos.setdefault(span.video, []).append(one)
    return videos


def _titles(videos: Sequence[str]) -> list[str]:
    """Return the paths without the folders that all of them are in."""
    paths = [Path(video).parts for video in videos]
    levels = zip(*(parts[:-1] for parts in paths), strict=False)
    shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    return ["/".join(parts[shared:]) for parts in paths]
