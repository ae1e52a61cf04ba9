"""How every kind tells its metrics: lines for a terminal, rows of a comparison, tiles, and the findings they share."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.counts import first_few, many
from sightsmith.kinds.parts.intervals import Interval, group_indices
from sightsmith.kinds.parts.metric import Metric
from sightsmith.kinds.parts.sections import Cell, Evaluated, Finding, Paired, Pick, Tile, in_turn, share

Worded = Callable[[str, float, str], str]  # A metric's value in words, from its name, the value and the unit
_NAMED = 8  # Names that a finding lists, at most
_SIGNIFICANT = 0.05
_WIDE = 0.05  # Half-width of the headline's interval from which the test set is called small


def plain(name: str, value: float, unit: str) -> str:
    """Return a value without a unit."""
    return f"{value:.4f}"


def _known(
    evaluated: Evaluated, titles: Mapping[str, str], worded: Worded, unit: str
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield title, value and ends of the interval (none without one) of each metric that has a value."""
    for name, title in titles.items():
        value, span = evaluated.overall.get(name), evaluated.intervals.get(name)
        if value is not None:
            ends = tuple(worded(name, end, "") for end in (span.low, span.high)) if span else ()
            yield title, worded(name, value, unit), ends


def lines(evaluated: Evaluated, titles: Mapping[str, str], worded: Worded = plain, unit: str = "") -> list[str]:
    """Return a line a metric for a terminal."""
    return [
        f"  {title:<18}{value}" + (f"   95 % between {ends[0]} and {ends[1]}" if ends else "")
        for title, value, ends in _known(evaluated, titles, worded, unit)
    ]


def rows(evaluated: Evaluated, titles: Mapping[str, str], worded: Worded = plain, unit: str = "") -> dict[str, str]:
    """Return a row a metric for a comparison, – for one without a value."""
    return dict.fromkeys(titles.values(), "–") | {
        title: f"{value} ({ends[0]}…{ends[1]})" if ends else value
        for title, value, ends in _known(evaluated, titles, worded, unit)
    }


def tiles(
    evaluated: Evaluated, shown: Mapping[str, tuple[str, str]], worded: Worded | None = None, unit: str = ""
) -> list[Tile]:
    """Return tiles from the title and the explanation of each metric: of shares in 0…1, unless `worded` is given."""
    found = []
    for name, (title, text) in shown.items():
        value, span = evaluated.overall.get(name), evaluated.intervals.get(name)
        if worded is None:
            found.append(Tile(name=title, value=share(value), explains=text, interval=span))
        elif value is not None:
            ends = f"{worded(name, span.low, '')} … {worded(name, span.high, '')}" if span else ""
            found.append(Tile(name=title, value=worded(name, value, unit), explains=text, span=ends))
    return found


def uncertain(evaluated: Evaluated, metric: Metric) -> list[Finding]:
    """Warn if the test set is too small to know the headline, a share, within ±5 points."""
    span = evaluated.intervals.get(metric.name)
    half = (span.high - span.low) / 2 if span else 0.0
    if half < _WIDE:
        return []
    nouns = ("group", "groups") if "groups" in evaluated.counts else evaluated.nouns
    counted = many(evaluated.counts.get("groups", evaluated.counts["evaluated"]), *nouns)
    text = (
        f"With {counted} {metric.title} is uncertain by ±{half * 100:.1f} points; four times as many would halve that."
    )
    return [Finding("warning", text)]


def absent(names: Sequence[str], nouns: tuple[str, str]) -> list[Finding]:
    """Warn of names without a sample."""
    text = f"{nouns[1].capitalize()} without a sample, left out of the averages: {quoted(names)}."
    return [Finding("warning", text)] if names else []


def quoted(names: Iterable[str], most: int = _NAMED) -> str:
    """Return the first names in quotation marks, and how many more there are."""
    return first_few([f"“{name}”" for name in names], most)


def verdict(gap: float, p_value: float, metric: Metric) -> Literal["no difference shown", "better", "worse"]:
    """Return whether a model is better than another by a gap of the headline, the model's value minus the other's."""
    if p_value >= _SIGNIFICANT:
        return "no difference shown"
    return "better" if metric.better(gap, 0.0) else "worse"


def paired(
    found: Mapping[str, Interval],
    p_values: Mapping[str, float],
    groups_N: NDArray[np.integer] | None,
    metric: Metric,
    explains: str,
) -> Paired:
    """Return a comparison of two models from the intervals and p-values of `bootstrap.compared`."""
    p_value, gap = p_values.get(metric.name, 1.0), found.get(metric.name)
    return Paired(
        metrics=found,
        p_value=p_value,
        test="bootstrap" if groups_N is None else "bootstrap of groups",
        explains=explains,
        verdict=verdict(gap.value if gap else 0.0, p_value, metric),
    )


def picks(evaluated: Evaluated, each: int, told: Iterable[tuple[str, str, NDArray[Any]]]) -> list[Pick]:
    """Return rows of pictures from their title, explanation and order, alternating between groups.

    So the frames of one video do not fill a row.
    """
    count, groups = evaluated.counts["evaluated"], evaluated.groups
    groups_N = np.arange(count) if groups is None else group_indices(groups)
    return [Pick(title, explains, in_turn(order_M, groups_N)[:each]) for title, explains, order_M in told]


def meter(value: float | None) -> Cell:
    """Return a cell with a share of 0…1 and a bar of that length."""
    return Cell(share(value), value="" if value is None else value, share=value or 0)
