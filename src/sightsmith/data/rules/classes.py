"""Classes that cannot be learnt or measured, that are unbalanced, or have nearly equal names.

Shapes: C classes.
"""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.counts import first_few, many
from sightsmith.core.names import folded, hidden_difference
from sightsmith.data.verdict import Checked, Verdict

_LISTED = 10  # Classes that a message names
ORDER = 60
KINDS = ("labels",)
FATAL = frozenset({"one-class", "empty-class", "single-picture", "not-in-train"})


def find(data: Checked, verdict: Verdict) -> None:
    if (~verdict.left_out).any():
        _each_class(data, verdict)
    _balance(data, verdict)
    _names(data, verdict)


def _each_class(data: Checked, verdict: Verdict) -> None:
    """Find classes that cannot be learnt."""
    totals = verdict.counts.sum(axis=1)
    if np.count_nonzero(totals) == 1:
        only = data.source.names[int(totals.argmax())]
        message = f"all usable pictures are of one class, {only!r}; telling classes apart needs two. Add another class."
        verdict.say("one-class", "error", message)
    empty = _named(data, totals == 0)
    if empty:
        message = (
            f"{many(len(empty), 'class has', 'classes have')} no usable picture: {first_few(empty, _LISTED)}. "
            "Add pictures, or remove the class (its folder or its rows)."
        )
        verdict.say("empty-class", "error", message)
    _thin(data, verdict, totals)
    _per_split(data, verdict)


def _thin(data: Checked, verdict: Verdict, totals: NDArray[np.int64]) -> None:
    single = _named(data, totals == 1)
    if single:
        message = (
            f"{many(len(single), 'class has', 'classes have')} one usable picture, which cannot be both learnt from "
            f"and tested on: {first_few(single, _LISTED)}. Add pictures, or remove the class."
        )
        verdict.say("single-picture", "error", message)
    tiny = _named(data, (totals > 1) & (totals < data.settings.tiny_class))
    if tiny:
        message = (
            f"{many(len(tiny), 'class has', 'classes have')} fewer than {data.settings.tiny_class} usable pictures: "
            f"{first_few(tiny, _LISTED)}. Expect little of them; add pictures, or merge classes."
        )
        verdict.say("tiny-class", "warning", message)


def _per_split(data: Checked, verdict: Verdict) -> None:
    """Find classes that a split of the source lacks."""
    train, val, test, open_ = verdict.counts.T
    pool = train + open_
    missing = _named(data, (pool == 0) & (val + test > 0))
    if missing and pool.any():
        message = (
            f"{many(len(missing), 'class has', 'classes have')} pictures in val or test but none to learn from: "
            f"{first_few(missing, _LISTED)}. Add pictures to train, or remove the class."
        )
        verdict.say("not-in-train", "error", message)
    for name, column in (("val", val), ("test", test)):
        untested = _named(data, (column == 0) & (pool > 0)) if column.any() else []
        if untested:
            message = (
                f"{many(len(untested), 'class has', 'classes have')} no picture in {name}, so nothing is measured of "
                f"them: {first_few(untested, _LISTED)}. Move some there."
            )
            verdict.say(f"not-in-{name}", "warning", message)


def _balance(data: Checked, verdict: Verdict) -> None:
    """Find classes that are much larger than others."""
    totals = verdict.counts.sum(axis=1)
    present = totals[totals > 0]
    if len(present) < 2 or present.max() < data.settings.imbalance * present.min():
        return
    most = int(totals.argmax())
    least = int(np.where(totals > 0, totals, totals.max() + 1).argmin())
    message = (
        f"{data.source.names[most]!r} has {totals[most]:,} pictures and {data.source.names[least]!r} "
        f"{totals[least]:,}, {totals[most] / totals[least]:.0f} times fewer. Judge by balanced accuracy, not by "
        "accuracy, and train with class weights or balanced sampling."
    )
    verdict.say("imbalance", "warning", message)


def _names(data: Checked, verdict: Verdict) -> None:
    alike: dict[str, list[str]] = defaultdict(list)
    for name in data.source.names:
        alike[folded(name)].append(name)
    for names in alike.values():
        if len(names) > 1:
            hidden = hidden_difference(*names[:2])
            shown = " and ".join(map(ascii, names[:2]))
            told = f"{hidden} ({shown})" if hidden else "case, spaces or dashes"
            message = f"the classes {first_few(names, _LISTED)} differ only in {told}. Merge them if they are one."
            verdict.say("alike-names", "warning", message)


def _named(data: Checked, which: NDArray[np.bool_]) -> list[str]:
    return [data.source.names[index] for index in np.flatnonzero(which)]
