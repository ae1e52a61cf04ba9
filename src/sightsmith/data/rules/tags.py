"""Tags that cannot be learnt or measured: never or always present, too rare, or in one split only."""

import numpy as np

from sightsmith.core.counts import first_few, many
from sightsmith.data.verdict import Checked, Verdict

_LISTED = 10  # Tags that a message names
ORDER = 61
KINDS = ("tags",)
FATAL = frozenset({"no-tag-varies"})
_FINDINGS = {
    "empty-tag": "in no usable picture: never answered. Add pictures, or remove the tag",
    "constant-tag": "in every usable picture: nothing is learnt of it. Add pictures without it",
    "rare-tag": "in fewer than {few} usable pictures. Expect little; add pictures",
    "tag-not-in-train": "in val or test, but in no picture to learn from",
}


def find(data: Checked, verdict: Verdict) -> None:
    usable, few = verdict.usable, data.settings.tiny_class
    if not len(usable):
        return
    train, val, test, open_ = data.counts(usable).T
    totals = train + val + test + open_
    known = np.full(len(totals), len(usable))
    for place in usable.tolist():
        known[list(data.source.samples[place].target.unknown)] -= 1
    never, always = totals == 0, (totals == known) & (totals > 0)
    if (never | always).all():
        message = (
            "every tag is in all usable pictures or in none, so there is nothing to tell apart. Add pictures without "
            "and with the tags."
        )
        verdict.say("no-tag-varies", "error", message)
        return
    found = {
        "empty-tag": never,
        "constant-tag": always,
        "rare-tag": (totals > 0) & (totals < few),
        "tag-not-in-train": (totals > 0) & (train + open_ == 0),
    }
    for code, which in found.items():
        names = [data.source.names[index] for index in np.flatnonzero(which)]
        if names:
            text = f"{many(len(names), 'tag is', 'tags are')} {_FINDINGS[code].format(few=few)}"
            text = f"{text}: {first_few(names, _LISTED)}."
            verdict.say(code, "error" if code == "tag-not-in-train" else "warning", text)
