"""Boxes of an unlikely form: around the whole picture, or far longer than wide."""

import numpy as np

from sightsmith.core.counts import many
from sightsmith.data.rules.parts.objects import objects
from sightsmith.data.verdict import Checked, Verdict

ORDER = 65
KINDS = ("boxes",)
_WHOLE = 0.95  # Of the picture's area
_LONG = 20.0  # Longer side by the shorter


def find(data: Checked, verdict: Verdict) -> None:
    found = objects(data, verdict)
    sides_N2 = found.boxes_N4[:, 2:] - found.boxes_N4[:, :2]
    shares_N = sides_N2.prod(axis=1) / found.sizes_N2.prod(axis=1)
    whole = np.flatnonzero(shares_N > _WHOLE).tolist()
    message = (
        f"{many(len(whole), 'box is', 'boxes are')} around {_WHOLE:.0%} of the picture or more. If one stands for "
        "the picture and not for an object in it, such as a default of the labelling tool, delete it."
    )
    groups = [(at,) for at in whole]
    found.report(verdict, "whole-picture", "warning", message, groups, [f"{shares_N[at]:.0%}" for at in whole])
    forms_N = sides_N2.max(axis=1) / sides_N2.min(axis=1)
    slivers = np.flatnonzero(forms_N > _LONG).tolist()
    message = (
        f"{many(len(slivers), 'box is', 'boxes are')} more than {_LONG:g} times as long as wide: a slip of the hand, "
        "or the rest of an object at the edge. Draw it again or delete it; keep it if the object has this form."
    )
    groups = [(at,) for at in slivers]
    found.report(verdict, "sliver", "warning", message, groups, [f"{forms_N[at]:.0f} to 1" for at in slivers])
