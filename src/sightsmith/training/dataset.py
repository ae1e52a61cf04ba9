"""The data of a training: opened, checked, split; everything skipped is counted and named."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.command import say
from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.records import SPLITS, Split
from sightsmith.data.gate import GateReport, check, require_usable
from sightsmith.data.picture_index import PictureIndex
from sightsmith.data.settings import GateSettings
from sightsmith.data.source import Source, open_source
from sightsmith.data.splits import Splits, SplitSettings, assign, fingerprint, k_folds
from sightsmith.kinds import KINDS
from sightsmith.training.settings import TrainSettings

if TYPE_CHECKING:
    from sightsmith.training.task import TaskChoice


@dataclass(frozen=True)
class Subset:
    """The pictures of one split."""

    pictures: PictureIndex  # their references, packed
    targets: NDArray[Any]  # first axis N, as the kind of answer makes them
    strata_N: NDArray[np.int64]  # number of each one's stratum (of labels the class)

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Dataset:
    """The data of a training."""

    source: Source
    gate: GateReport
    splits: Splits  # which sample is in which split

    def part(self, split: Split) -> Subset:
        samples = [self.source.samples[place] for place in self.splits.indices(split, self.source)]
        kind, truths = KINDS.module(self.source.kind), [sample.target for sample in samples]
        pictures = PictureIndex(sample.picture for sample in samples)
        return Subset(pictures, kind.targets(truths, self.source.names), kind.strata(truths))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the keys, contents and labels."""
        return fingerprint(self.source, self.gate.kept, self.gate.hashes)

    def to_json(self) -> dict[str, Any]:
        """Return the bundle's record of the data."""
        return {
            "location": self.source.location,
            "format": self.source.format,
            "fingerprint": self.fingerprint,
            "fingerprints": {
                split: fingerprint(self.source, self.splits.indices(split, self.source), self.gate.hashes)
                for split, count in self.splits.counts().items()
                if count
            },
            "counts": dict(self.splits.counts()),
            "licence": self.source.licence,
            "names": {str(number): name for number, name in self.source.given_names.items()} or None,
            "skipped": len(self.gate.skipped) + self.gate.lost,
        }


def load_dataset(settings: TrainSettings, *, quiet: bool = False) -> Dataset:
    """Open, check and split the data of a training.

    Raises DataError: the data cannot be used; too much of it is unusable; or a split that training needs is empty.
    """
    source = open_source(settings.data, settings)
    if settings.task or settings.balanced:
        _task(settings, source)  # report a wrong setting before all pictures are checked
    gate = check(source, GateSettings(near_duplicates=settings.near_duplicates), quiet=quiet)
    require_usable(gate, settings.max_bad)
    splits = _split(settings, source, gate, _task(settings, source).calibration().share)
    counts = splits.counts()
    for split in ("train", "val"):
        if counts[split] == 0:
            raise DataError(
                f"{source.location}: no picture is left for the {split} split of {len(gate.kept):,} usable ones. "
                f"{_way_out(gate)}"
            )
    return Dataset(source, gate, splits)


def collapsed(dataset: Dataset, settings: TrainSettings) -> str:
    """Return which splits got less than half of their share because near-duplicates stay together; else empty."""
    counts, gate = dataset.splits.counts(), dataset.gate
    wanted: dict[Split, float] = (
        {} if settings.folds else {"val": settings.val_fraction, "test": settings.test_fraction}
    )
    named = {sample.split for sample in dataset.source.samples}
    short = [
        f"{split} has {many(counts[split], 'picture')} instead of about {round(share * len(gate.kept)):,}"
        for split, share in wanted.items()
        if split not in named and counts[split] < share * len(gate.kept) / 2 - 1
    ]
    largest = max(map(len, gate.near_groups), default=0)
    if not short or 4 * largest < len(gate.kept):
        return ""
    return f"{' and '.join(short)}: {_ALIKE.format(largest)}"


def untrained(dataset: Dataset) -> list[str]:
    """Return the classes that have pictures, none of them in train: whole groups or nearly equal ones are in one split.

    Only cross-validation can cause this; a single split prevents it.
    """
    source, kind = dataset.source, KINDS.module(dataset.source.kind)
    have: dict[Split, set[int]] = {}
    for split in SPLITS:
        truths = [source.samples[place].target for place in dataset.splits.indices(split, source)]
        have[split] = set(kind.pairs(truths)[1].tolist())
    return [source.names[at] for at in sorted(set().union(*have.values()) - have["train"])]


_TOLD = ("name-and-path", "not-a-picture")
"""Codes of informational findings that are printed before training."""
_ALIKE = (
    "{:,} pictures form one near-duplicate group and stay in one split. If they are different things that look alike "
    "(a fixed camera), give --no-near-duplicates."
)


def _way_out(gate: GateReport) -> str:
    largest = max(map(len, gate.near_groups), default=0)
    if 4 * largest >= len(gate.kept):
        return _ALIKE.format(largest)
    return "Add pictures, or give --val-fraction a larger share."


def _task(settings: TrainSettings, source: Source) -> "TaskChoice":
    from sightsmith.training.task import choose_task  # imports torch, which takes seconds

    return choose_task(settings, source.kind)


def _split(settings: TrainSettings, source: Source, gate: GateReport, calibration: float) -> Splits:
    together = gate.near_groups
    if settings.folds:
        folds = k_folds(
            source,
            gate.kept,
            settings.folds,
            settings.seed,
            together=together,
            calibration_fraction=calibration,
        )
        return folds[settings.fold]
    fractions = SplitSettings(
        val_fraction=settings.val_fraction,
        test_fraction=settings.test_fraction,
        calibration_fraction=calibration,
        seed=settings.seed,
    )
    return assign(source, gate.kept, fractions, together=together)


def report_dataset(dataset: Dataset, settings: TrainSettings) -> None:
    """Print the findings that matter to a training, and the counts."""
    gate = dataset.gate
    told = [problem for problem in gate.problems if problem.severity == "info" and problem.code in _TOLD]
    for problem in (*gate.errors, *gate.warnings, *told):
        say(problem.to_text())
    if collapse := collapsed(dataset, settings):
        say(f"warning: {collapse}")
    if names := untrained(dataset):
        say(
            f"warning: train has no picture of {', '.join(names)}: whole groups, or nearly equal pictures, are in one "
            "fold. Validation has classes that training has not; give such classes more groups."
        )
    counts = ", ".join(f"{count:,} {split}" for split, count in dataset.splits.counts().items())
    left_out = len(gate.skipped) + gate.lost
    say(f"{dataset.source.location}: {many(len(gate.kept), 'picture')} ({counts}), {left_out:,} left out.")
