"""Does a property of the file, which is not part of the picture's content, predict the class?

Each property is put into bins, and a class is guessed from the bin: that which is most frequent there once all
classes weigh the same. The guesses are cross-validated by group. A property is a shortcut if the lower end of the
interval of the mean recall, corrected for the number of properties, is clearly above chance.

Shapes: N pictures, C classes, K bins.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sightsmith.data.scan import Scan
from sightsmith.data.verdict import ByClass, Checked, Verdict

ORDER = 100
KINDS = ("labels",)

_FOLDS = 5
_FEWEST_GROUPS = 8  # A class with fewer groups is left out: its folds would be of one group or none
_MOST_BINS = 32
_IN_A_BIN = 10  # Pictures that a bin of a measured property has at least, on average
_DEVIATIONS = 3.5
"""Half-width in standard errors: one false alarm in about 4,000 per property, in about 500 for all eight."""
_MARGIN = 0.1
"""Tolerated share of the range from chance to 1: classes of one source differ a little in size."""
_MARGIN_OF_CONTENT = 0.5
"""The same for bytes: detailed pictures need more of them, so bytes depend on the content."""
_TOGETHER = "all together"

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Property:
    """One property of N pictures."""

    name: str  # for people
    values: NDArray[np.number]  # (N,) numbers, or positions in `names`
    names: tuple[str, ...] = ()  # of the values, or empty for a number
    by_content: bool = False  # whether the content of the picture changes it, too
    unit: str = "{:,.0f} px"  # of a number, with a format for it


@dataclass(frozen=True, slots=True)
class Shortcut:
    """How well a property tells the class."""

    name: str  # of the property
    recall: float  # cross-validated mean recall of the classes, in 0…1
    low: float  # lower end of its interval
    high: float  # upper end of its interval
    chance: float  # the mean recall of guessing


def find(data: Checked, verdict: Verdict) -> None:
    """Find properties of the files that tell the class, and describe all that vary."""
    strata_N = data.source.strata()
    used_N = verdict.usable[strata_N[verdict.usable] >= 0]
    targets_N, count = strata_N[used_N], len(data.source.names)
    properties = _varying(data.scan, used_N)
    found = find_shortcuts(properties, targets_N, _groups(data, verdict)[used_N])
    names = {shortcut.name for shortcut in found}
    verdict.by_class = tuple(
        ByClass(each.name, bool(names & {each.name, _TOGETHER}), _texts(each, targets_N, count)) for each in properties
    )
    if found:
        measured = ", ".join(
            f"{each.name} ({each.recall:.0%}, interval {each.low:.0%} to {each.high:.0%})" for each in found
        )
        message = (
            f"the class can be guessed without looking at the {data.nouns[0]}, from: {measured}. "
            f"These are mean recalls of the classes; guessing gives {found[0].chance:.0%}. A model may learn this "
            f"instead of the content, and fail on other {data.nouns[1]}. Bring all classes to one size, mode and "
            "format from the same kind of originals, or collect them the same way; --html shows the classes side by "
            "side."
        )
        verdict.say("shortcut", "warning", message)


def _varying(scan: Scan, used_N: Ints) -> list[Property]:
    """Return the properties that vary among pictures."""
    widths, heights, sizes = scan.widths[used_N], scan.heights[used_N], scan.sizes[used_N]
    properties = (
        Property("width", widths),
        Property("height", heights),
        Property("aspect", widths / heights, unit="{:.2f}"),
        Property("mode", scan.modes[used_N], tuple(scan.mode_names)),
        Property("format", scan.formats[used_N], tuple(name or "array" for name in scan.format_names)),
        Property("JPEG compression", scan.quantisations[used_N], unit="{:,.0f}"),
        Property("frames", scan.frames[used_N], unit="{:,.0f}"),
        Property("file size", sizes, by_content=True, unit="{:,.0f} B"),
        Property("bytes per pixel", sizes / (widths * heights), by_content=True, unit="{:.2f}"),
    )
    return [each for each in properties if len(used_N) and np.ptp(each.values)]


def _groups(data: Checked, verdict: Verdict) -> Ints:
    """Return a number for each sample, the same for those of one group, or of a set that looks nearly the same."""
    groups = np.arange(len(data.source.samples))
    for places in verdict.near_groups:
        groups[list(places)] = places[0]
    first: dict[str, int] = {}
    for place, sample in enumerate(data.source.samples):
        if sample.group is not None:
            groups[place] = len(groups) + first.setdefault(sample.group, place)
    return groups


def _texts(each: Property, targets_N: Ints, count: int) -> tuple[str, ...]:
    """Describe a property's values in each of `count` classes."""
    order_N = np.lexsort((each.values, targets_N))
    ends_C = np.cumsum(np.bincount(targets_N, minlength=count))
    describe = _most_frequent if each.names else _middle
    return tuple(
        describe(each, values) if len(values) else "–" for values in np.split(each.values[order_N], ends_C[:-1])
    )


def _most_frequent(each: Property, values: NDArray[np.number]) -> str:
    common = Counter(each.names[value] for value in values.tolist()).most_common(3)
    return ", ".join(f"{name} {count / len(values):.0%}" for name, count in common)


