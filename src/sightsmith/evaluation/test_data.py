"""Which labelled samples a model is measured on: a stored split of its own data, or other data with its classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sightsmith.bundle.definition import Definition
from sightsmith.bundle.own_data import named_as_trained, open_own, own_options
from sightsmith.bundle.store import Bundle
from sightsmith.core.counts import first_few, many
from sightsmith.core.errors import DataError, PictureError, SettingsError
from sightsmith.core.images import printable
from sightsmith.core.names import did_you_mean
from sightsmith.core.records import SPLITS, Sample, Split
from sightsmith.data.source import Source, SourceOptions, open_source
from sightsmith.data.sources.parts.names import split_named
from sightsmith.data.splits import Splits, fingerprint
from sightsmith.evaluation.record import Skipped
from sightsmith.evaluation.settings import EvaluateSettings
from sightsmith.inputs import INPUTS, nouns_of
from sightsmith.kinds import KINDS

_OTHER = "other data with --data (of `export`: --prove)"
_ANY = SourceOptions()
_NAMED = 8  # Class names listed in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationData:
    """Samples to measure a model on; their targets are indices of the model's classes."""

    samples: Sequence[Sample]
    location: str
    format: str  # the source's format
    split: str  # which split, or "all"
    own: bool  # whether they are from the data the model was trained on
    input: str  # that has the samples as its items
    content_hash: Callable[[Sample], bytes]  # gives the SHA-256 of a sample's picture
    # pictures that were asked for and cannot be used: files, rows or labels that are missing or wrong
    skipped: tuple[Skipped, ...] = ()
    warning: str = ""  # why the figures may mislead, or empty

    @property
    def nouns(self) -> tuple[str, str]:
        """A sample, singular and plural."""
        return nouns_of(self.input)

    def to_json(self) -> dict[str, Any]:
        facts = {"location": self.location, "format": self.format, "split": self.split, "own": self.own}
        return facts | ({"warning": self.warning} if self.warning else {})


def open_evaluation_data(bundle: Bundle, settings: EvaluateSettings) -> EvaluationData:
    """Return the samples that a command's arguments name: a split of the own data, or other data.

    Raises:
        SettingsError: `data` names one split and `split` another, or the options say how to read own data.
        DataError: the data cannot be used.
    """
    data, split, missing_ok = settings.data, settings.split, settings.missing_ok
    named = next((name for name in SPLITS if name == data), None) if isinstance(data, str) else None
    if data is not None and named is None:
        return given_data(bundle, data, settings, split, missing_ok=missing_ok)
    if named and split not in ("test", named):
        raise SettingsError(f"the data {data!r} is the model's own {named} split, and --split says {split}. Drop one.")
    reading = ("format", "label_by", "frames_by", "frame_rate", "target", "unit", "names")
    given = [name for name in reading if getattr(settings, name) is not None]
    if given:
        raise SettingsError(
            f"{', '.join(given)}: the model's own data is read as at its training. Drop it, or name other data with "
            "--data."
        )
    chosen = own_split(bundle, named or split, group_by=settings.group_by, missing_ok=missing_ok)
    if named and Path(named).exists():
        note = f"{named!r} is the model's own split; for the data beside it of that name write ./{named}"
        chosen = replace(chosen, warning=note)
    return chosen


def own_split(
    bundle: Bundle, split: Split = "test", *, group_by: str | None = None, missing_ok: bool = False
) -> EvaluationData:
    """Return the samples that training put into a split.

    Args:
        group_by: column or pattern that names the group of a sample; None takes that of the training.

    Raises DataError: the data is gone or has changed, or the split lacks samples.
    """
    location = bundle.manifest.data.get("location")
    if not location:
        raise DataError(f"{bundle.path}: its training data is not recorded. Give {_OTHER}.")
    splits = Splits.from_json(bundle.splits())
    _check_split(bundle, splits, split)
    try:
        source = open_own(bundle, group_by)
    except DataError as error:
        if Path(location).exists():
            raise
        raise DataError(
            f"{error} The model was trained on it; if it has moved, give the new place with --data (of `export`: "
            "--prove)."
        ) from error
    _check_same(bundle, source, splits, split)
    return _of_own(bundle, source, splits, split, missing_ok)


class Turned(NamedTuple):
    """Samples as a model is asked about them, the first three in one order."""

    samples: list[Sample]
    items: list[Any]  # that the model is asked
    truths: list[Any]  # to compare its answers with
    skipped: list[Skipped]  # samples whose truth is a picture that cannot be read


