"""The same picture more than once: with other labels, in other splits, or only twice."""

from sightsmith.core.counts import many
from sightsmith.data.duplicates import same
from sightsmith.data.rules.parts.places import PRECEDENCE, splits_of, straddles
from sightsmith.data.verdict import Checked, Verdict

ORDER = 30
BAD = frozenset({"contradiction"})


def find(data: Checked, verdict: Verdict) -> None:
    groups = [group.tolist() for group in same(data.scan.hashes, data.scan.decoded)]
    contradictions = [group for group in groups if len(set(map(data.label, group))) > 1]
    if contradictions:
        message = (
            f"{many(len(contradictions), 'picture has', 'pictures have')} more than one label. "
            "Training leaves out every copy: decide which label is right and delete the others."
        )
        notes = [" / ".join(dict.fromkeys(map(data.label, group))) for group in contradictions]
        verdict.add(data, "contradiction", "error", message, contradictions, notes)
        everywhere = [place for group in contradictions for place in group]
        verdict.bad[everywhere] = True
        verdict.leave_out(everywhere, "the same picture has another label elsewhere")
    agreeing = [group for group in groups if len(set(map(data.label, group))) == 1]
    for group in agreeing:
        first = min(group, key=lambda place: (PRECEDENCE[data.splits[place]], place))
        verdict.leave_out((p for p in group if p != first), f"a copy of {data.source.samples[first].key}")
    _leaks(data, verdict, [group for group in agreeing if straddles(data, group)])
    within = [group for group in agreeing if not straddles(data, group)]
    if within:
        extra = sum(map(len, within)) - len(within)
        message = (
            f"{many(len(within), 'picture is', 'pictures are')} found more than once "
            f"({many(extra, 'copy', 'copies')} too many). Training uses one of each; delete the others."
        )
        verdict.add(data, "duplicate", "warning", message, within)


def _leaks(data: Checked, verdict: Verdict, leaks: list[list[int]]) -> None:
    if leaks:
        message = (
            f"{many(len(leaks), 'picture is', 'pictures are')} in more than one split, so the test would measure "
            "memorised pictures. Training leaves these copies out; delete them from train."
        )
        verdict.add(data, "leak", "error", message, leaks, [splits_of(data, group) for group in leaks])
