"""Pictures with a side of one pixel, and tiny ones."""

import numpy as np
from numpy.typing import NDArray

from sightsmith.data.scan import Scan
from sightsmith.data.verdict import Checked, Verdict

ORDER = 20
BAD = frozenset({"one-pixel"})


def find(data: Checked, verdict: Verdict) -> None:
    sides_N = np.minimum(data.scan.widths, data.scan.heights)
    flat = _sizes(data.scan, sides_N == 1)
    message = (
        f"{data.are(len(flat), 'has')} a side of 1 pixel, which shows nothing, "
        "such as the placeholder of a failed export: replace or delete."
    )
    verdict.reject_each(data, "one-pixel", message, flat)
    tiny = _sizes(data.scan, (sides_N > 1) & (sides_N < data.settings.tiny_side))
    message = (
        f"{data.are(len(tiny), 'has')} a side below {data.settings.tiny_side} pixels. "
        f"Check that these are the {data.nouns[1]} and not their thumbnails."
    )
    verdict.add_each(data, "tiny-picture", "warning", message, tiny)


def _sizes(scan: Scan, which_N: NDArray[np.bool_]) -> dict[int, str]:
    return {place: f"{scan.widths[place]}×{scan.heights[place]}" for place in np.flatnonzero(which_N).tolist()}
