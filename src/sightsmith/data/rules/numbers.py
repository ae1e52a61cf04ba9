"""Numbers that are all equal, and outliers."""

import numpy as np

from sightsmith.core.counts import many
from sightsmith.data.verdict import Checked, Verdict

ORDER = 62
KINDS = ("number",)
FATAL = frozenset({"one-number"})
_FAR = 10.0  # Interquartile ranges beyond the quartiles from which a number is named


def find(data: Checked, verdict: Verdict) -> None:
    places = verdict.usable
    if not len(places):
        return
    values = np.array([data.source.samples[place].target for place in places.tolist()], dtype=np.float64)
    if values.min() == values.max():
        message = f"all usable pictures have the number {values[0]:.6g}, so there is nothing to learn. Add others."
        verdict.say("one-number", "error", message)
    low, high = np.quantile(values, [0.25, 0.75])
    reach = _FAR * (high - low)
    far = np.flatnonzero((values < low - reach) | (values > high + reach)).tolist() if reach else []
    message = (
        f"{many(len(far), 'number is', 'numbers are')} far from all others, of which half lie between {low:.6g} "
        f"and {high:.6g}. Check their units and decimal points."
    )
    verdict.add_each(data, "far-number", "warning", message, {int(places[at]): f"{values[at]:.6g}" for at in far})
