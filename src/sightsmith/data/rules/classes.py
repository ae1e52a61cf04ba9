"""Classes that cannot be learnt or measured, or that are unbalanced."""

from operator import itemgetter

import numpy as np

from sightsmith.data.rules.parts.names import say_of_classes
from sightsmith.data.verdict import Checked, Verdict

ORDER = 60
KINDS = ("labels",)
FATAL = frozenset({"one-class", "empty-class", "single-picture", "not-in-train"})
_FINDINGS = {  # What classes have, and the way out
    "empty-class": ("no usable {picture}", "Add {pictures}, or remove the class (its folder or its rows)."),
    "single-picture": (
        "one usable {picture}, which cannot be both learnt from and tested on",
        "Add {pictures}, or remove the class.",
    ),
    "tiny-class": ("fewer than {few} usable {pictures}", "Expect little of them; add {pictures}, or merge classes."),
    "not-in-train": (
        "{pictures} in val or test but none to learn from",
        "Add {pictures} to train, or remove the class.",
    ),
    "not-in-val": ("no {picture} in val, so nothing is measured of them", "Move some there."),
    "not-in-test": ("no {picture} in test, so nothing is measured of them", "Move some there."),
}


def find(data: Checked, verdict: Verdict) -> None:
    if len(verdict.usable):
        _each_class(data, verdict)
    _balance(data, verdict)


def _each_class(data: Checked, verdict: Verdict) -> None:
    """Find classes that cannot be learnt, or that a split of the source lacks."""
    train, val, test, open_ = data.counts(verdict.usable).T
    pool, few = train + open_, data.settings.tiny_class
    totals = pool + val + test
    if np.count_nonzero(totals) == 1 < data.settings.fewest_names:
        only = data.source.names[int(totals.argmax())]
        loose = next((problem.message for problem in data.source.problems if problem.code == "no-folders"), "")
        message = (
            f"all usable {data.nouns[1]} are of one class, {only!r}; telling classes apart needs two. "
            f"{loose or 'Add another class.'} Or train a task that needs none, such as --task vae."
        )
        verdict.say("one-class", "error", message)
    found = {
        "empty-class": totals == 0,
        "single-picture": totals == 1,
        "tiny-class": (totals > 1) & (totals < few),
        "not-in-train": pool.any() & (pool == 0) & (totals > 0),
        "not-in-val": val.any() & (val == 0) & (pool > 0),
        "not-in-test": test.any() & (test == 0) & (pool > 0),
    }
    say_of_classes(data, verdict, _FINDINGS, found, FATAL)


def _balance(data: Checked, verdict: Verdict) -> None:
    """Find classes that are much larger than others."""
    counts = zip(data.counts(verdict.usable).sum(axis=1).tolist(), data.source.names, strict=True)
    present = [(count, name) for count, name in counts if count]
    if len(present) < 2:
        return
    most, largest = max(present, key=itemgetter(0))
    fewest, smallest = min(present, key=itemgetter(0))
    if most >= data.settings.imbalance * fewest:
        message = (
            f"{largest!r} has {most:,} {data.nouns[1]} and {smallest!r} {fewest:,}, {most / fewest:.0f} times fewer. "
            "Judge by balanced accuracy, not by accuracy, and train with class weights or balanced sampling."
        )
        verdict.say("imbalance", "warning", message)
