"""What the gate concludes from the facts: problems, and what training leaves out.

Shapes: N samples, C classes.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sightsmith.data.facts import Facts
from sightsmith.data.likeness import near, same
from sightsmith.data.settings import GateSettings
from sightsmith.data.source import Problem, Source, many

FATAL = frozenset({"no-pictures", "one-class", "empty-class", "single-picture", "not-in-train"})
"""Errors with which training is impossible."""
BAD = frozenset({"unreadable", "too-many-pixels", "one-pixel", "contradiction"})
"""Errors of single pictures that count against `max_bad`."""

_SPLIT_INDEX = {"train": 0, "val": 1, "test": 2, None: 3}
_PRECEDENCE = {"test": 0, "val": 1, "train": 2, None: 3}
"""Which copy of a picture stays: taking one out of the test would change what is measured."""


@dataclass(slots=True)
class Verdict:
    """What the rules say of N samples.

    Attributes:
        left_out: (N,) training may not use it.
        bad: (N,) it is damaged or contradicts itself.
        counts: (C, 4) usable samples in train, val, test and no split.
        problems: found, in the order of the rules.
        reasons: why each sample is left out, by position.
        near_groups: positions that look nearly the same.
    """

    left_out: NDArray[np.bool_]
    bad: NDArray[np.bool_]
    counts: NDArray[np.int64]
    problems: list[Problem] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    near_groups: tuple[tuple[int, ...], ...] = ()

    def leave_out(self, places: Iterable[int], reason: str) -> None:
        """Leave samples out of training; the first reason stands."""
        for place in places:
            self.left_out[place] = True
            self.reasons.setdefault(place, reason)


@dataclass(frozen=True, slots=True)
class _Data:
    source: Source
    facts: Facts
    settings: GateSettings
    targets: NDArray[np.int64]
    splits: tuple[str | None, ...]

    def keys(self, places: Iterable[int]) -> tuple[str, ...]:
        return tuple(self.source.samples[place].key for place in places)

    def label(self, place: int) -> str:
        target = int(self.targets[place])
        return self.source.classes[target] if target >= 0 else "no label"


def judge(source: Source, facts: Facts, settings: GateSettings) -> Verdict:
    """Apply every rule."""
    count = len(source.samples)
    data = _Data(source, facts, settings, source.targets(), tuple(sample.split for sample in source.samples))
    verdict = Verdict(
        left_out=np.zeros(count, dtype=bool),
        bad=np.zeros(count, dtype=bool),
        counts=np.zeros((len(source.classes), len(_SPLIT_INDEX)), dtype=np.int64),
    )
    rules: Sequence[Callable[[_Data, Verdict], None]] = (
        _failures,
        _small,
        _copies,
        _groups,
        _near_copies,
        _count,
        _classes,
        _balance,
        _names,
        _mixture,
    )
    for rule in rules:
        rule(data, verdict)
    return verdict


def _failures(data: _Data, verdict: Verdict) -> None:
    advice = {
        "unreadable": "cannot be decoded: export again or delete.",
        "too-many-pixels": f"over the bound of {data.settings.max_pixels:,} pixels: make smaller.",
    }
    for code, text in advice.items():
        found = {place: why for place, (kind, why) in sorted(data.facts.failures.items()) if kind == code}
        if found:
            _single(data, verdict, code, f"{many(len(found), 'picture')} {text}", found)


def _small(data: _Data, verdict: Verdict) -> None:
    sides = np.minimum(data.facts.widths, data.facts.heights)
    sizes = {
        place: f"{data.facts.widths[place]}×{data.facts.heights[place]}" for place in np.flatnonzero(sides > 0).tolist()
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
        _add(data, verdict, "tiny-picture", "warning", message, [(place,) for place in tiny], [sizes[p] for p in tiny])


def _copies(data: _Data, verdict: Verdict) -> None:
    groups = [group.tolist() for group in same(data.facts.hashes, data.facts.decoded)]
    contradictions = [group for group in groups if len(set(data.targets[group].tolist())) > 1]
    if contradictions:
        message = (
            f"{many(len(contradictions), 'picture has', 'pictures have')} more than one label. "
            "Training leaves out every copy: decide which label is right and delete the others."
        )
        notes = [" / ".join(dict.fromkeys(map(data.label, group))) for group in contradictions]
        _add(data, verdict, "contradiction", "error", message, contradictions, notes)
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
            f"{many(len(within), 'picture is', 'pictures are')} there more than once ({many(extra, 'copy', 'copies')} too many). "
            "Training uses one of each; delete the others."
        )
        _add(data, verdict, "duplicate", "warning", message, within)


def _leaks(data: _Data, verdict: Verdict, leaks: list[list[int]]) -> None:
    if leaks:
        message = (
            f"{many(len(leaks), 'picture lies', 'pictures lie')} in more than one split, so the test would measure "
            "what was learnt by heart. Training leaves these copies out; delete them from train."
        )
        _add(data, verdict, "leak", "error", message, leaks, [_splits_of(data, group) for group in leaks])


def _groups(data: _Data, verdict: Verdict) -> None:
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
    _add(data, verdict, "group-leak", "error", message, torn, notes)
    for places in torn:
        best = min(_PRECEDENCE[data.splits[place]] for place in places)
        group = data.source.samples[places[0]].group
        spread = (place for place in places if _PRECEDENCE[data.splits[place]] > best)
        verdict.leave_out(spread, f"its group {group} is in another split")


def _near_copies(data: _Data, verdict: Verdict) -> None:
    if not data.settings.near_duplicates:
        return
    alike = [group.tolist() for group in near(data.facts.thumbnails, np.flatnonzero(~verdict.left_out & _seen(data)))]
    verdict.near_groups = tuple(map(tuple, alike))
    alike = [places for places in alike if not _one_group(data, places)]
    two_labels = [places for places in alike if len(set(data.targets[places].tolist())) > 1]
    if two_labels:
        message = (
            f"{many(len(two_labels), 'set')} of nearly equal pictures with more than one label. Look at them: one "
            "label may be wrong."
        )
        notes = [" / ".join(dict.fromkeys(map(data.label, places))) for places in two_labels]
        _add(data, verdict, "near-contradiction", "warning", message, two_labels, notes)
    torn = [places for places in alike if _straddles(data, places)]
    if torn:
        message = (
            f"{many(len(torn), 'set')} of nearly equal pictures in more than one split. If they are one picture "
            "saved twice, or frames of one scene, the test measures too well: move them into one split."
        )
        _add(data, verdict, "near-leak", "warning", message, torn, [_splits_of(data, places) for places in torn])
    within = [places for places in alike if not _straddles(data, places) and places not in two_labels]
    if within:
        message = (
            f"{many(len(within), 'set')} of nearly equal pictures, {sum(map(len, within)):,} in all. They are "
            "kept. If they are frames of one scene, name the scene with --group-by."
        )
        _add(data, verdict, "near-duplicate", "info", message, within)


def _count(data: _Data, verdict: Verdict) -> None:
    usable = ~verdict.left_out & (data.targets >= 0)
    columns = np.array([_SPLIT_INDEX[split] for split in data.splits], dtype=np.int64)
    np.add.at(verdict.counts, (data.targets[usable], columns[usable]), 1)


def _classes(data: _Data, verdict: Verdict) -> None:
    totals = verdict.counts.sum(axis=1)
    if not (~verdict.left_out).any():
        _say(verdict, "no-pictures", "error", "no picture is left that training may use. See the errors above.")
        return
    if np.count_nonzero(totals) == 1:
        only = data.source.classes[int(totals.argmax())]
        message = f"all usable pictures are of one class, {only!r}; telling classes apart needs two. Add another class."
        _say(verdict, "one-class", "error", message)
    empty = _named(data, totals == 0)
    if empty:
        message = (
            f"{many(len(empty), 'class has', 'classes have')} no usable picture: {_list(empty)}. "
            "Add pictures, or remove the class (its folder or its rows)."
        )
        _say(verdict, "empty-class", "error", message)
    _thin(data, verdict, totals)
    _per_split(data, verdict)


def _thin(data: _Data, verdict: Verdict, totals: NDArray[np.int64]) -> None:
    single = _named(data, totals == 1)
    if single:
        message = (
            f"{many(len(single), 'class has', 'classes have')} one usable picture, which cannot be both learnt from "
            f"and tested on: {_list(single)}. Add pictures, or remove the class."
        )
        _say(verdict, "single-picture", "error", message)
    tiny = _named(data, (totals > 1) & (totals < data.settings.tiny_class))
    if tiny:
        message = (
            f"{many(len(tiny), 'class has', 'classes have')} fewer than {data.settings.tiny_class} usable pictures: "
            f"{_list(tiny)}. Expect little of them; add pictures, or merge classes."
        )
        _say(verdict, "tiny-class", "warning", message)


def _per_split(data: _Data, verdict: Verdict) -> None:
    """Find classes that a split of the source lacks."""
    train, val, test, open_ = verdict.counts.T
    pool = train + open_
    missing = _named(data, (pool == 0) & (val + test > 0))
    if missing and pool.any():
        message = (
            f"{many(len(missing), 'class has', 'classes have')} pictures in val or test but none to learn from: "
            f"{_list(missing)}. Add pictures to train, or remove the class."
        )
        _say(verdict, "not-in-train", "error", message)
    for name, column in (("val", val), ("test", test)):
        untested = _named(data, (column == 0) & (pool > 0)) if column.any() else []
        if untested:
            message = (
                f"{many(len(untested), 'class has', 'classes have')} no picture in {name}, so nothing is measured of "
                f"them: {_list(untested)}. Move some there."
            )
            _say(verdict, f"not-in-{name}", "warning", message)


def _balance(data: _Data, verdict: Verdict) -> None:
    totals = verdict.counts.sum(axis=1)
    present = totals[totals > 0]
    if len(present) < 2 or present.max() <= data.settings.imbalance * present.min():
        return
    most = int(totals.argmax())
    least = int(np.where(totals > 0, totals, totals.max() + 1).argmin())
    message = (
        f"{data.source.classes[most]!r} has {totals[most]:,} pictures and {data.source.classes[least]!r} "
        f"{totals[least]:,}, {totals[most] / totals[least]:.0f} times fewer. Judge by the averaged recall, not by the "
        "accuracy, and train with class weights or balanced sampling."
    )
    _say(verdict, "imbalance", "warning", message)


def _names(data: _Data, verdict: Verdict) -> None:
    folded: dict[str, list[str]] = defaultdict(list)
    for name in data.source.classes:
        folded["".join(name.casefold().split()).replace("_", "").replace("-", "")].append(name)
    for names in folded.values():
        if len(names) > 1:
            message = f"the classes {_list(names)} differ only in case, spaces or dashes. Merge them if they are one."
            _say(verdict, "alike-names", "warning", message)


def _mixture(data: _Data, verdict: Verdict) -> None:
    seen = data.facts.decoded
    modes = np.unique(data.facts.modes[seen])
    if len(modes) > 1:
        names = ", ".join(data.facts.mode_names[mode] for mode in modes)
        message = f"Pictures of several modes ({names}). All are brought to one when they are used."
        _say(verdict, "mixed-modes", "info", message)
    widths, heights = data.facts.widths[seen], data.facts.heights[seen]
    if len(seen) and (widths.min() != widths.max() or heights.min() != heights.max()):
        message = (
            f"Pictures of several sizes: {widths.min()}…{widths.max()} wide and {heights.min()}…{heights.max()} high, "
            f"the middle one {int(np.median(widths))}×{int(np.median(heights))}. All are brought to one."
        )
        _say(verdict, "mixed-sizes", "info", message)


def _seen(data: _Data) -> NDArray[np.bool_]:
    return data.facts.widths > 0


def _straddles(data: _Data, places: Sequence[int]) -> bool:
    """Tell whether samples lie in more than one split; one without counts as train."""
    return len({data.splits[place] or "train" for place in places}) > 1


def _one_group(data: _Data, places: Sequence[int]) -> bool:
    groups = {data.source.samples[place].group for place in places}
    return len(groups) == 1 and None not in groups


def _splits_of(data: _Data, places: Sequence[int]) -> str:
    return " and ".join(dict.fromkeys(data.splits[place] or "no split" for place in places))


def _named(data: _Data, which: NDArray[np.bool_]) -> list[str]:
    return [data.source.classes[index] for index in np.flatnonzero(which)]


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10:,} more" if len(names) > 10 else "")


def _single(data: _Data, verdict: Verdict, code: str, message: str, found: dict[int, str]) -> None:
    """Add an error of single pictures, which training leaves out."""
    _add(data, verdict, code, "error", message, [(place,) for place in found], list(found.values()))
    verdict.bad[list(found)] = True
    for place, why in found.items():
        verdict.leave_out([place], f"{code}: {why}")


def _add(
    data: _Data,
    verdict: Verdict,
    code: str,
    severity: str,
    message: str,
    groups: Iterable[Sequence[int]],
    notes: Sequence[str] = (),
) -> None:
    keys = tuple(data.keys(group) for group in groups)
    verdict.problems.append(
        Problem(code=code, severity=severity, message=message, groups=keys, notes=tuple(notes))  # type: ignore[arg-type]
    )


def _say(verdict: Verdict, code: str, severity: str, message: str) -> None:
    verdict.problems.append(Problem(code=code, severity=severity, message=message))  # type: ignore[arg-type]
