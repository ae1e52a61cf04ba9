"""16-bit pictures that use few of their bits."""

import numpy as np

from sightsmith.core.counts import many
from sightsmith.data.verdict import Checked, Verdict

ORDER = 80
_DIM = 32  # 16-bit pictures that reach no higher than this in their upper byte have 13 bits or fewer


def find(data: Checked, verdict: Verdict) -> None:
    """Find 16-bit pictures of 10 or 12 bits: only the upper byte is used, and theirs is nearly empty."""
    scan = data.scan
    deep = [place for place, name in enumerate(scan.mode_names) if "16" in name or name == "I"]
    places = scan.decoded[np.isin(scan.modes[scan.decoded], deep)]
    brightest = int(scan.thumbnails[places].max(initial=0)) if len(places) else _DIM
    if brightest < _DIM:
        message = (
            f"{many(len(places), '16-bit picture uses', '16-bit pictures use')} only 0…{brightest * 256 + 255:,} of "
            "0…65,535, and only the upper 8 of the 16 bits are seen. Stretch the values to the full range first."
        )
        verdict.say("dim-16-bit", "warning", message)
