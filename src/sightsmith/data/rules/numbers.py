"""Numbers that are all equal, and outliers."""

import numpy as np

from sightsmith.core.counts import many
from sightsmith.data.verdict import Checked, Verdict

ORDER = 62
KINDS = ("number",)
FATAL = frozenset({"one-number"})
_FAR = 10.0  # Interquartile ranges beyond the quartiles from which a number is named


def find(data: Checked, verdict: Verdict) -> None:
    places = np.flatnonzero(~verdict.left_out)
    if not len(places):
        return
    values = np.array([data.source.samples[at].target for at in places.tolist()], dtype=np.float64)
    if values.min() == values.max():
        message = f"all usable pictures have the number {values[0]:.6g}, so there is nothing to learn. Add others."
        verdict.say("one-number", "error", message)
        return
    low, high = np.quantile(values, [0.25, 0.75])
    far = np.flatnonzero((values < low - _FAR * (high - low)) | (values > high + _FAR * (high - low)))
    if high > low and len(far):
        message = (
            f"{many(len(far), 'number is', 'numbers are')} far from all others, of which half lie between {low:.6g} "
            f"and {high:.6g}. Check their units and decimal points."
        )
        groups = [(int(places[at]),) for at in far]
        verdict.add(data, "far-number", "warning", message, groups, [f"{values[at]:.6g}" for at in far])
