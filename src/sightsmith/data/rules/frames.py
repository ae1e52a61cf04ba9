"""Files with more than one page or frame."""

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.counts import many
from sightsmith.data.problem import Severity
from sightsmith.data.verdict import Checked, Verdict

ORDER = 90


def find(data: Checked, verdict: Verdict) -> None:
    """Find files of several pages or frames, of which the first is used; phones keep a second view behind a JPEG."""
    scan = data.scan
    several = scan.frames > 1
    phones = np.isin(scan.formats, [place for place, name in enumerate(scan.format_names) if name == "MPO"])
    texts: tuple[tuple[NDArray[np.bool_], Severity, str], ...] = (
        (several & ~phones, "warning", "If each is a picture of its own, save each in a file of its own."),
        (several & phones, "info", "They are JPEGs in which a camera keeps further views of the same scene."),
    )
    for which, severity, advice in texts:
        places = np.flatnonzero(which).tolist()
        if places:
            unused = int((scan.frames[places] - 1).sum())
            message = (
                f"{many(len(places), 'file has', 'files have')} more than one page or frame. The first is used, "
                f"{many(unused, 'other is', 'others are')} not. {advice}"
            )
            notes = [f"{scan.frames[place]:,} in {scan.format_names[scan.formats[place]]}" for place in places]
            verdict.add(data, "more-frames", severity, message, [(place,) for place in places], notes)