def turned(definition: Definition, samples: Sequence[Sample]) -> Turned:
    """Return what a model is asked about samples, and the truths to compare its answers with."""
    source, kind = INPUTS.module(definition.input), KINDS.module(definition.kind)
    used, skipped = list(samples), []
    truths = [sample.target for sample in samples]
    if hasattr(kind, "truth_of"):
        used, truths = [], []
        for sample in samples:
            try:
                truths.append(kind.truth_of(sample, definition.input_settings))
                used.append(sample)
            except PictureError as error:
                skipped.append(Skipped(key=printable(sample.key), why=f"{error}"))
    items = (
        source.asked(used, definition.input_settings) if hasattr(source, "asked") else [sample.item for sample in used]
    )
    return Turned(used, items, truths, skipped)


def _check_same(bundle: Bundle, source: Source, splits: Splits, split: Split) -> None:
    """Raise if the pictures of a split have changed since training; equal names are not enough."""
    wanted = bundle.manifest.data.get("fingerprints", {}).get(split)
    if wanted is None:
        return
    try:
        found = fingerprint(source, splits.indices(split, source))
    except OSError as error:
        raise DataError(
            f"{source.location}: a {nouns_of(source.input)[0]} of the {split} split cannot be read ({error})."
        ) from error
    if found != wanted:
        raise DataError(
            f"{source.location}: the {nouns_of(source.input)[1]} or labels of its {split} split are not those of "
            "the training. They changed, or another folder has this name. Put them back, or measure the present "
            f"files as other data: --data '{source.location}' (of `export`: --prove '{source.location}')."
        )


def _inherited(options: SourceOptions, data: Path) -> tuple[str, ...]:
    """Return the options that other data has from the training, unless they are given."""
    if data.is_file():
        return ("target", "frame_rate")
    return ("label_by", "frames_by", "frame_rate") if options.format is None and data.is_dir() else ()


def given_data(
    bundle: Bundle, data: str | Path, options: SourceOptions = _ANY, split: Split = "test", *, missing_ok: bool = False
) -> EvaluationData:
    """Return the samples of given data: the stored split if it is the model's own data, moved.

    A folder is read as in training: if labels came from file names there, they do so here, unless the options say a
    format or a pattern. A table has its truths in the columns that the training's had. Frames have the rate of the
    training. Numbered classes get the names
    that they had in the training.

    Args:
        split: which split, if there are any.
        missing_ok: accept other data without a sample of some of the model's classes.

    Raises DataError: its truths are of another kind, the class names differ, or no sample is left.
    """
    trained, reading = bundle.manifest.data, options
    group_by = trained.get("group_by")
    for name in _inherited(options, Path(data)):
        if getattr(options, name) is None:
            reading = replace(reading, **{name: trained.get(name)})
    source = open_source(data, reading)
    if options.names is None:
        source = named_as_trained(bundle, source)
    _check_kind(bundle, source)
    splits = Splits.from_json(bundle.splits())
    if _is_own(bundle, source, splits):
        _check_split(bundle, splits, split)
        if group_by is not None and options.group_by is None:
            opened = {**trained, "location": source.location, "format": source.format}
            source = named_as_trained(bundle, open_source(source.location, own_options(opened, group_by)))
        return _of_own(bundle, source, splits, split, missing_ok)
    chosen = other_data(source, bundle.manifest.definition.names, split, missing_ok=missing_ok)
    known = sum(splits.of.get(sample.key, "test") != "test" for sample in chosen.samples)
    if 2 * known < len(chosen.samples):
        return chosen
    one, several = chosen.nouns
    warning = (
        f"{known:,} of these {many(len(chosen.samples), f'{one} has a name', f'{several} have names')} that the model "
        f"was trained on. If they are its training {several}, the figures are too good: name other data, or the "
        "unchanged data it was trained on."
    )
    return replace(chosen, warning=warning)


def _check_kind(bundle: Bundle, source: Source) -> None:
    """Refuse truths that cannot be compared with the model's answers."""
    kind = bundle.manifest.definition.kind
    if hasattr(KINDS.module(kind), "truth_of"):  # not the targets of the samples
        return
    if source.kind == kind:
        unlike = KINDS.module(kind).unlike(source.details, bundle.manifest.definition.calibrated)
        if unlike:
            raise DataError(f"{source.location}: {unlike}")
        return
    given, answered = (KINDS.module(name).NOUNS[1] for name in (source.kind, kind))
    raise DataError(f"{source.location}: it tells {given}, the model answers with {answered}. Name data of {answered}.")


def _is_own(bundle: Bundle, source: Source, splits: Splits) -> bool:
    """Tell whether the source has every sample that was split, with the same contents and labels."""
    places = [at for at, sample in enumerate(source.samples) if sample.key in splits.of]
    if not places or len(places) != len(splits.of):
        return False
    try:
        return fingerprint(source, np.array(places)) == bundle.manifest.data.get("fingerprint")
    except OSError:
        return False


