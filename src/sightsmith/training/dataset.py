"""The data of a training: opened, checked, split; everything skipped is counted and named."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.command import say
from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.ports import Arrays
from sightsmith.core.records import Split
from sightsmith.data.gate import GateReport, check, require_usable
from sightsmith.data.picture_index import PictureIndex
from sightsmith.data.settings import GateSettings
from sightsmith.data.source import Source, open_source
from sightsmith.data.splits import Splits, SplitSettings, assign, fingerprint, k_folds
from sightsmith.inputs import INPUTS, Reader
from sightsmith.kinds import KINDS
from sightsmith.kinds.parts.intervals import group_indices
from sightsmith.training.settings import TrainSettings

if TYPE_CHECKING:
    from sightsmith.data.pixels import RamCache
    from sightsmith.training.task import TaskChoice

_TOLD = ("name-and-path", "not-a-picture")  # Codes of informational findings that are printed before training


@dataclass(frozen=True)
class Subset:
    """The pictures of one split."""

    pictures: PictureIndex  # their references, packed
    targets: NDArray[Any]  # first axis N, as the kind of answer makes them
    strata_N: NDArray[np.int64]  # number of each one's stratum (of labels the class)
    groups_N: NDArray[np.integer]  # number of each one's group, of its own if it has none

    def __len__(self) -> int:
        return len(self.targets)

    @cached_property
    def _in_memory(self) -> dict[tuple[str, Reader], Any]:
        return {}

    def ready(self, read: Reader, *, quiet: bool = False) -> Arrays:
        """Return the inputs of all; they are kept for another net that reads them alike. Raises as `load_all`."""
        from sightsmith.data.pixels import load_all  # imports torch, which takes seconds

        kept = self._in_memory
        if ("ready", read) not in kept:
            kept["ready", read] = load_all(self.pictures, read, quiet=quiet)
        return kept["ready", read]

    def decoded(self, read: Reader, *, quiet: bool = False) -> "RamCache":
        """Return them decoded, little larger than the input, kept likewise. Raises as `RamCache`."""
        from sightsmith.data.pixels import RamCache  # imports torch, which takes seconds

        kept = self._in_memory
        if ("decoded", read) not in kept:
            kept["decoded", read] = RamCache(self.pictures, read, quiet=quiet)
        return kept["decoded", read]

    def spread(self, most: int) -> "Subset":
        """Return at most so many of the pictures, evenly spaced over their order, which may be by class."""
        if len(self) <= most:
            return self
        places_M = np.arange(most) * len(self) // most
        pictures = PictureIndex(self.pictures[place] for place in places_M.tolist())
        return Subset(pictures, self.targets[places_M], self.strata_N[places_M], self.groups_N[places_M])


@dataclass(frozen=True)
class Dataset:
    """The data of a training."""

    source: Source
    gate: GateReport
    splits: Splits  # which sample is in which split

    @cached_property
    def _parts(self) -> dict[Split, Subset]:
        return {}

    def part(self, split: Split) -> Subset:
        """Return the items of a split, always the same object, so that what it keeps in memory serves every net."""
        if split not in self._parts:
            self._parts[split] = self._part(split)
        return self._parts[split]

    @property
    def nouns(self) -> tuple[str, str]:
        """An item of the data, singular and plural, for messages: picture, or clip."""
        nouns: tuple[str, str] = INPUTS.module(self.source.input).NOUNS
        return nouns

    def _part(self, split: Split) -> Subset:
        samples = [self.source.samples[place] for place in self.splits.indices(split, self.source)]
        kind, truths = KINDS.module(self.source.kind), [sample.target for sample in samples]
        pictures = PictureIndex(sample.item for sample in samples)
        groups_N = group_indices([sample.group or "" for sample in samples])
        return Subset(pictures, kind.targets(truths, self.source.names), kind.strata(truths), groups_N)

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
        _calibration_share(settings, source)  # report a wrong setting before all pictures are checked
    fewest = 1 if settings.task and _task(settings, source).reads_other_input else 2
    size = {"input_size": settings.size} if settings.size else {}
    judged = GateSettings(near_duplicates=settings.near_duplicates, fewest_names=fewest, **size)
    gate = check(source, judged, quiet=quiet)
    require_usable(gate, settings.max_bad)
    splits = _split(settings, source, gate)
    counts = splits.counts()
    one, several = INPUTS.module(source.input).NOUNS
    for split in ("train", "val"):
        if counts[split] == 0:
            raise DataError(
                f"{source.location}: no {one} is left for the {split} split of {len(gate.kept):,} usable ones. "
                f"{_large_group(gate, several) or f'Add {several}, or give --val-fraction a larger share.'}"
            )
    return Dataset(source, gate, splits)


def _calibration_share(settings: TrainSettings, source: Source) -> float:
    """Return the share of the samples that the task holds out. Raises SettingsError: a setting of the task is wrong."""
    return _task(settings, source).calibration().share


def _task(settings: TrainSettings, source: Source) -> "TaskChoice":
    from sightsmith.training.task import choose_task  # imports torch, which takes seconds

    return choose_task(settings, source.kind, source.input)


def _split(settings: TrainSettings, source: Source, gate: GateReport) -> Splits:
    together, share = gate.near_groups, _calibration_share(settings, source)
    if settings.folds:
        k, seed = settings.folds, settings.seed
        folds = k_folds(source, gate.kept, k, seed, together=together, calibration_fraction=share)
        return folds[settings.fold]
    fractions = SplitSettings(
        val_fraction=settings.val_fraction,
        test_fraction=settings.test_fraction,
        calibration_fraction=share,
        seed=settings.seed,
    )
    return assign(source, gate.kept, fractions, together=together)


def _large_group(gate: GateReport, nouns: str) -> str:
    """Return a warning if near duplicates are a group of a quarter of the items or more; else nothing."""
    largest = max(map(len, gate.near_groups), default=0)
    if 4 * largest < len(gate.kept):
        return ""
    return (
        f"{largest:,} {nouns} form one near-duplicate group and stay in one split. If they are different things that "
        "look alike (a fixed camera), give --no-near-duplicates."
    )


def report_dataset(dataset: Dataset, settings: TrainSettings) -> None:
    """Print the findings that matter to a training, and the counts."""
    gate, counts, (one, several) = dataset.gate, dataset.splits.counts(), dataset.nouns
    told = [problem for problem in gate.problems if problem.severity == "info" and problem.code in _TOLD]
    for problem in (*gate.errors, *gate.warnings, *told):
        say(problem.to_text())
    if (short := _short_splits(dataset, settings)) and (reason := _large_group(gate, several)):
        say(f"warning: {' and '.join(short)}: {reason}")
    if names := _untrained(dataset):
        say(
            f"warning: train has no {one} of {', '.join(names)}: whole groups, or nearly equal {several}, are in one "
            "fold. Validation has classes that training has not; give such classes more groups."
        )
    shown = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    left_out = len(gate.skipped) + gate.lost
    say(f"{dataset.source.location}: {many(len(gate.kept), one)} ({shown}), {left_out:,} left out.")


def _short_splits(dataset: Dataset, settings: TrainSettings) -> list[str]:
    """Return which splits got less than half of their share, because groups stay together."""
    if settings.folds:
        return []
    counts, total = dataset.splits.counts(), len(dataset.gate.kept)
    named = {sample.split for sample in dataset.source.samples}
    wanted: dict[Split, float] = {"val": settings.val_fraction * total, "test": settings.test_fraction * total}
    return [
        f"{split} has {many(counts[split], dataset.nouns[0])} instead of about {round(count):,}"
        for split, count in wanted.items()
        if split not in named and counts[split] < count / 2 - 1
    ]


def _untrained(dataset: Dataset) -> list[str]:
    """Return the classes that have pictures, none of them in train."""
    # Only cross-validation can cause this, with whole groups or nearly equal pictures in one fold.
    source = dataset.source
    truths = [source.samples[place].target for place in dataset.splits.indices("train", source)]
    learned_M = KINDS.module(source.kind).pairs(truths)[1]
    return [source.names[index] for index in np.setdiff1d(np.flatnonzero(dataset.gate.counts.any(axis=1)), learned_M)]
