"""The gate's report as one self-contained HTML page: no script, no network, pictures inside."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sightsmith.core.counts import many
from sightsmith.core.errors import PictureError
from sightsmith.core.images import decode
from sightsmith.core.pages import data_uri, is_small, template
from sightsmith.core.records import Sample
from sightsmith.data.gate import GateReport
from sightsmith.data.problem import Problem
from sightsmith.data.source import Source

_PAGES = Path(__file__).with_name("pages")
_SIDE = 96  # Longest side of a thumbnail in pixels
_GROUPS = 12  # Groups shown of a problem
_COPIES = 4  # Pictures shown of a group
_NAMED = 24  # Names shown of a problem without pictures
_CLASSES = 120  # Bars of classes shown
_BINS = 16
_SPLITS = ("train", "val", "test", "no split")


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture of a problem."""

    key: str  # of the sample, or the name of a file that never became one
    label: str = ""  # its class
    split: str = ""  # of the source
    uri: str = ""  # its thumbnail, or empty if it cannot be shown
    small: bool = False  # it is shown larger than it is


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart: its parts in 0…1 of the largest bar, and their counts."""

    name: str
    parts: tuple[tuple[str, float], ...]
    count: int
    explains: str


def gate_html(report: GateReport, source: Source) -> str:
    """Return the page.

    Args:
        source: the checked data; the pictures that problems name are read from it again.
    """
    by_key = {sample.key: sample for sample in source.samples if report.problems}
    return template(_PAGES / "gate.html.j2").render(
        report=report,
        problems=[(problem, *_groups(problem, by_key, source)) for problem in report.problems],
        tiles=_tiles(report),
        balance=_balance(report) if report.names else _bars(report.ranges),
        more_classes=max(0, len(report.names) - _CLASSES),
        shown_classes=_CLASSES,
        splits=[name for name, count in zip(_SPLITS, report.counts.sum(axis=0), strict=True) if count],
        sizes=_sizes(report),
        modes=_bars(report.modes.items()),
        css=(_PAGES / "gate.css").read_text(encoding="utf-8"),
    )


def _tiles(report: GateReport) -> list[tuple[str, str, str, str]]:
    """Return (name, value, explanation, colour) of each headline figure."""
    left_out = len(report.skipped) + report.lost
    named = many(len(report.names), *report.nouns) if report.names else ""
    return [
        ("Pictures", f"{report.total + report.lost:,}", named, ""),
        ("Usable for training", f"{len(report.kept):,}", f"{left_out:,} left out", ""),
        ("Bad", f"{report.bad_fraction:.2%}", "damaged or contradictory", "error" if report.bad else ""),
        ("Errors", f"{len(report.errors)}", "faults in the data", "error" if report.errors else "good"),
        ("Warnings", f"{len(report.warnings)}", "possible faults", "warning" if report.warnings else "good"),
    ]


def _groups(
    problem: Problem, by_key: Mapping[str, Sample], source: Source
) -> tuple[list[tuple[list[Shown], int, str]], int]:
    """Return (pictures, how many more, note) of the first groups, and how many more groups there are."""
    most = _GROUPS if any(key in by_key for key in problem.keys[:_GROUPS]) else _NAMED
    notes = problem.notes or ("",) * len(problem.groups)
    groups = [
        ([_show(key, by_key.get(key), source) for key in keys[:_COPIES]], max(0, len(keys) - _COPIES), note)
        for keys, note in zip(problem.groups[:most], notes[:most], strict=True)
    ]
    return groups, len(problem.groups) - len(groups)


def _show(key: str, sample: Sample | None, source: Source) -> Shown:
    if sample is None:
        return Shown(key)
    shown = Shown(key, source.truth_text(sample), sample.split or "")
    try:
        image = decode(sample.picture, near=_SIDE)
    except PictureError:
        return shown
    image.thumbnail((_SIDE, _SIDE))
    return replace(shown, uri=data_uri(image), small=is_small(image))


def _balance(report: GateReport) -> list[Bar]:
    """Return a bar of each name, in parts by split."""
    most = max(1, int(report.counts.sum(axis=1).max()))
    bars = []
    for name, row in zip(report.names[:_CLASSES], report.counts.tolist(), strict=False):
        counts = [(split, count) for split, count in zip(_SPLITS, row, strict=True) if count]
        explains = ", ".join(f"{count:,} {split}" for split, count in counts) or "none"
        bars.append(Bar(name, tuple((split, count / most) for split, count in counts), sum(row), explains))
    return bars


def _sizes(report: GateReport) -> list[Bar]:
    """Return a histogram of the shorter side, bins of equal ratio; empty if all pictures are of one size."""
    if len(report.sizes) < 2:
        return []
    sides = np.array([min(width, height) for width, height, _ in report.sizes], dtype=float)
    edges = np.unique(np.rint(np.geomspace(sides.min(), sides.max() + 1, _BINS + 1)))
    totals, _ = np.histogram(sides, edges, weights=[count for _, _, count in report.sizes])
    ranges = zip(edges[:-1].astype(int), edges[1:].astype(int) - 1, strict=True)
    names = (f"{low}" if last <= low else f"{low}–{last}" for low, last in ranges)
    return _bars(zip(names, totals.astype(int).tolist(), strict=True))


def _bars(counts: Iterable[tuple[str, int]]) -> list[Bar]:
    """Return a bar of each name, all of one colour."""
    counts = list(counts)
    most = max((count for _, count in counts), default=1)
    return [Bar(name, (("no split", count / most),), count, many(count, "picture")) for name, count in counts]
