"""Pictures of several modes or sizes."""

import numpy as np

from sightsmith.data.verdict import Checked, Verdict

ORDER = 70


def find(data: Checked, verdict: Verdict) -> None:
    seen = data.scan.decoded
    modes = np.unique(data.scan.modes[seen])
    if len(modes) > 1:
        names = ", ".join(sorted(data.scan.mode_names[mode] for mode in modes))
        message = f"{data.nouns[1].capitalize()} of several modes ({names}). All are brought to one when they are used."
        verdict.say("mixed-modes", "info", message)
    widths, heights = data.scan.widths[seen], data.scan.heights[seen]
    if len(seen) and (widths.min() != widths.max() or heights.min() != heights.max()):
        message = (
            f"{data.nouns[1].capitalize()} of several sizes: {widths.min()}…{widths.max()} wide and "
            f"{heights.min()}…{heights.max()} high, median {int(np.median(widths))}×{int(np.median(heights))}. "
            "All are resized to one."
        )
        verdict.say("mixed-sizes", "info", message)
