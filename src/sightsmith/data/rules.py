"""What the gate concludes from the scan: problems of pictures, and what training leaves out.

Shapes: N samples, C classes.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.counts import many
from sightsmith.data import class_rules
from sightsmith.data.duplicates import near, same
from sightsmith.data.scan import Scan
from sightsmith.data.settings import GateSettings
from sightsmith.data.shortcuts import shortcuts
from sightsmith.data.source import Severity, Source
from sightsmith.data.verdict import Checked, Verdict

FATAL = frozenset({"no-pictures", "one-class", "empty-class", "single-picture", "not-in-train"})
"""Errors with which training is impossible."""
BAD = frozenset({"unreadable", "too-many-pixels", "one-pixel", "contradiction"})
"""Errors of single pictures that count against `max_bad`."""

_DIM = 32
"""16-bit pictures that reach no higher than this in their upper byte have 13 bits or fewer."""
_PRECEDENCE = {"test": 0, "val": 1, "train": 2, None: 3}
"""Which copy of a picture stays: taking one out of the test would change what is measured."""


def judge(source: Source, scan: Scan, settings: GateSettings) -> Verdict:
    count = len(source.samples)
    data = Checked(source, scan, settings, source.targets(), tuple(sample.split for sample in source.samples))
    verdict = Verdict(
        left_out=np.zeros(count, dtype=bool),
        bad=np.zeros(count, dtype=bool),
        counts=np.zeros((len(source.names), len(class_rules.COLUMNS)), dtype=np.int64),
    )
    rules: Sequence[Callable[[Checked, Verdict], None]] = (
        _failures,
        _small,
        _copies,
        _groups,
        _near_copies,
        class_rules.count,
        class_rules.each_class,
        class_rules.balance,
        class_rules.names,
        _mixture,
        _dim,
        _frames,
        shortcuts,
    )
    for rule in rules:
        rule(data, verdict)
    return verdict


def _failures(data: Checked, verdict: Verdict) -> None:
    advice = {
        "unreadable": "cannot be decoded: export again or delete.",
        "too-many-pixels": f"over the bound of {data.settings.max_pixels:,} pixels: make smaller.",
    }
    for code, text in advice.items():
        found = {place: why for place, (kind, why) in sorted(data.scan.failures.items()) if kind == code}
        if found:
            _single(data, verdict, code, f"{many(len(found), 'picture')} {text}", found)


def _small(data: Checked, verdict: Verdict) -> None:
    sides = np.minimum(data.scan.widths, data.scan.heights)
    sizes = {
        place: f"{data.scan.widths[place]}×{data.scan.heights[place]}" for place in np.flatnonzero(sides > 0).tolist()
    }
    flat = {place: sizes[place] for place in np.flatnonzero(sides == 1).tolist()}
    if flat:
        message = (
            f"{many(len(flat), 'picture has', 'pictures have')} a side of 1 pixel, which shows nothing, "
            "such as the placeholder of a failed export: replace or delete."
        )
        _single(data, verdict, "one-pixel", message, flat)
    tiny = np.flatnonzero((sides > 1) & (sides < data.settings.tiny_side)).tolist()
    if tiny:
        message = (
            f"{many(len(tiny), 'picture has', 'pictures have')} a side below {data.settings.tiny_side} pixels. "
            "Check that these are the pictures and not their thumbnails."
        )
        verdict.add(data, "tiny-picture", "warning", message, [(place,) for place in tiny], [sizes[p] for p in tiny])


def _copies(data: Checked, verdict: Verdict) -> None:
    groups = [group.tolist() for group in same(data.scan.hashes, data.scan.decoded)]
    contradictions = [group for group in groups if len(set(data.targets[group].tolist())) > 1]
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
    agreeing = [group for group in groups if len(set(data.targets[group].tolist())) == 1]
    for group in agreeing:
        first = min(group, key=lambda place: (_PRECEDENCE[data.splits[place]], place))
        verdict.leave_out((p for p in group if p != first), f"a copy of {data.source.samples[first].key}")
    _leaks(data, verdict, [group for group in agreeing if _straddles(data, group)])
    within = [group for group in agreeing if not _straddles(data, group)]
    if within:
        extra = sum(map(len, within)) - len(within)
        message = (
            f"{many(len(within), 'picture is', 'pictures are')} there more than once "
            f"({many(extra, 'copy', 'copies')} too many). Training uses one of each; delete the others."
        )
        verdict.add(data, "duplicate", "warning", message, within)


def _leaks(data: Checked, verdict: Verdict, leaks: list[list[int]]) -> None:
    if leaks:
        message = (
            f"{many(len(leaks), 'picture lies', 'pictures lie')} in more than one split, so the test would measure "
            "what was learnt by heart. Training leaves these copies out; delete them from train."
        )
        verdict.add(data, "leak", "error", message, leaks, [_splits_of(data, group) for group in leaks])


def _groups(data: Checked, verdict: Verdict) -> None:
    """Find groups (one person, one video) that the source's own splits tear apart."""
    members: dict[str, list[int]] = defaultdict(list)
    for place, sample in enumerate(data.source.samples):
        if sample.group is not None and not verdict.left_out[place]:
            members[sample.group].append(place)
    torn = [places for places in members.values() if _straddles(data, places)]
    if not torn:
        return
    message = (
        f"{many(len(torn), 'group has', 'groups have')} samples in more than one split. Training leaves out those "
        "outside the most protected split (test, then val); move the groups, or group otherwise."
    )
    notes = [f"{data.source.samples[places[0]].group}: {_splits_of(data, places)}" for places in torn]
    verdict.add(data, "group-leak", "error", message, torn, notes)
    for places in torn:
        best = min(_PRECEDENCE[data.splits[place]] for place in places)
        group = data.source.samples[places[0]].group
        spread = (place for place in places if _PRECEDENCE[data.splits[place]] > best)
        verdict.leave_out(spread, f"its group {group} is in another split")


