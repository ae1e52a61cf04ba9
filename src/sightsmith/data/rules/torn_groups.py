"""Groups (one person, one video) that the source's own splits tear apart."""

from collections import defaultdict

from sightsmith.core.counts import many
from sightsmith.data.verdict import Checked, Verdict

ORDER = 40


def find(data: Checked, verdict: Verdict) -> None:
    members: dict[str, list[int]] = defaultdict(list)
    for place in verdict.usable.tolist():
        if (group := data.source.samples[place].group) is not None:
            members[group].append(place)
    torn = {group: places for group, places in members.items() if data.straddles(places)}
    message = (
        f"{many(len(torn), 'group has', 'groups have')} samples in more than one split. Training keeps those in "
        "test, else in val, and leaves out the others. Move the groups, or change --group-by."
    )
    notes = [f"{group}: {data.splits(places)}" for group, places in torn.items()]
    verdict.add(data, "group-leak", "error", message, list(torn.values()), notes)
    for group, places in torn.items():
        best = min(map(data.precedence, places))
        others = (place for place in places if data.precedence(place) > best)
        verdict.leave_out(others, "group-leak", f"its group {group} is in another split")
