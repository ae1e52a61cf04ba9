"""Labels from the folders of files, or from their paths: for pictures, clips and whatever else has a file a sample.

The files are those of a `Listing`, whatever its field is called; `noun` calls one of them in messages.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.images import printable
from sightsmith.core.names import natural
from sightsmith.core.records import Sample, Split
from sightsmith.data.problem import Problem, problem_of_each
from sightsmith.data.source import Source, SourceOptions, build_source, part_finder
from sightsmith.data.sources.parts.listing import Listing
from sightsmith.data.sources.parts.names import split_named

Labelled = tuple[str, str, Split | None]  # Path of a file below the folder, its class, its split

_FORMATS = {"picture": "JPEG, PNG, WebP, BMP, TIFF, PPM/PGM", "clip": "MP4, MOV, MKV, WebM, AVI, MPEG-TS"}
_ENDINGS = {"picture": "jpg", "clip": "mp4"}
_ADVICE = (
    "Give each class a folder of its own: {0}/cats/1.{1}, {0}/dogs/2.{1}; or take the labels from the files' names "
    r"with a pattern: --label-by '([a-z]+)_\d+\.{1}$'."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a format reads class folders."""

    format: str  # its name
    input: str  # that reads its items
    noun: str  # of a file
    item: Callable[[str], Any]  # from the path of a file below the folder to the item


def open_folder(
    location: str, options: SourceOptions, listing: Listing, layout: Layout, known: tuple[Problem, ...]
) -> Source:
    """Return the source of a listed folder of classes.

    Args:
        known: problems found before.

    Raises DataError: no file is in a folder of its class.
    """
    if options.label_by is not None:
        labelled, problems = _by_path(listing, options.label_by, layout.noun)
        names, problems = {name for _, name, _ in labelled}, (*known, *problems)
    else:
        labelled, names, problems = _by_folder(location, listing, layout.noun, known)
    in_order = sorted(names, key=natural)
    index_of = {name: index for index, name in enumerate(in_order)}
    samples = [Sample(printable(key), layout.item(key), index_of[name], None, split) for key, name, split in labelled]
    return build_source(
        format=layout.format,
        location=location,
        input=layout.input,
        names=[printable(name) for name in in_order],
        samples=samples,
        options=options,
        problems=(*problems, *listing.problems(layout.noun)),
    )


def _by_path(listing: Listing, label_by: str, noun: str) -> tuple[list[Labelled], tuple[Problem, ...]]:
    """Take the label of each file from its path, and its split from the top folder if all are splits."""
    label_of = part_finder("label_by", label_by)
    with_splits = all(split_named(folder.partition("/")[0]) for folder in listing.pictures)
    labelled: list[Labelled] = []
    strays: list[str] = []
    for folder in sorted(listing.pictures, key=natural):
        split = split_named(folder.partition("/")[0]) if with_splits else None
        for file in sorted(listing.pictures[folder], key=natural):
            key = f"{folder}/{file}" if folder else file
            if label := label_of(printable(key)):
                labelled.append((key, label, split))
            else:
                strays.append(key)
    message = (
        f"{many(len(strays), f'{noun} does', f'{noun}s do')} not fit the pattern {label_by!r} and so have no label. "
        "Widen the pattern, or move them out of the data."
    )
    return labelled, problem_of_each("no-label", "error", message, strays, lost=True)


