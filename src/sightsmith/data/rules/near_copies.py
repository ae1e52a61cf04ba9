"""Pictures that look nearly the same."""

import numpy as np

from sightsmith.core.counts import many
from sightsmith.data.duplicates import near
from sightsmith.data.rules.parts.places import one_group, splits_of, straddles
from sightsmith.data.verdict import Checked, Verdict

ORDER = 50


def find(data: Checked, verdict: Verdict) -> None:
    if not data.settings.near_duplicates:
        return
    alike = [
        group.tolist()
        for group in near(data.scan.thumbnails, np.flatnonzero(~verdict.left_out & (data.scan.widths > 0)))
    ]
    verdict.near_groups = tuple(map(tuple, alike))
    alike = [places for places in alike if not one_group(data, places)]
    two_labels = [places for places in alike if len(set(map(data.label, places))) > 1]
    if two_labels:
        message = (
            f"{many(len(two_labels), 'set')} of nearly equal pictures with more than one label. Look at them: one "
            "label may be wrong."
        )
        notes = [" / ".join(dict.fromkeys(map(data.label, places))) for places in two_labels]
        verdict.add(data, "near-contradiction", "warning", message, two_labels, notes)
    torn = [places for places in alike if straddles(data, places)]
    if torn:
        message = (
            f"{many(len(torn), 'set')} of nearly equal pictures in more than one split. If they are one picture "
            "saved twice, or frames of one scene, the test result is too good: move them into one split."
        )
        verdict.add(data, "near-leak", "warning", message, torn, [splits_of(data, places) for places in torn])
    within = [places for places in alike if not straddles(data, places) and places not in two_labels]
    if within:
        message = (
            f"{many(len(within), 'set')} of nearly equal pictures, {sum(map(len, within)):,} in all. They are "
            "kept. If they are frames of one scene, name the scene with --group-by."
        )
        verdict.add(data, "near-duplicate", "info", message, within)
