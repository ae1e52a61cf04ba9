"""Pictures with a side of one pixel, and tiny ones."""

import numpy as np

from sightsmith.core.counts import many
from sightsmith.data.rules.parts.places import single
from sightsmith.data.verdict import Checked, Verdict

ORDER = 20
BAD = frozenset({"one-pixel"})


def find(data: Checked, verdict: Verdict) -> None:
    sides = np.minimum(data.scan.widths, data.scan.heights)
    sizes = {
        place: f"{data.scan.widths[place]}×{data.scan.heights[place]}" for place in np.flatnonzero(sides > 0).tolist()
    }
    flat = {place: sizes[place] for place in np.flatnonzero(sides == 1).tolist()}
    if flat:
        message = (
            f"{many(len(flat), 'picture has', 'pictures have')} a side of 1 pixel, which shows nothing, "
            "such as the placeholder of a failed export: replace or delete."
        )
        single(data, verdict, "one-pixel", message, flat)
    tiny = np.flatnonzero((sides > 1) & (sides < data.settings.tiny_side)).tolist()
    if tiny:
        message = (
            f"{many(len(tiny), 'picture has', 'pictures have')} a side below {data.settings.tiny_side} pixels. "
            "Check that these are the pictures and not their thumbnails."
        )
        verdict.add(data, "tiny-picture", "warning", message, [(place,) for place in tiny], [sizes[p] for p in tiny])