def _by_folder(
    location: str, listing: Listing, noun: str, unused: tuple[Problem, ...]
) -> tuple[list[Labelled], set[str], tuple[Problem, ...]]:
    """Take the label of each file from its folder; return the names of all classes too, some without files.

    Args:
        noun: of a file, such as picture.
        unused: problems of the folder that are already known.

    Raises DataError: no file is in a folder of its class.
    """
    loose = sorted(listing.pictures.pop("", []), key=natural)
    if loose and listing.leaves == [""] and not _tables(listing):
        return _as_one(location, loose, noun, unused)
    if not listing.pictures:
        raise DataError(_nothing_usable(location, listing, loose, noun))
    with_splits = _has_splits(location, listing, noun)
    labelled: list[Labelled] = []
    names: set[str] = set()
    strays: list[str] = []
    for folder in sorted({*listing.pictures, *listing.leaves} - {""}, key=natural):
        top, _, inner = folder.partition("/")
        split, name = (split_named(top), inner) if with_splits else (None, folder)
        keys = [f"{folder}/{file}" for file in sorted(listing.pictures.get(folder, ()), key=natural)]
        if with_splits and split is None:
            strays += map(printable, keys)
        elif name:  # a split without a folder in it has no class
            names.add(name)
            labelled += [(key, name, split) for key in keys]
    classless = (
        f"{many(len(loose), f'{noun} is', f'{noun}s are')} directly in {printable(location)}, with no class. "
        "Move them into the folder of their class."
    )
    outside = (
        f"{many(len(strays), f'{noun} is', f'{noun}s are')} outside the folders of the splits and cannot be used. "
        "Move them into train, val or test, or out of the data."
    )
    problems = (
        *unused,
        *problem_of_each("no-class", "error", classless, loose, lost=True),
        *problem_of_each("outside-splits", "error", outside, sorted(strays), lost=True),
        *_nested(location, names),
    )
    return labelled, names, problems


def _as_one(
    location: str, loose: list[str], noun: str, unused: tuple[Problem, ...]
) -> tuple[list[Labelled], set[str], tuple[Problem, ...]]:
    """Take loose files as one class, which has the folder's name."""
    name = Path(location).resolve().name or f"{noun}s"
    message = (
        f"{many(len(loose), f'{noun} is', f'{noun}s are')} in no folder, so all are of one class, {printable(name)!r}. "
        f"{_advice(noun, printable(location))}"
    )
    told = Problem(code="no-folders", severity="info", message=message)
    return [(file, name, None) for file in loose], {name}, (*unused, told)


def _tables(listing: Listing) -> list[str]:
    return sorted(other for other in listing.others if other.lower().endswith((".csv", ".tsv")))


def _has_splits(location: str, listing: Listing, noun: str) -> bool:
    """Tell whether the top folders are splits: all of them, or train with val or test beside other folders."""
    tops = {folder.partition("/")[0] for folder in listing.pictures}
    splits = {split_named(top) for top in tops}
    if None in splits and not ("train" in splits and len(splits) > 2):
        return False
    direct = sorted(folder for folder in listing.pictures if split_named(folder))
    if direct:
        shown = printable(direct[0])
        raise DataError(
            f"{printable(location)}: {', '.join(map(printable, direct))} hold {noun}s directly, so their classes are "
            f"unknown. {_advice(noun, shown)} Or write a CSV table with the columns path and label."
        )
    return True


def _nested(location: str, names: set[str]) -> tuple[Problem, ...]:
    tops = {name.partition("/")[0] for name in names}
    if len(names) < 2 or len(tops) > 1 or tops <= names:
        return ()
    inner = f"{printable(location).rstrip('/')}/{printable(tops.pop())}"
    message = f"all classes are below {inner}, which is part of their names. Point at {inner} if that is not meant."
    return (Problem(code="nested", severity="warning", message=message),)


def _nothing_usable(location: str, listing: Listing, loose: list[str], noun: str) -> str:
    name, advice = printable(location), _advice(noun, printable(location))
    if loose:
        tables = _tables(listing)
        hint = f" Or point at the table, if it is one: {name}/{tables[0]}." if tables else ""
        return (
            f"{name}: {many(len(loose), f'{noun} is', f'{noun}s are')} in no folder, so the classes are unknown. "
            f"{advice}{hint}"
        )
    if not (listing.others or listing.unsupported):
        return f"{name}: no {noun} in it, the folder is empty. {advice}"
    found = "".join(f"\n{problem.to_text()}" for problem in listing.problems(noun))
    return f"{name}: no {noun} in it ({_FORMATS[noun]}). {advice}{found}"


def _advice(noun: str, where: str) -> str:
    return _ADVICE.replace("{0}", where).replace("{1}", _ENDINGS[noun])
