"""Groups (one person, one video) that the source's own splits tear apart."""

from collections import defaultdict

from sightsmith.core.counts import many
from sightsmith.data.rules.parts.places import PRECEDENCE, splits_of, straddles
from sightsmith.data.verdict import Checked, Verdict

ORDER = 40


def find(data: Checked, verdict: Verdict) -> None:
    members: dict[str, list[int]] = defaultdict(list)
    for place, sample in enumerate(data.source.samples):
        if sample.group is not None and not verdict.left_out[place]:
            members[sample.group].append(place)
    torn = [places for places in members.values() if straddles(data, places)]
    if not torn:
        return
    message = (
        f"{many(len(torn), 'group has', 'groups have')} samples in more than one split. Training keeps those in "
        "test, else in val, and leaves out the others. Move the groups, or change --group-by."
    )
    notes = [f"{data.source.samples[places[0]].group}: {splits_of(data, places)}" for places in torn]
    verdict.add(data, "group-leak", "error", message, torn, notes)
    for places in torn:
        best = min(PRECEDENCE[data.splits[place]] for place in places)
        group = data.source.samples[places[0]].group
        spread = (place for place in places if PRECEDENCE[data.splits[place]] > best)
        verdict.leave_out(spread, f"its group {group} is in another split")
