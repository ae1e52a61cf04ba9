"""The same picture more than once: with other labels, in other splits, or only twice."""

from sightsmith.core.counts import many
from sightsmith.data.duplicates import same
from sightsmith.data.verdict import Checked, Verdict

ORDER = 30
BAD = frozenset({"contradiction"})


def find(data: Checked, verdict: Verdict) -> None:
    groups = [(group, data.truths(group)) for group in same(data.scan.hashes, data.scan.decoded)]
    contradictions = [group for group, labels in groups if len(labels) > 1]
    truth = "annotation" if data.has_places else "label"
    message = (
        f"{data.are(len(contradictions), 'has')} more than one {truth}. "
        f"Training leaves out every copy: decide which {truth} is right and delete the others."
    )
    verdict.add(data, "contradiction", "error", message, contradictions, list(map(data.brief_truths, contradictions)))
    for group in contradictions:
        verdict.bad[group] = True
        verdict.leave_out(group, "contradiction", f"the same {data.nouns[0]} has another {truth} elsewhere")
    agreeing = [group for group, labels in groups if len(labels) == 1]
    for group in agreeing:
        first = min(group, key=data.precedence)
        copies = (place for place in group if place != first)
        verdict.leave_out(
            copies, "leak" if data.straddles(group) else "duplicate", f"a copy of {data.source.samples[first].key}"
        )
    leaks = [group for group in agreeing if data.straddles(group)]
    message = (
        f"{data.are(len(leaks), 'is')} in more than one split, so the test would measure "
        f"memorised {data.nouns[1]}. Training leaves these copies out; delete them from train."
    )
    verdict.add(data, "leak", "error", message, leaks, [data.splits(group) for group in leaks])
    within = [group for group in agreeing if not data.straddles(group)]
    message = (
        f"{data.are(len(within), 'is')} found more than once "
        f"({many(sum(map(len, within)) - len(within), 'copy', 'copies')} too many). Training uses one of each; "
        "delete the others."
    )
    verdict.add(data, "duplicate", "warning", message, within)
