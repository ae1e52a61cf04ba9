"""Pictures that look nearly the same."""

from sightsmith.core.counts import many
from sightsmith.data.duplicates import near
from sightsmith.data.verdict import Checked, Verdict

ORDER = 50


def find(data: Checked, verdict: Verdict) -> None:
    if not data.settings.near_duplicates:
        return
    groups = near(data.scan.thumbnails, verdict.usable)
    verdict.near_groups = tuple(map(tuple, groups))
    alike = [group for group in groups if not _one_group(data, group)]
    # two views of one scene have other boxes, which is no contradiction
    two_labels = [group for group in alike if not data.has_places and len(data.truths(group)) > 1]
    message = (
        f"{many(len(two_labels), 'set')} of nearly equal {data.nouns[1]} with more than one label. Look at them: one "
        "label may be wrong."
    )
    verdict.add(data, "near-contradiction", "warning", message, two_labels, list(map(data.brief_truths, two_labels)))
    torn = [group for group in alike if data.straddles(group)]
    message = (
        f"{many(len(torn), 'set')} of nearly equal {data.nouns[1]} in more than one split. If they are one "
        f"{data.nouns[0]} saved twice, or frames of one scene, the test result is too good: move them into one split."
    )
    verdict.add(data, "near-leak", "warning", message, torn, [data.splits(group) for group in torn])
    agreeing = alike if data.has_places else [group for group in alike if len(data.truths(group)) == 1]
    within = [group for group in agreeing if not data.straddles(group)]
    message = (
        f"{many(len(within), 'set')} of nearly equal {data.nouns[1]}, {sum(map(len, within)):,} in all. They are "
        "kept. If they are frames of one scene, name the scene with --group-by."
    )
    verdict.add(data, "near-duplicate", "info", message, within)


def _one_group(data: Checked, places: list[int]) -> bool:
    groups = {data.source.samples[place].group for place in places}
    return len(groups) == 1 and None not in groups
