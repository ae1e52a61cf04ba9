"""Objects that the net cannot see because they are tiny once the picture is resized."""

import math

import numpy as np

from sightsmith.core.counts import many
from sightsmith.data.rules.parts.objects import objects
from sightsmith.data.verdict import Checked, Verdict
from sightsmith.kinds.boxes.input_side import STEP, input_side

ORDER = 64
KINDS = ("boxes",)
_TINY = 2.0  # Pixels of the shorter side below which nothing of an object is left to see
_SMALL = 8.0  # The stride of the finest level of common detectors: objects below it share cells with their surroundings
_LARGEST = 4096  # Input size


def find(data: Checked, verdict: Verdict) -> None:
    found = objects(data, verdict)
    if not len(found.labels_N):
        return
    usual = input_side(int(np.median(np.minimum(data.scan.widths, data.scan.heights)[verdict.usable])))
    size = data.settings.input_size or usual
    # the picture's longer side becomes the input's side
    scales_N = size / found.sizes_N2.max(axis=1)
    sides_N2 = (found.boxes_N4[:, 2:] - found.boxes_N4[:, :2]) * scales_N[:, None]
    shorter_N = sides_N2.min(axis=1)
    tiny = np.flatnonzero(shorter_N < _TINY).tolist()
    if tiny:
        message = (
            f"{many(len(tiny), 'object has', 'objects have')} a shorter side below {_TINY:g} pixels once the picture "
            f"is resized to {size}: nothing is left to see. {_way_out(size, float(shorter_N.min()))}"
        )
        remarks = [f"{sides_N2[at][0]:.2f}×{sides_N2[at][1]:.2f} px" for at in tiny]
        found.report(verdict, "tiny-box", "warning", message, [(at,) for at in tiny], remarks)
    small = int(np.count_nonzero((shorter_N >= _TINY) & (shorter_N < _SMALL)))
    if small:
        message = (
            f"{small:,} of {many(len(shorter_N), 'object')} ({small / len(shorter_N):.0%}) "
            f"{'has' if small == 1 else 'have'} a shorter side of {_TINY:g} to {_SMALL:g} pixels once the picture "
            f"is resized to {size}. Expect low recall of them; a larger --size helps."
        )
        verdict.say("small-box", "info", message)


def _way_out(size: int, smallest: float) -> str:
    """Return the input size at which the smallest side reaches the bound, if there is one."""
    needed = math.ceil(size * _TINY / max(smallest, 1e-6) / STEP) * STEP
    if needed <= _LARGEST:
        return f"A --size of {needed} would show all; or delete those that nobody can see."
    return "Delete those that nobody can see, or cut the pictures into parts."
