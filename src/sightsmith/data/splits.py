"""Assigning samples to train, val and test: seeded, stratified, without splitting groups.

The place of a sample depends on the seed, its key, its class and its group, never on the order of the samples.

Shapes: N samples.
"""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError, SettingsError
from sightsmith.core.records import PARTS, SPLITS, Sample, Split
from sightsmith.data.settings import SplitSettings as SplitSettings
from sightsmith.data.source import Source

_DEFAULTS = SplitSettings()
_Counts = dict[int, NDArray[np.float64]]  # How many samples of each class each bin has


@dataclass(frozen=True, slots=True)
class Splits:
    of: Mapping[str, Split]

    def indices(self, split: Split, source: Source) -> NDArray[np.int64]:
        """Return the positions of a split's samples in the source, in the source's order.

        Raises DataError: the source lacks samples of the split: it is not the data that was split.
        """
        wanted = sum(name == split for name in self.of.values())
        found = [place for place, sample in enumerate(source.samples) if self.of.get(sample.key) == split]
        if len(found) != wanted:
            here = {sample.key for sample in source.samples}
            lost = sorted(key for key, name in self.of.items() if name == split and key not in here)
            share = f"of {wanted:,} samples of the {split} split"
            raise DataError(
                f"{source.location}: {many(len(lost), f'{share} is', f'{share} are')} not in it, such as {lost[0]!r}. "
                "Point at the data that was split, unchanged."
            )
        return np.array(found, dtype=np.int64)

    def counts(self) -> dict[Split, int]:
        counts = Counter(self.of.values())
        return {split: counts[split] for split in PARTS if split in SPLITS or counts[split]}

    def digest(self) -> str:
        """Return a SHA-256 of the split of each sample, independent of their order."""
        lines = sorted(f"{key}\0{split}" for key, split in self.of.items())
        return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()

    def to_json(self) -> dict[str, list[str]]:
        return {split: [key for key, own in self.of.items() if own == split] for split in self.counts()}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read splits back. Raises DataError: an unknown split, or a key in two of them."""
        of: dict[str, Split] = {}
        unknown = sorted(set(raw) - set(PARTS))
        if unknown:
            raise DataError(f"splits: unknown split {unknown[0]!r}; there are {', '.join(PARTS)}.")
        for split in PARTS:
            for key in raw.get(split, ()):
                if key in of:
                    raise DataError(f"splits: {key!r} is in {of[key]} and in {split}; a sample has one split.")
                of[key] = split
        return cls(of)


def assign(
    source: Source,
    kept: NDArray[np.integer],
    settings: SplitSettings = _DEFAULTS,
    *,
    together: Iterable[Sequence[int]] = (),
) -> Splits:
    """Give each kept sample a split.

    A split that the source names stays as it is. One that it does not name is carved out of the samples of its
    train split and those it leaves open: so train + test gets a val, train + val gets a test, by the fractions.

    Without groups each class is within 1 of its share in each split and never absent from train. With groups the
    shares are as near as whole groups allow; a class with as many groups as there are splits is in all of them,
    and any class is in train.

    Args:
        kept: positions of the samples to split.
        together: positions that must share a split besides the groups, such as near duplicates.

    Raises DataError: nothing is left to train on, or a group is in two splits of the source.
    """
    samples = [source.samples[place] for place in kept]
    named = {sample.split for sample in samples if sample.split is not None}
    of: dict[str, Split] = {sample.key: sample.split for sample in samples if sample.split in {"val", "test"}}
    pool = [place for place in kept.tolist() if source.samples[place].split in {"train", None}]
    if not pool:
        raise DataError(
            f"{source.location}: nothing to train on, all {len(samples):,} usable samples are in "
            f"{' and '.join(sorted(named))}. Add a train split, or leave the splits out."
        )
    _check_groups(source, samples, ("val", "test"))
    wanted: dict[Split, float] = {
        "val": settings.val_fraction,
        "test": settings.test_fraction,
        "calibration": settings.calibration_fraction,
    }
    fractions = {split: share for split, share in wanted.items() if split not in named and share > 0}
    shares = [1 - sum(fractions.values()), *fractions.values()]
    units = _units(source, pool, together, settings.seed, stratified=settings.stratified)
    names: list[Split] = ["train", *fractions]
    of |= _by_key(source, units, [names[bin_] for bin_ in _deal(units, shares, first_has_all=settings.stratified)])
    return Splits({sample.key: of[sample.key] for sample in samples})


def k_folds(
    source: Source,
    kept: NDArray[np.integer],
    k: int,
    seed: int = 0,
    *,
    stratified: bool = True,
    together: Iterable[Sequence[int]] = (),
    calibration_fraction: float = 0.0,
) -> list[Splits]:
    """Split k times so that each sample is in val once; a test split of the source stays the test of every fold.

    Raises:
        DataError: there are fewer samples (or groups) than folds.
        SettingsError: k is below 2.
    """
    if k < 2:
        raise SettingsError(f"splits: folds must be at least 2, got {k}")
    samples = [source.samples[place] for place in kept]
    _check_groups(source, samples, ("test",))
    pool = [place for place in kept.tolist() if source.samples[place].split != "test"]
    units = _units(source, pool, together, seed, stratified=stratified)
    if len(units) < k:
        raise DataError(f"{source.location}: {k} folds need {k} samples or groups, got {len(units)}.")
    fold_of = _deal(units, [1 / k] * k, first_has_all=False)
    folds = []
    for fold in range(k):
        of: dict[str, Split] = {sample.key: "test" for sample in samples}
        of |= _by_key(source, units, ["val" if other == fold else "train" for other in fold_of])
        if calibration_fraction:
            training = [unit for unit, other in zip(units, fold_of, strict=True) if other != fold]
            bins = _deal(training, [1 - calibration_fraction, calibration_fraction], first_has_all=stratified)
            of |= _by_key(source, training, ["calibration" if bin_ else "train" for bin_ in bins])
        folds.append(Splits(of))
    return folds


def fingerprint(source: Source, kept: NDArray[np.integer], hashes: NDArray[np.uint8] | None = None) -> str:
    """Return the SHA-256 of the kept samples' keys, contents and labels, in any order of the samples.

    The content hashes of all samples, (N, 32), are computed unless `GateReport.hashes` are given.
    """
    lines = []
    for place in kept.tolist():
        sample = source.samples[place]
        content = hashes[place].tobytes() if hashes is not None else source.content_hash(sample)
        lines.append(f"{sample.key}\0{content.hex()}\0{source.truth_text(sample)}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _check_groups(source: Source, samples: Sequence[Sample], fixed: Sequence[Split]) -> None:
    split_of: dict[str, str | None] = {}
    for sample in samples:
        split = sample.split if sample.split in fixed else "train"
        if sample.group is not None and split_of.setdefault(sample.group, split) != split:
            raise DataError(
                f"{source.location}: group {sample.group!r} has samples in {split_of[sample.group]} and in {split}; a "
                "group belongs to one split. Move them, or group otherwise."
            )


@dataclass(slots=True)
class _Unit:
    """Samples that stay together: their `places` in the source, and how many of each class."""

    places: list[int]
    per_class: Counter[int]


def _units(
    source: Source, pool: Sequence[int], together: Iterable[Sequence[int]], seed: int, *, stratified: bool
) -> list[_Unit]:
    """Return the units in random order, which depends only on the seed and their names."""
    own = {
        place: f"key\0{sample.key}" if (sample := source.samples[place]).group is None else f"group\0{sample.group}"
        for place in pool
    }
    root = {name: name for name in own.values()}

    def find(name: str) -> str:
        while root[name] != name:
            root[name] = name = root[root[name]]
        return name

    for places in together:
        found = {find(own[place]) for place in places if place in own}
        for name in found:
            root[name] = min(found)
    members: dict[str, list[int]] = defaultdict(list)
    for place in pool:
        members[find(own[place])].append(place)
    drawn = sorted(members, key=lambda name: hashlib.sha256(f"{seed}\0{name}".encode()).digest())
    strata_N = source.strata() if stratified else np.zeros(len(source.samples), dtype=np.int64)
    return [_Unit(members[name], Counter(strata_N[members[name]].tolist())) for name in drawn]


def _by_key(source: Source, units: Sequence[_Unit], splits: Sequence[Split]) -> dict[str, Split]:
    return {
        source.samples[place].key: split for unit, split in zip(units, splits, strict=True) for place in unit.places
    }


def _deal(units: Sequence[_Unit], shares: Sequence[float], *, first_has_all: bool) -> list[int]:
    """Return the bin of each unit, in the order of the draw, so that each class is spread by the shares of the bins.

    The shares add up to 1. With `first_has_all` each class is in bin 0.
    """
    have: _Counts = defaultdict(lambda: np.zeros(len(shares)))
    want = _wanted(units, shares)
    bins = np.full(len(units), -1)
    large = [place for place, unit in enumerate(units) if len(unit.places) > 1]
    for place in sorted(large, key=lambda place: -len(units[place].places)):
        bins[place] = bin_ = _best_bin(units[place], have, want)
        for label, count in units[place].per_class.items():
            have[label][bin_] += count
    _deal_single(units, bins, have, want, first_has_all=first_has_all)
    if first_has_all:
        _bring_to_first(units, bins)
    return bins.tolist()


def _wanted(units: Sequence[_Unit], shares: Sequence[float]) -> _Counts:
    """Return how many of each class each bin should get: its share, but a whole unit if there are enough."""
    samples: Counter[int] = Counter()
    holders: Counter[int] = Counter()
    for unit in units:
        samples.update(unit.per_class)
        holders.update(unit.per_class.keys())
    want: _Counts = {}
    for label, count in samples.items():
        of_bin = count * np.asarray(shares)
        if count > holders[label] >= len(shares):
            of_bin[1:] = np.maximum(of_bin[1:], count / holders[label])
            of_bin[0] = count - of_bin[1:].sum()
        want[label] = of_bin
    return want


def _best_bin(unit: _Unit, have: _Counts, want: _Counts) -> int:
    """Return the bin that the unit brings closest to its target counts; on ties the one with the largest deficit."""
    errors = [
        count * (2 * (have[label] - want[label]) + count) / want[label].sum() for label, count in unit.per_class.items()
    ]
    error = np.sum(errors, axis=0)
    equal = np.flatnonzero(error <= error.min() + 1e-9)
    lack = np.sum([want[label] - have[label] for label in want], axis=0)
    return int(equal[np.argmax(lack[equal])])


def _deal_single(
    units: Sequence[_Unit], bins: NDArray[np.int64], have: _Counts, want: _Counts, *, first_has_all: bool
) -> None:
    """Assign units of one sample to bins: each class's share is rounded, with rounding errors carried over."""
    members: dict[int, list[int]] = defaultdict(list)
    for place in np.flatnonzero(bins < 0).tolist():
        members[next(iter(units[place].per_class))].append(place)
    debt = np.zeros(len(next(iter(want.values()))))
    for label in sorted(members):
        lacking = np.maximum(want[label] - have[label], 0)
        share = lacking / lacking.sum() if lacking.any() else np.ones(len(lacking)) / len(lacking)
        counts, debt = _round(share * len(members[label]), debt, need_first=first_has_all and have[label][0] == 0)
        bins[members[label]] = np.repeat(np.arange(len(counts)), counts)


def _round(
    expected: NDArray[np.float64], debt: NDArray[np.float64], *, need_first: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Round to integers with the same sum; those that earlier classes rounded down most are rounded up first."""
    counts = np.floor(np.round(expected, 9)).astype(np.int64)
    fraction = expected - counts
    left = round(float(expected.sum())) - int(counts.sum())
    up = np.argsort(-np.where(fraction > 1e-9, fraction + debt, -math.inf), kind="stable")[:left]
    counts[up] += 1
    if need_first and counts[0] == 0:
        giver = min(up, key=lambda place: fraction[place] + debt[place])
        counts[giver] -= 1
        counts[0] += 1
    return counts, debt + expected - counts


def _bring_to_first(units: Sequence[_Unit], bins: NDArray[np.int64]) -> None:
    """Move a unit of each class that bin 0 lacks into bin 0."""
    present = {label for unit, bin_ in zip(units, bins, strict=True) if bin_ == 0 for label in unit.per_class}
    for place in sorted(range(len(units)), key=lambda place: len(units[place].places)):
        if bins[place] and not units[place].per_class.keys() <= present:
            bins[place] = 0
            present |= units[place].per_class.keys()
