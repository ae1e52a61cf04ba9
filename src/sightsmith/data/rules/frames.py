"""Files with more than one page or frame, of which the first is used."""

import numpy as np

from sightsmith.core.counts import many
from sightsmith.data.problem import Severity
from sightsmith.data.verdict import Checked, Verdict

ORDER = 90
INPUTS = ("picture",)


def find(data: Checked, verdict: Verdict) -> None:
    scan, places = data.scan, np.flatnonzero(data.scan.frames > 1).tolist()
    formats = {place: scan.format_names[scan.formats[place]] for place in places}
    # Phones keep a second view behind a JPEG, as MPO, which is no fault.
    files = [place for place in places if formats[place] != "MPO"]
    phones = [place for place in places if formats[place] == "MPO"]
    findings: tuple[tuple[list[int], Severity, str], ...] = (
        (files, "warning", "If each is a picture of its own, save each in a file of its own."),
        (phones, "info", "They are JPEGs in which a camera keeps further views of the same scene."),
    )
    for chosen, severity, advice in findings:
        unused = int((scan.frames[chosen] - 1).sum())
        message = (
            f"{many(len(chosen), 'file has', 'files have')} more than one page or frame. The first is used, "
            f"{many(unused, 'other is', 'others are')} not. {advice}"
        )
        notes = {place: f"{scan.frames[place]:,} in {formats[place]}" for place in chosen}
        verdict.add_each(data, "more-frames", severity, message, notes)
