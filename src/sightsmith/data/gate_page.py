"""The gate's report as one self-contained HTML page: no script, no network, pictures inside."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sightsmith.core.counts import many
from sightsmith.core.errors import PictureError
from sightsmith.core.images import picture_size
from sightsmith.core.pages import data_uri, is_small, template
from sightsmith.core.records import Sample
from sightsmith.data.gate import GateReport
from sightsmith.data.problem import Problem, Spot
from sightsmith.data.scene_drawing import Scene, draw_scene
from sightsmith.data.source import Source
from sightsmith.inputs import INPUTS
from sightsmith.kinds import KINDS, optional_part

_PAGES = Path(__file__).with_name("pages")
_SIDE = 96  # Longest side of a thumbnail in pixels
_SCENE = 240  # The same if places are drawn in it
_GROUPS = 12  # Groups shown of a problem
_COPIES = 4  # Pictures shown of a group
_NAMED = 24  # Names shown of a problem without pictures
_CLASSES = 120  # Bars of classes shown
_BINS = 16
_SAMPLED = 12  # Names of which random pictures are shown
_EACH = 4  # Such pictures of a name
_SPLITS = ("train", "val", "test", "no split")


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture of a problem."""

    key: str  # of the sample, or the name of a file that never became one
    label: str = ""  # its class
    split: str = ""  # of the source
    uri: str = ""  # its thumbnail, or empty if it cannot be shown
    small: bool = False  # it is shown larger than it is
    large: bool = False  # it is a sheet of several pictures
    scene: Scene | None = None  # it is drawn with the places in it instead


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
        gallery=_gallery(report, source),
        more_sampled=max(0, len(report.names) - _SAMPLED),
        contents=[(each, _bars(each.rows, each.unit)) for each in report.contents],
        balance=_balance(report) if report.names else _bars(report.ranges, report.items[0]),
        more_classes=max(0, len(report.names) - _CLASSES),
        shown_classes=_CLASSES,
        splits=[name for name, count in zip(_SPLITS, report.counts.sum(axis=0), strict=True) if count],
        sizes=_sizes(report),
        modes=_bars(report.modes.items(), report.items[0]),
        css=(_PAGES / "gate.css").read_text(encoding="utf-8"),
    )


def _tiles(report: GateReport) -> list[tuple[str, str, str, str]]:
    """Return (name, value, explanation, colour) of each headline figure."""
    left_out = len(report.skipped) + report.lost
    named = many(len(report.names), *report.nouns) if report.names else ""
    counted = [(each.title, f"{sum(count for _, count in each.rows):,}", "", "") for each in report.contents[:1]]
    return [
        (report.items[1].capitalize(), f"{report.total + report.lost:,}", named, ""),
        *counted,
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
    spots = problem.spots or ((),) * len(problem.groups)
    groups = [
        ([_show(key, by_key.get(key), source, found) for key in keys[:_COPIES]], max(0, len(keys) - _COPIES), note)
        for keys, note, found in zip(problem.groups[:most], notes[:most], spots[:most], strict=True)
    ]
    return groups, len(problem.groups) - len(groups)


def _show(key: str, sample: Sample | None, source: Source, spots: Sequence[Spot] = ()) -> Shown:
    if sample is None:
        return Shown(key)
    shown = Shown(key, source.brief_text(sample), sample.split or "")
    contents = optional_part(source.kind, "contents")
    try:
        image = INPUTS.module(source.input).face(sample.item, near=_SCENE if contents or _is_sheet(source) else _SIDE)
        if contents and sample.target is not None:
            image.thumbnail((_SCENE, _SCENE))
            shapes = contents.shapes(sample.target, source.names)
            return replace(shown, scene=draw_scene(image, picture_size(sample.item), shapes, spots))
    except PictureError:
        return shown
    side = _SCENE if _is_sheet(source) else _SIDE
    image.thumbnail((side, side))
    return replace(shown, uri=data_uri(image), small=is_small(image), large=_is_sheet(source))


def _is_sheet(source: Source) -> bool:
    """Tell whether a face is several pictures: shown large, and for some samples without any problem."""
    return getattr(INPUTS.module(source.input), "SHEET", False)


def _gallery(report: GateReport, source: Source) -> list[tuple[str, list[Shown]]]:
    """Return random usable pictures of each name, whose places are bright, and of none; empty for most data."""
    if not (report.contents or _is_sheet(source)):
        return []
    samples = [source.samples[place] for place in report.kept.tolist()]
    pictures_M, names_M = KINDS.module(source.kind).pairs([sample.target for sample in samples])
    order = np.argsort(-np.bincount(names_M, minlength=len(source.names)), kind="stable").tolist()
    rows = [(source.names[index], pictures_M[names_M == index]) for index in order[:_SAMPLED]]
    rows.append(("", np.setdiff1d(np.arange(len(samples)), pictures_M)))
    rng = np.random.default_rng(0)
    return [
        (name, [_sampled(samples[at], source, name) for at in sorted(rng.permutation(found_P)[:_EACH].tolist())])
        for name, found_P in rows
        if len(found_P)
    ]


def _sampled(sample: Sample, source: Source, name: str) -> Shown:
    shown = _show(sample.key, sample, source)
    return replace(shown, scene=shown.scene.emphasised(name)) if shown.scene else shown


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
    return _bars(zip(names, totals.astype(int).tolist(), strict=True), report.items[0])


def _bars(counts: Iterable[tuple[str, int]], unit: str) -> list[Bar]:
    """Return a bar of each name, all of one colour."""
    counts = list(counts)
    most = max((count for _, count in counts), default=1)
    return [Bar(name, (("no split", count / most),), count, many(count, unit)) for name, count in counts]
