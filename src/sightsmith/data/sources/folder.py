"""A folder of pictures per class, with or without folders for train, val and test.

```
photos/cats/1.jpg                  class cats
photos/birds/owl/2.png             class birds/owl: every depth is kept
photos/train/cats/1.jpg            class cats, split train (also training, val, valid, validation, test …)
```
Classes are in natural order: `2` before `10`.
"""

import os
from pathlib import Path

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.images import printable
from sightsmith.core.names import natural
from sightsmith.core.records import Sample, Split
from sightsmith.data.problem import Problem, problem_of_each
from sightsmith.data.source import Source, SourceOptions, build_source, part_pattern
from sightsmith.data.sources.parts.listing import Listing, list_pictures
from sightsmith.data.sources.parts.names import split_named
from sightsmith.data.sources.parts.other_tasks import other_task

GENERAL = True  # Any folder may be of this format: it is chosen if no special one fits

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
        return _labelled_by_path(location, listing, options, options.label_by)
    unused = other_task(location, listing, asked=options.format is not None)
    loose = listing.pictures.pop("", [])
    if not listing.pictures:
        raise DataError(_nothing_usable(location, listing, loose))
    with_splits = _has_splits(location, listing)
    folders, strays = _folders(listing, with_splits=with_splits)
    names = sorted({name for _, name in folders.values()}, key=natural)
    samples = _samples(location, listing, folders, {name: index for index, name in enumerate(names)})
    return build_source(
        format="folder",
        location=location,
        names=[printable(name) for name in names],
        samples=samples,
        options=options,
        problems=(*unused, *_loose(location, loose), *strays, *_nested(location, names), *listing.problems()),
    )


def _labelled_by_path(location: str, listing: Listing, options: SourceOptions, label_by: str) -> Source:
    """Take each picture's label from its path, and its split from the top folder if all are splits."""
    pattern, which = part_pattern("label_by", label_by)
    with_splits = all(split_named(folder.partition("/")[0]) for folder in listing.pictures)
    labelled: list[tuple[str, str, Split | None]] = []
    strays: list[tuple[str, str]] = []
    for folder in sorted(listing.pictures, key=natural):
        split = split_named(folder.partition("/")[0]) if with_splits else None
        for file in sorted(listing.pictures[folder], key=natural):
            key = f"{folder}/{file}" if folder else file
            match = pattern.search(printable(key))
            if match and match.group(which):
                labelled.append((key, match.group(which), split))
            else:
                strays.append((printable(key), ""))
    names = sorted({label for _, label, _ in labelled}, key=natural)
    index_of = {name: index for index, name in enumerate(names)}
    message = (
        f"{many(len(strays), 'picture does', 'pictures do')} not fit the pattern {label_by!r} and so have no label. "
        "Widen the pattern, or move them out of the data."
    )
    return build_source(
        format="folder",
        location=location,
        names=names,
        samples=[
            Sample(printable(key), os.path.join(location, key), index_of[label], None, split)  # noqa: PTH118 - memory
            for key, label, split in labelled
        ],
        options=options,
        problems=(*problem_of_each("no-label", "error", message, strays, lost=True), *listing.problems()),
    )


def _samples(
    location: str, listing: Listing, folders: dict[str, tuple[Split | None, str]], index_of: dict[str, int]
) -> list[Sample]:
    samples = []
    for folder in sorted(folders, key=natural):
        split, name = folders[folder]
        for file in sorted(listing.pictures.get(folder, ()), key=natural):
            key = f"{folder}/{file}"
            path = os.path.join(location, key)  # noqa: PTH118 - a Path takes ten times the memory
            samples.append(Sample(printable(key), path, index_of[name], None, split))
    return samples


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


def _folders(listing: Listing, *, with_splits: bool) -> tuple[dict[str, tuple[Split | None, str]], tuple[Problem, ...]]:
    """Return (split, class) of each folder with pictures and of each folder that should have some."""
    folders: dict[str, tuple[Split | None, str]] = {}
    strays: list[tuple[str, str]] = []
    for folder in {*listing.pictures, *listing.leaves}:
        if not folder:
            continue
        if not with_splits:
            folders[folder] = (None, folder)
            continue
        top, _, name = folder.partition("/")
        split = split_named(top)
        if split and name:
            folders[folder] = (split, name)
        elif not split:
            strays += [(printable(f"{folder}/{file}"), "") for file in listing.pictures.get(folder, ())]
    message = (
        f"{many(len(strays), 'picture is', 'pictures are')} outside the folders of the splits and cannot be used. "
        "Move them into train, val or test, or out of the data."
    )
    return folders, problem_of_each("outside-splits", "error", message, sorted(strays), lost=True)


def _loose(location: str, loose: list[str]) -> tuple[Problem, ...]:
    message = (
        f"{many(len(loose), 'picture is', 'pictures are')} directly in {printable(location)}, with no class. "
        "Move them into the folder of their class."
    )
    found = [(printable(name), "") for name in sorted(loose, key=natural)]
    return problem_of_each("no-class", "error", message, found, lost=True)


def _nested(location: str, names: list[str]) -> tuple[Problem, ...]:
    tops = {name.partition("/")[0] for name in names}
    if len(names) < 2 or len(tops) > 1 or tops <= set(names):
        return ()
    inner = f"{printable(location).rstrip('/')}/{printable(tops.pop())}"
    message = f"all classes are below {inner}, which is part of their names. Point at {inner} if that is not meant."
    return (Problem(code="nested", severity="warning", message=message),)


def _nothing_usable(location: str, listing: Listing, loose: list[str]) -> str:
    name = printable(location)
    if loose:
        tables = sorted(other for other in listing.others if other.lower().endswith((".csv", ".tsv")))
        hint = f" Or point at the table, if it is one: {name}/{tables[0]}." if tables else ""
        return (
            f"{name}: {many(len(loose), 'picture is', 'pictures are')} in no folder, so the classes are unknown. "
            f"{_ADVICE.format(name)}{hint}"
        )
    if not (listing.others or listing.unsupported):
        return f"{name}: no picture in it, the folder is empty. {_ADVICE.format(name)}"
    found = "".join(f"\n{problem.to_text()}" for problem in listing.problems())
    return f"{name}: no picture in it (JPEG, PNG, WebP, BMP, TIFF, PPM/PGM). {_ADVICE.format(name)}{found}"
