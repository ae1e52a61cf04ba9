"""A folder of pictures per class, with or without folders for train, val and test.

```
photos/cats/1.jpg                  class cats
photos/birds/owl/2.png             class birds/owl: every depth is kept
photos/train/cats/1.jpg            class cats, split train (also training, val, valid, validation, test …)
photos/1.jpg                       class photos, if there are no folders and no table in it
```
Classes are in natural order: `2` before `10`. Data of one class is for tasks that need none.
"""

import os
from pathlib import Path

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.images import printable
from sightsmith.core.names import natural
from sightsmith.core.records import Sample, Split
from sightsmith.data.problem import Problem, problem_of_each
from sightsmith.data.source import Source, SourceOptions, build_source, part_finder
from sightsmith.data.sources.parts.listing import Listing, list_pictures
from sightsmith.data.sources.parts.names import split_named
from sightsmith.data.sources.parts.other_tasks import other_task

GENERAL = True  # Any folder may be of this format: it is chosen if no special one fits

Labelled = tuple[str, str, Split | None]  # Path of a picture below the folder, its class, its split

_ADVICE = (
    "Give each class a folder of its own: {0}/cats/1.jpg, {0}/dogs/2.jpg; or take the labels from the files' names "
    r"with a pattern: --label-by '([a-z]+)_\d+\.jpg$'."
)


def detect(path: Path) -> bool:
    return path.is_dir()


def open_source(location: str, options: SourceOptions) -> Source:
    """List the folder.

    Raises DataError: not a folder, no picture in a folder of its class, or data of boxes or masks.
    """
    if not Path(location).is_dir():
        raise DataError(f"{printable(location)}: the format 'folder' needs a folder, this is a file.")
    listing = list_pictures(location)
    if options.label_by is not None:
        labelled, problems = _by_path(listing, options.label_by)
        names = {name for _, name, _ in labelled}
    else:
        labelled, names, problems = _by_folder(location, listing, asked=options.format is not None)
    in_order = sorted(names, key=natural)
    index_of = {name: index for index, name in enumerate(in_order)}
    samples = [
        # a Path takes ten times the memory
        Sample(printable(key), os.path.join(location, key), index_of[name], None, split)  # noqa: PTH118
        for key, name, split in labelled
    ]
    return build_source(
        format="folder",
        location=location,
        names=[printable(name) for name in in_order],
        samples=samples,
        options=options,
        problems=(*problems, *listing.problems()),
    )


def _by_path(listing: Listing, label_by: str) -> tuple[list[Labelled], tuple[Problem, ...]]:
    """Take each picture's label from its path, and its split from the top folder if all are splits."""
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
        f"{many(len(strays), 'picture does', 'pictures do')} not fit the pattern {label_by!r} and so have no label. "
        "Widen the pattern, or move them out of the data."
    )
    return labelled, problem_of_each("no-label", "error", message, strays, lost=True)


def _by_folder(location: str, listing: Listing, *, asked: bool) -> tuple[list[Labelled], set[str], tuple[Problem, ...]]:
    """Take each picture's label from its folder; return the names of all classes too, some without pictures."""
    unused = other_task(location, listing, asked=asked)
    loose = sorted(listing.pictures.pop("", []), key=natural)
    if loose and listing.leaves == [""] and not _tables(listing):
        return _as_one(location, loose, unused)
    if not listing.pictures:
        raise DataError(_nothing_usable(location, listing, loose))
    with_splits = _has_splits(location, listing)
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
        f"{many(len(loose), 'picture is', 'pictures are')} directly in {printable(location)}, with no class. "
        "Move them into the folder of their class."
    )
    outside = (
        f"{many(len(strays), 'picture is', 'pictures are')} outside the folders of the splits and cannot be used. "
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
    location: str, loose: list[str], unused: tuple[Problem, ...]
) -> tuple[list[Labelled], set[str], tuple[Problem, ...]]:
    """Take loose pictures as one class, which has the folder's name."""
    name = Path(location).resolve().name or "pictures"
    message = (
        f"{many(len(loose), 'picture is', 'pictures are')} in no folder, so all are of one class, {printable(name)!r}. "
        f"{_ADVICE.format(printable(location))}"
    )
    told = Problem(code="no-folders", severity="info", message=message)
    return [(file, name, None) for file in loose], {name}, (*unused, told)


def _tables(listing: Listing) -> list[str]:
    return sorted(other for other in listing.others if other.lower().endswith((".csv", ".tsv")))


def _has_splits(location: str, listing: Listing) -> bool:
    """Tell whether the top folders are splits: all of them, or train with val or test beside other folders."""
    tops = {folder.partition("/")[0] for folder in listing.pictures}
    splits = {split_named(top) for top in tops}
    if None in splits and not ("train" in splits and len(splits) > 2):
        return False
    direct = sorted(folder for folder in listing.pictures if split_named(folder))
    if direct:
        shown = printable(direct[0])
        raise DataError(
            f"{printable(location)}: {', '.join(map(printable, direct))} hold pictures directly, so their classes are "
            f"unknown. {_ADVICE.format(shown)} Or write a CSV table with the columns path and label."
        )
    return True


def _nested(location: str, names: set[str]) -> tuple[Problem, ...]:
    tops = {name.partition("/")[0] for name in names}
    if len(names) < 2 or len(tops) > 1 or tops <= names:
        return ()
    inner = f"{printable(location).rstrip('/')}/{printable(tops.pop())}"
    message = f"all classes are below {inner}, which is part of their names. Point at {inner} if that is not meant."
    return (Problem(code="nested", severity="warning", message=message),)


def _nothing_usable(location: str, listing: Listing, loose: list[str]) -> str:
    name = printable(location)
    if loose:
        tables = _tables(listing)
        hint = f" Or point at the table, if it is one: {name}/{tables[0]}." if tables else ""
        return (
            f"{name}: {many(len(loose), 'picture is', 'pictures are')} in no folder, so the classes are unknown. "
            f"{_ADVICE.format(name)}{hint}"
        )
    if not (listing.others or listing.unsupported):
        return f"{name}: no picture in it, the folder is empty. {_ADVICE.format(name)}"
    found = "".join(f"\n{problem.to_text()}" for problem in listing.problems())
    return f"{name}: no picture in it (JPEG, PNG, WebP, BMP, TIFF, PPM/PGM). {_ADVICE.format(name)}{found}"