def _middle(each: Property, sorted_values: NDArray[np.number]) -> str:
    last = len(sorted_values) - 1
    low, middle, high = (each.unit.format(sorted_values[round(part * last)]) for part in (0.1, 0.5, 0.9))
    return middle if low == high else f"{middle} ({low} to {high})"


def find_shortcuts(properties: Sequence[Property], targets_N: Ints, groups_N: Ints) -> list[Shortcut]:
    """Return the properties that predict the class, best first; all of them combined if no single one does.

    Args:
        properties: those with one value cost nothing.
        targets_N: class of each picture, ≥ 0.
        groups_N: pictures of one group share a number, and are always in the same fold.
    """
    used_N, classes_N = _well_filled(targets_N, groups_N)
    varying = [each for each in properties if len(used_N) and np.ptp(each.values[used_N])]
    if not varying:
        return []
    groups_N = np.unique(groups_N[used_N], return_inverse=True)[1]
    folds_N = np.random.default_rng(0).permutation(int(groups_N.max()) + 1)[groups_N] % _FOLDS
    bins_NP = np.stack([_bins(each, used_N) for each in varying], axis=1)
    found = []
    for column, each in enumerate(varying):
        right_N = _guessed_right(bins_NP[:, [column]], classes_N, folds_N)
        shortcut = _interval(each.name, right_N, classes_N, groups_N)
        if _is_clear(shortcut, _MARGIN_OF_CONTENT if each.by_content else _MARGIN):
            found.append(shortcut)
    formal = [column for column, each in enumerate(varying) if not each.by_content]
    if not found and len(formal) > 1:
        right_N = _guessed_right(bins_NP[:, formal], classes_N, folds_N)
        together = _interval(_TOGETHER, right_N, classes_N, groups_N)
        found = [together] if _is_clear(together, _MARGIN) else []
    return sorted(found, key=lambda shortcut: -shortcut.low)


def _well_filled(targets_N: Ints, groups_N: Ints) -> tuple[Ints, Ints]:
    """Return the positions in classes of enough groups, and their classes numbered anew; none if one class is left."""
    pairs = np.unique(np.stack([targets_N, groups_N], axis=1), axis=0)
    groups_of_C = np.bincount(pairs[:, 0], minlength=1)
    if np.count_nonzero(groups_of_C >= _FEWEST_GROUPS) < 2:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    used_N = np.flatnonzero(groups_of_C[targets_N] >= _FEWEST_GROUPS)
    return used_N, np.unique(targets_N[used_N], return_inverse=True)[1]


def _bins(each: Property, used_N: Ints) -> Ints:
    """Return the bin of each picture: one a value if there are few, else bins of about equally many pictures."""
    values_N = each.values[used_N]
    different, places_N = np.unique(values_N, return_inverse=True)
    most = min(_MOST_BINS, max(2, len(values_N) // _IN_A_BIN))
    if each.names or len(different) <= most:
        return places_N
    edges = np.unique(np.quantile(values_N, np.linspace(0, 1, most + 1)[1:-1]))
    return np.searchsorted(edges, values_N, side="right")


def _guessed_right(bins_NP: Ints, classes_N: Ints, folds_N: Ints) -> NDArray[np.bool_]:
    """Guess classes from the bins of P properties by naive Bayes, taught on the other folds; tell which are right."""
    count = int(classes_N.max()) + 1
    right_N = np.zeros(len(classes_N), dtype=bool)
    for fold in range(_FOLDS):
        taught = folds_N != fold
        totals_C = np.bincount(classes_N[taught], minlength=count)
        scores = np.zeros((int((~taught).sum()), count), dtype=np.float32)
        for bins_N in bins_NP.T:
            bins = int(bins_N.max()) + 1
            table = np.bincount(bins_N[taught] * count + classes_N[taught], minlength=bins * count)
            table_KC = np.log((table.reshape(bins, count) + 1 / bins) / (totals_C + 1)).astype(np.float32)
            scores += table_KC[bins_N[~taught]]
        right_N[~taught] = scores.argmax(axis=1) == classes_N[~taught]
    return right_N


def _interval(name: str, right_N: NDArray[np.bool_], classes_N: Ints, groups_N: Ints) -> Shortcut:
    """Return the mean recall with its interval by groups, never narrower than that of guessing."""
    totals_C = np.bincount(classes_N)
    recalls_C = np.bincount(classes_N, weights=right_N) / totals_C
    count = len(totals_C)
    off_N = (right_N - recalls_C[classes_N]) / (totals_C[classes_N] * count)
    by_group = np.bincount(groups_N, weights=off_N)
    recall, chance = float(recalls_C.mean()), 1 / count
    variance = max(float((by_group**2).sum()), chance * (1 - chance) / len(by_group))
    reach = _DEVIATIONS * math.sqrt(variance)
    return Shortcut(name, recall, max(0.0, recall - reach), min(1.0, recall + reach), chance)


def _is_clear(shortcut: Shortcut, margin: float) -> bool:
    return shortcut.low > shortcut.chance + margin * (1 - shortcut.chance)
