"""Classes of objects that are never, rarely or unevenly there, in all or in one split.

Shapes: C classes.
"""

from dataclasses import replace
from operator import itemgetter

import numpy as np

from sightsmith.core.counts import many
from sightsmith.data.changes import Change
from sightsmith.data.rules.parts.names import say_of_classes
from sightsmith.data.rules.parts.objects import Objects, objects
from sightsmith.data.source import Source
from sightsmith.data.verdict import Checked, Verdict
from sightsmith.kinds.boxes.value import translate

ORDER = 66
KINDS = ("boxes",)
FATAL = frozenset({"no-object"})
_FINDINGS = {  # What classes have, and the way out
    "unused-class": ("no object in a usable picture", "Add objects, or remove the class, by hand or with --fix."),
    "ignored-class": (
        "only objects that are ignored (difficult, crowds), so nothing is learnt of them",
        "Unmark some, or remove the class.",
    ),
    "tiny-class": ("objects in fewer than {few} usable pictures", "Expect little of them; add pictures."),
    "class-not-in-train": ("objects in val or test but none to learn from", "Add pictures of them to train."),
    "not-in-val": ("no object in val, so nothing is measured of them", "Move some pictures there."),
    "not-in-test": ("no object in test, so nothing is measured of them", "Move some pictures there."),
}


def find(data: Checked, verdict: Verdict) -> None:
    found = objects(data, verdict)
    if not len(verdict.usable):
        return
    if not len(found.labels_N):
        message = (
            f"no object in {many(len(verdict.usable), 'usable picture')}: all are negatives, so there is nothing to "
            "learn. Check that the annotations are beside the pictures."
        )
        verdict.say("no-object", "error", message)
        return
    _each_class(data, verdict, found)
    _balance(data, verdict, np.bincount(found.labels_N, minlength=len(data.source.names)).tolist())


def _each_class(data: Checked, verdict: Verdict, counted: Objects) -> None:
    all_C = data.counts(verdict.usable).sum(axis=1)
    places_M, labels_M = np.unique(np.stack([counted.pictures_N, counted.labels_N]), axis=1)
    train, val, test, open_ = data.counts_of(places_M, labels_M).T
    pool, few = train + open_, data.settings.tiny_class
    totals = pool + val + test
    found = {
        "unused-class": all_C == 0,
        "ignored-class": (all_C > 0) & (totals == 0),
        "tiny-class": (totals > 0) & (totals < few),
        "class-not-in-train": pool.any() & (pool == 0) & (totals > 0),
        "not-in-val": val.any() & (val == 0) & (pool > 0),
        "not-in-test": test.any() & (test == 0) & (pool > 0),
    }
    say_of_classes(data, verdict, _FINDINGS, found, frozenset({"class-not-in-train"}))


def _balance(data: Checked, verdict: Verdict, counts: list[int]) -> None:
    present = [(count, name) for count, name in zip(counts, data.source.names, strict=True) if count]
    most, largest = max(present, key=itemgetter(0))
    fewest, smallest = min(present, key=itemgetter(0))
    if most >= data.settings.imbalance * fewest:
        message = (
            f"{largest!r} has {many(most, 'object')} and {smallest!r} {fewest:,}, {most / fewest:.0f} times fewer. mAP "
            "weighs all classes alike; look at the AP of each."
        )
        verdict.say("imbalance", "info", message)


def mend(source: Source) -> tuple[Source, list[Change]]:
    """Leave out classes without objects."""
    used = {label for sample in source.samples for label in sample.target.labels_N.tolist()}
    names = tuple(name for index, name in enumerate(source.names) if index in used)
    changes = [
        Change(code="unused-class", key="", before=name, why="no picture has an object of this class")
        for index, name in enumerate(source.names)
        if index not in used
    ]
    samples = [replace(sample, target=translate(sample.target, source.names, names)) for sample in source.samples]
    return replace(source, names=names, samples=tuple(samples)), changes
