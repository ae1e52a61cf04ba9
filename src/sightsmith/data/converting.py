"""Data written in another format: the pictures linked, the truths and splits kept, what a format cannot hold said."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError, OutputExistsError, SettingsError
from sightsmith.core.files import refuse_existing, replace_folder, told
from sightsmith.core.images import printable
from sightsmith.core.names import did_you_mean
from sightsmith.core.progress import track
from sightsmith.core.records import Sample
from sightsmith.data.problem import Problem
from sightsmith.data.source import CATALOGUE, Source, SourceOptions, open_source
from sightsmith.data.sources.parts.box_files import data_folder
from sightsmith.kinds import KINDS

_DEFAULTS = SourceOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A data set that was written.

    Attributes:
        out: its folder.
        form: its format.
        pictures: how many it has.
        problems: found while reading the original.
        lost: what is not read or what the format cannot hold, with counts; empty if nothing.
    """

    out: Path
    form: str
    pictures: int
    problems: tuple[Problem, ...]
    lost: tuple[str, ...]

    def to_text(self) -> str:
        lines = [problem.to_text() for problem in self.problems if problem.severity != "info"]
        lines += [f"lost: {one}." for one in self.lost]
        return "\n".join([*lines, f"{self.out} ({self.form}): {many(self.pictures, 'picture')}."])


def formats() -> list[str]:
    """Return the names of the formats that can be written."""
    return [name for name in CATALOGUE.names() if hasattr(CATALOGUE.module(name), "write")]


def convert(
    data: str | Path,
    form: str,
    out: Path,
    options: SourceOptions = _DEFAULTS,
    *,
    overwrite: bool = False,
    quiet: bool = False,
) -> Converted:
    """Read data in one format and write it in another, as a folder that appears whole or not at all.

    Raises:
        SettingsError: an unknown format, or one for another kind of truth; or the output is in the data's folder.
        DataError: the data cannot be used.
        OutputExistsError: `out` is there, and `overwrite` is false; or it has something else than such data.
        OutputError: it cannot be written.
    """
    _require_format(form)
    check_output(data, out, overwrite=overwrite)
    source = open_source(data, options)
    with new_data(out) as fresh:
        lost = write(source, fresh, form, quiet=quiet)
    whole = (*unread(source), *lost)
    return Converted(out=out, form=form, pictures=len(source.samples), problems=source.problems, lost=whole)


def unread(source: Source) -> list[str]:
    """Return what is no fault and is not read, so that no copy has it."""
    problems = [problem for problem in source.problems if problem.repair and problem.severity == "info"]
    return [problem.message.rstrip(".") for problem in problems]


def check_output(data: str | Path | None, out: Path, *, overwrite: bool) -> None:
    """Raise if a folder must not be written.

    Raises:
        OutputExistsError: it is there, and `overwrite` is false; or it has something else than such data.
        SettingsError: it is in the folder of the data, or around it.
    """
    refuse_existing(out, overwrite=overwrite, folder=True)
    _refuse_other(out)
    if data is not None:
        _refuse_overlap(Path(data), out)


@contextmanager
def new_data(out: Path) -> Iterator[Path]:
    """Yield a path for a new folder, which becomes `out` when the block succeeds. Raises OutputError: it cannot."""
    with told(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
            fresh = Path(temporary) / "data"
            yield fresh
            replace_folder(fresh, out)


def write(source: Source, folder: Path, form: str, *, quiet: bool = True) -> tuple[str, ...]:
    """Write a source in a format into a new folder; pictures are hard-linked, or copied to another disk.

    Returns:
        What the format cannot hold, with counts.

    Raises:
        SettingsError: an unknown format, or one for another kind of truth.
        DataError: a picture is no file, or the source has none.
    """
    _require_format(form)
    module = CATALOGUE.module(form)
    if source.kind != module.KIND:
        held, known = (KINDS.module(one).NOUNS[1] for one in (module.KIND, source.kind))
        raise SettingsError(f"to: the format {form!r} holds {held}, and {source.location} tells {known}.")
    source, unsplit = _all_in_splits(source) if module.SPLITS_ALL else (source, [])
    folder.mkdir(parents=True)
    paths = _unique([module.picture_path(_plain(sample), sample.split) for sample in source.samples])
    pairs = list(zip(source.samples, paths, strict=True))
    for sample, path in track(pairs, "Linking pictures", len(pairs), quiet=quiet):
        _link(sample, folder / path)
    return (*unsplit, *module.write(source, folder, paths))


def _all_in_splits(source: Source) -> tuple[Source, list[str]]:
    """Put pictures without a split into train if others have one: no list would name them. Return what is lost."""
    loose = sum(sample.split is None for sample in source.samples)
    if loose in (0, len(source.samples)):
        return source, []
    samples = [sample if sample.split else replace(sample, split="train") for sample in source.samples]
    return replace(source, samples=samples), [f"{many(loose, 'picture')} without a split: written into train"]


def _require_format(form: str) -> None:
    if form not in (known := formats()):
        raise SettingsError(f"to: {form!r} is no format that can be written. {did_you_mean(form, known)}")


def _refuse_other(out: Path) -> None:
    """Refuse to replace anything but an empty folder, or data of a format that can be written."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not out.is_dir() or not any(CATALOGUE.module(one).detect(out) for one in formats()):
        raise OutputExistsError(f"{out} is no folder of such data, and is not replaced. Give another name.")


def _refuse_overlap(data: Path, out: Path) -> None:
    """Refuse to write into the folder that is read, or over it: the next reading would find both, or nothing."""
    whole, inner = data_folder(data).resolve(), out.resolve()
    if data.exists() and (whole == inner or whole in inner.parents or inner in whole.parents):
        raise SettingsError(
            f"out: {printable(str(out))} and the data {printable(str(data))} overlap. Name a folder outside of it."
        )


def _plain(sample: Sample) -> str:
    """Return a picture's key without folders for pictures alone, which each format has its own of."""
    *folders, name = sample.key.split("/")
    return "/".join([*(folder for folder in folders if folder.lower() not in ("images", "jpegimages")), name])


def _unique(paths: list[str]) -> list[str]:
    """Make paths unique without their extensions, whatever their case: files of truths are named like pictures."""
    taken: set[str] = set()
    unique = []
    for path in paths:
        stem, suffix = os.path.splitext(path)  # noqa: PTH122 - keeps the slashes
        suffix = suffix.partition("#")[0]  # of a picture that is listed twice
        free, number = stem, 1
        while free.lower() in taken:
            number += 1
            free = f"{stem}-{number}"
        taken.add(free.lower())
        unique.append(f"{free}{suffix}")
    return unique


def _link(sample: Sample, target: Path) -> None:
    if not isinstance(sample.item, (str, Path)):
        raise DataError(f"{sample.key}: the picture is no file, so it cannot be written.")
    target.parent.mkdir(parents=True, exist_ok=True)
    original = Path(sample.item).resolve()
    try:
        target.hardlink_to(original)
    except OSError:  # another disk, or one without links
        shutil.copyfile(original, target)