def _near_copies(data: Checked, verdict: Verdict) -> None:
    if not data.settings.near_duplicates:
        return
    alike = [
        group.tolist()
        for group in near(data.scan.thumbnails, np.flatnonzero(~verdict.left_out & (data.scan.widths > 0)))
    ]
    verdict.near_groups = tuple(map(tuple, alike))
    alike = [places for places in alike if not _one_group(data, places)]
    two_labels = [places for places in alike if len(set(data.targets[places].tolist())) > 1]
    if two_labels:
        message = (
            f"{many(len(two_labels), 'set')} of nearly equal pictures with more than one label. Look at them: one "
            "label may be wrong."
        )
        notes = [" / ".join(dict.fromkeys(map(data.label, places))) for places in two_labels]
        verdict.add(data, "near-contradiction", "warning", message, two_labels, notes)
    torn = [places for places in alike if _straddles(data, places)]
    if torn:
        message = (
            f"{many(len(torn), 'set')} of nearly equal pictures in more than one split. If they are one picture "
            "saved twice, or frames of one scene, the test measures too well: move them into one split."
        )
        verdict.add(data, "near-leak", "warning", message, torn, [_splits_of(data, places) for places in torn])
    within = [places for places in alike if not _straddles(data, places) and places not in two_labels]
    if within:
        message = (
            f"{many(len(within), 'set')} of nearly equal pictures, {sum(map(len, within)):,} in all. They are "
            "kept. If they are frames of one scene, name the scene with --group-by."
        )
        verdict.add(data, "near-duplicate", "info", message, within)


def _mixture(data: Checked, verdict: Verdict) -> None:
    seen = data.scan.decoded
    modes = np.unique(data.scan.modes[seen])
    if len(modes) > 1:
        names = ", ".join(data.scan.mode_names[mode] for mode in modes)
        message = f"Pictures of several modes ({names}). All are brought to one when they are used."
        verdict.say("mixed-modes", "info", message)
    widths, heights = data.scan.widths[seen], data.scan.heights[seen]
    if len(seen) and (widths.min() != widths.max() or heights.min() != heights.max()):
        message = (
            f"Pictures of several sizes: {widths.min()}…{widths.max()} wide and {heights.min()}…{heights.max()} high, "
            f"the middle one {int(np.median(widths))}×{int(np.median(heights))}. All are brought to one."
        )
        verdict.say("mixed-sizes", "info", message)


def _dim(data: Checked, verdict: Verdict) -> None:
    """Find 16-bit pictures of 10 or 12 bits: of them the upper byte, which is what is seen, holds next to nothing."""
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


def _frames(data: Checked, verdict: Verdict) -> None:
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


def _straddles(data: Checked, places: Sequence[int]) -> bool:
    """Tell whether samples lie in more than one split; one without counts as train."""
    return len({data.splits[place] or "train" for place in places}) > 1


def _one_group(data: Checked, places: Sequence[int]) -> bool:
    groups = {data.source.samples[place].group for place in places}
    return len(groups) == 1 and None not in groups


def _splits_of(data: Checked, places: Sequence[int]) -> str:
    return " and ".join(dict.fromkeys(data.splits[place] or "no split" for place in places))


def _single(data: Checked, verdict: Verdict, code: str, message: str, found: dict[int, str]) -> None:
    """Add an error of single pictures, which training leaves out."""
    verdict.add(data, code, "error", message, [(place,) for place in found], list(found.values()))
    verdict.bad[list(found)] = True
    for place, why in found.items():
        verdict.leave_out([place], f"{code}: {why}")
