"""The page of the answers along a stream: one self-contained HTML file with a timeline, for light, dark and print."""

from datetime import UTC, datetime

from sightsmith.core.counts import many
from sightsmith.core.progress import duration
from sightsmith.evaluation.report import page
from sightsmith.kinds import part_of
from sightsmith.kinds.parts.time_axis import clock
from sightsmith.kinds.parts.timeline import draw_track, marks, totals
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.stream_output import Ended

_ROWS = 100  # Times in the table
_TILES = 4


def timeline_html(ended: Ended, predictor: Predictor, source: str) -> str:
    """Return the page.

    Args:
        source: its name, without secrets.
    """
    kind, names = part_of(predictor.definition.kind, "timeline"), predictor.definition.names
    ranges = ended.ranges
    whole = 1.0 if ranges is None else ranges.seconds
    found = [] if ranges is None else kind.runs(ranges, names)
    tracks = [] if ranges is None else kind.tracks(ranges, names)
    longest = sorted(sorted(found, key=lambda one: one.start - one.end)[:_ROWS], key=lambda one: one.start)
    return page(
        "timeline.html.j2",
        source=source,
        model=predictor.bundle.manifest.name,
        when=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        lead=f"{many(ended.answers, 'answer')} along {duration(ended.seconds)}.",
        findings=_findings(ended),
        tiles=[] if ranges is None else totals(ranges, names)[:_TILES],
        duration=duration,
        explains=kind.EXPLAINS,
        thinned=ranges is not None and bool((ranges.most_RK > ranges.means_RK + 1e-9).any()),
        more=len(names) - len(tracks),
        tracks=[] if ranges is None else [(one.name, draw_track(one, ranges)) for one in tracks],
        marks=[(clock(mark, whole), mark / whole) for mark in marks(whole)],
        rows=[
            (clock(one.start, whole), clock(one.end, whole), duration(one.end - one.start), one.name, one.text)
            for one in longest
        ],
        hidden=len(found) - len(longest),
    )


def _findings(ended: Ended) -> list[tuple[str, str]]:
    if ended.problem:
        return [("error", ended.problem)]
    return [("warning", "Stopped before the end of the video.")] if ended.stopped and not ended.live else []
