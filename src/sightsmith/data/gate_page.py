"""The gate's report as one self-contained HTML page: no script, no network, pictures inside."""

from collections.abc import Mapping
from dataclasses import dataclass
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
    label: str  # its class
    split: str  # of the source
    uri: str  # its thumbnail, or empty if it cannot be shown
    small: bool  # it is shown larger than it is


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
    problems = [(problem, _groups(problem, by_key, source), _more(problem, by_key)) for problem in report.problems]
    return template(_PAGES / "gate.html.j2").render(
        report=report,
        problems=problems,
        tiles=_tiles(report),
        balance=_balance(report),
        more_classes=max(0, len(report.names) - _CLASSES),
        shown_classes=_CLASSES,
        splits=[name for name, count in zip(_SPLITS, report.counts.sum(axis=0), strict=True) if count],
        sizes=_sizes(report),
        modes=_modes(report),
        css=(_PAGES / "gate.css").read_text(encoding="utf-8"),
    )


def _tiles(report: GateReport) -> list[tuple[str, str, str, str]]:
    """Return (name, value, explanation, colour) of each headline figure."""
    left_out = len(report.skipped) + report.lost
    return [
        (
            "Pictures",
            f"{report.total + report.lost:,}",
            many(len(report.names), *report.nouns) if report.names else "",
            "",
        ),
        ("Usable for training", f"{len(report.kept):,}", f"{left_out:,} left out", ""),
        ("Bad", f"{report.bad_fraction:.2%}", "damaged or contradictory", "error" if report.bad else ""),
        ("Errors", f"{len(report.errors)}", "faults in the data", "error" if report.errors else "good"),
        ("Warnings", f"{len(report.warnings)}", "possible faults", "warning" if report.warnings else "good"),
    ]


def _groups(problem: Problem, by_key: Mapping[str, Sample], source: Source) -> list[tuple[list[Shown], int, str]]:
    """Return (pictures, how many more, note) of the first groups."""
    with_pictures = any(key in by_key for key in problem.keys[:_GROUPS])
    notes = problem.notes or ("",) * len(problem.groups)
    return [
        ([_show(key, by_key.get(key), source) for key in keys[:_COPIES]], max(0, len(keys) - _COPIES), note)
        for keys, note in list(zip(problem.groups, notes, strict=True))[: _GROUPS if with_pictures else _NAMED]
    ]


def _more(problem: Problem, by_key: Mapping[str, Sample]) -> int:
    with_pictures = any(key in by_key for key in problem.keys[:_GROUPS])
    return max(0, len(problem.groups) - (_GROUPS if with_pictures else _NAMED))


def _show(key: str, sample: Sample | None, source: Source) -> Shown:
    if sample is None:
        return Shown(key, "", "", "", False)
    label = source.truth_text(sample)
    try:
        image = decode(sample.picture, near=_SIDE)
    except PictureError:
        return Shown(key, label, sample.split or "", "", False)
    image.thumbnail((_SIDE, _SIDE))
    return Shown(key, label, sample.split or "", data_uri(image), is_small(image))


def _balance(report: GateReport) -> list[Bar]:
    if not report.names:
        most = max((count for _, count in report.ranges), default=1)
        return [_plain_bar(name, count, most) for name, count in report.ranges]
    most = max(1, int(report.counts.sum(axis=1).max(initial=0)))
    bars = []
    for name, row in zip(report.names[:_CLASSES], report.counts.tolist(), strict=False):
        parts = tuple((split, count / most) for split, count in zip(_SPLITS, row, strict=True) if count)
        explains = ", ".join(f"{count:,} {split}" for split, count in zip(_SPLITS, row, strict=True) if count)
        bars.append(Bar(name, parts, sum(row), explains or "none"))
    return bars


def _sizes(report: GateReport) -> list[Bar]:
    """Return a histogram of the shorter side, bins of equal ratio; empty if all pictures are of one size."""
    if len(report.sizes) < 2:
        return []
    sides = np.array([min(width, height) for width, height, _ in report.sizes], dtype=float)
    counts = np.array([count for _, _, count in report.sizes])
    edges = np.unique(np.rint(np.geomspace(sides.min(), sides.max() + 1, _BINS + 1)))
    totals, _ = np.histogram(sides, edges, weights=counts)
    bars = []
    for low, high, total in zip(edges[:-1], edges[1:], totals.astype(int), strict=True):
        last = high - 1
        name = f"{low:.0f}" if last <= low else f"{low:.0f}–{last:.0f}"
        bars.append(_plain_bar(name, int(total), int(totals.max())))
    return bars


def _modes(report: GateReport) -> list[Bar]:
    most = max(report.modes.values(), default=1)
    return [_plain_bar(mode, count, most) for mode, count in report.modes.items()]


def _plain_bar(name: str, count: int, most: int) -> Bar:
    return Bar(name, (("no split", count / most),), count, many(count, "picture"))
