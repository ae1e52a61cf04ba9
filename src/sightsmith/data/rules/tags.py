"""Tags that cannot be learnt or measured: never or always present, too rare, or in one split only."""

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.counts import first_few, many
from sightsmith.data.problem import Severity
from sightsmith.data.verdict import Checked, Verdict

_LISTED = 10  # Tags that a message names
ORDER = 61
KINDS = ("tags",)
FATAL = frozenset({"no-tag-varies"})


def find(data: Checked, verdict: Verdict) -> None:
    usable = int((~verdict.left_out).sum())
    if not usable:
        return
    totals = verdict.counts.sum(axis=1)
    known = _known(data, verdict)
    never, always = totals == 0, (totals == known) & (totals > 0)
    if (never | always).all():
        verdict.say(
            "no-tag-varies",
            "error",
            "every tag is in all usable pictures or in none, so there is nothing to tell apart. Add pictures without "
            "and with the tags.",
        )
        return
    learned = totals - verdict.counts[:, 1] - verdict.counts[:, 2]
    findings: tuple[tuple[str, Severity, NDArray[np.bool_], str], ...] = (
        ("empty-tag", "warning", never, "in no usable picture: never answered. Add pictures, or remove the tag"),
        (
            "constant-tag",
            "warning",
            always,
            "in every usable picture: nothing is learnt of it. Add pictures without it",
        ),
        (
            "rare-tag",
            "warning",
            (totals > 0) & (totals < data.settings.tiny_class),
            f"in fewer than {data.settings.tiny_class} usable pictures. Expect little; add pictures",
        ),
        ("tag-not-in-train", "error", (totals > 0) & (learned == 0), "in val or test, but in no picture to learn from"),
    )
    for code, severity, which, text in findings:
        names = [data.source.names[at] for at in np.flatnonzero(which)]
        if names:
            verdict.say(
                code, severity, f"{many(len(names), 'tag is', 'tags are')} {text}: {first_few(names, _LISTED)}."
            )


def _known(data: Checked, verdict: Verdict) -> NDArray[np.int64]:
    """Count the usable samples of which each tag is known."""
    known = np.zeros(len(data.source.names), dtype=np.int64)
    for at in np.flatnonzero(~verdict.left_out).tolist():
        known += 1
        known[list(data.source.samples[at].target.unknown)] -= 1
    return known