def _check_split(bundle: Bundle, splits: Splits, split: Split) -> None:
    counts = splits.counts()
    if not counts.get(split):
        others = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count) or "no split has any"
        one, _ = nouns_of(bundle.manifest.definition.input)
        raise DataError(
            f"{bundle.path}: its {split} split has no {one} ({others}). Name another split, or give {_OTHER}."
        )


def _of_own(bundle: Bundle, source: Source, splits: Splits, split: Split, missing_ok: bool) -> EvaluationData:
    samples = [source.samples[at] for at in splits.indices(split, source)]
    return _chosen(source, samples, bundle.manifest.definition.names, split, own=True, missing_ok=missing_ok)


def other_data(
    source: Source, names: Sequence[str], split: Split = "test", *, missing_ok: bool = False
) -> EvaluationData:
    """Return the samples of other data, matched to a model's classes by name.

    If the source names splits, only its `split` is taken; else everything.

    Args:
        names: the model's.
        split: which split, if the source has any.
        missing_ok: accept data without a sample of some of the model's classes; averages then leave them out.

    Raises DataError: the class names differ, or no sample is left.
    """
    present = {sample.split for sample in source.samples} & set(SPLITS)
    if present and split not in present:
        raise DataError(
            f"{source.location}: has no {split} split, only {', '.join(sorted(str(name) for name in present))}. "
            "Name one of them with --split of `evaluate`, or point at the folder of one."
        )
    samples = [sample for sample in source.samples if not present or sample.split == split]
    chosen = _chosen(source, samples, names, split if present else "all", own=False, missing_ok=missing_ok)
    return replace(chosen, skipped=(*_lost(source, split if present else None), *chosen.skipped))


def _lost(source: Source, split: Split | None) -> tuple[Skipped, ...]:
    """Return the files that never became samples; with split folders, only those of the split."""
    return tuple(
        Skipped(key, f"{problem.code.replace('-', ' ')}{note and ', '}{note}")
        for problem in source.problems
        if problem.lost
        for key, note in zip(problem.keys, problem.notes, strict=True)
        if split is None or split_named(key.partition("/")[0]) in (None, split)
    )


def _chosen(
    source: Source, samples: Sequence[Sample], names: Sequence[str], split: str, *, own: bool, missing_ok: bool
) -> EvaluationData:
    labelled = [sample for sample in samples if sample.target is not None]
    _check_names(source, labelled, names, split, own=own, missing_ok=missing_ok)
    translate = KINDS.module(source.kind).translate
    return EvaluationData(
        samples=tuple(
            replace(sample, target=translate(sample.target, source.names, names)) if names else sample
            for sample in labelled
        ),
        location=source.location,
        format=source.format,
        split=split,
        own=own,
        input=source.input,
        content_hash=source.content_hash,
        skipped=tuple(Skipped(sample.key, "no label") for sample in samples if sample.target is None),
    )


def _check_names(
    source: Source, samples: Sequence[Sample], names: Sequence[str], split: str, *, own: bool, missing_ok: bool
) -> None:
    """Refuse samples with other names than the model's; names of the data without a sample are ignored."""
    where = source.location if split == "all" else f"{source.location}, {split} split"
    if not samples:
        raise DataError(f"{where}: no labelled {nouns_of(source.input)[0]} to evaluate.")
    if not names:
        return
    kind, found = KINDS.module(source.kind), _names_in(source, samples)
    unknown = sorted(found - set(names))
    taught = _names_in(source, source.samples) if own else set(names)  # a name without any sample was a warning there
    missing = [name for name in names if name in taught - found]
    if not unknown and (missing_ok or not missing):
        return
    parts, way_out = [], "Add pictures of them, or allow it: --missing-ok."
    if unknown:
        parts.append(f"the model does not know {first_few([*map(repr, unknown)], _NAMED)}")
        hint = did_you_mean(unknown[0], names)
        way_out = f"{hint} Rename the {kind.NOUNS[1]} of the data as the model names them."
    if missing:
        parts.append(f"the data has no {nouns_of(source.input)[0]} of {first_few([*map(repr, missing)], _NAMED)}")
    raise DataError(f"{where}: its {kind.NOUNS[1]} are not the model's: {' and '.join(parts)}. {way_out}")


def _names_in(source: Source, samples: Sequence[Sample]) -> set[str]:
    """Return the names that the truths of samples have."""
    truths = [sample.target for sample in samples if sample.target is not None]
    return {source.names[index] for index in KINDS.module(source.kind).pairs(truths)[1].tolist()}
