"""ImageNet's layouts, and `imagenet` by name from the cache folder.

```
ROOT/train/n01440764/….JPEG      ROOT/val/n01440764/….JPEG, or flat ROOT/val/….JPEG with a table of labels
ROOT/ILSVRC/Data/CLS-LOC/train   as Kaggle packs it
ROOT/n01440764_tench.JPEG        flat, the WordNet id in the name
```
Names of the classes come from `classes.csv` (index,wnid,name), `LOC_synset_mapping.txt` or `words.txt` in ROOT; a
list keeps its order, which is that of the classes of pretrained nets, and its classes without pictures. Without one
the sorted WordNet ids are the names. The table of labels is any of `LOC_val_solution.csv`, `val_labels.csv|.txt` or
`val_annotations.txt` in ROOT or val: the file's name, then its WordNet id.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.images import printable
from sightsmith.core.names import natural
from sightsmith.core.records import Sample, Split
from sightsmith.data.problem import Problem, problem_of_each
from sightsmith.data.source import Source, SourceOptions, build_source
from sightsmith.data.sources.parts.download import cache_folder
from sightsmith.data.sources.parts.listing import Listing, list_pictures
from sightsmith.data.sources.parts.names import read_rows, read_text, split_named

NAMES = ("imagenet",)

_LICENCE = "ImageNet terms: non-commercial research and education"
_WNID = re.compile(r"n\d{8}")
_FLAT = re.compile(r"(n\d{8})_.*\.jpe?g", re.IGNORECASE)
_LABEL = re.compile(r'"?(?P<key>\S.*?)"?[\s,;]+"?(?P<value>n\d{8})\b')
_NAME = re.compile(r"(?P<key>n\d{8})\s+(?P<value>\S.*)")
_TABLES = ("LOC_val_solution.csv", "val_labels.csv", "val_labels.txt", "val_annotations.txt")
_KAGGLE = "ILSVRC/Data/CLS-LOC"
_LOOKED_AT = 200
Found = list[tuple[str, str, Split | None]]  # (WordNet id, path below the base, split) of each picture


def detect(path: Path) -> bool:
    """Tell whether a folder has train/WNID folders, or files called WNID_name.jpg."""
    return _has_named(path, _FLAT) or _has_named(_base(path) / "train", _WNID)


def _has_named(folder: Path, pattern: re.Pattern[str]) -> bool:
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(pattern.fullmatch(entry.name) for entry in islice(entries, _LOOKED_AT))


def open_source(location: str, options: SourceOptions) -> Source:
    """List the pictures. Raises DataError: not such a layout, or (by name) nothing in the cache folder."""
    root = Path(location)
    if location in NAMES and options.format is None:
        root = cache_folder("imagenet")
        if not detect(root):
            raise DataError(
                "imagenet: cannot be downloaded without an account. Get ILSVRC2012 from https://image-net.org/download "
                "or https://www.kaggle.com/c/imagenet-object-localization-challenge, unpack it so that "
                f"{root}/train/n01440764/ exists (a link will do), and run again; or give the folder's path instead of "
                "the name."
            )
    base = _base(root)
    listing = list_pictures(str(base))
    found, problems = _find(base, root, listing)
    wnids, names = _classes(root, {wnid for wnid, _, _ in found})
    index_of = {wnid: index for index, wnid in enumerate(wnids)}
    unnamed = {key: wnid for wnid, key, _ in found if wnid not in index_of}
    samples = [
        Sample(printable(key), os.path.join(base, key), index_of[wnid], None, split)  # noqa: PTH118 - memory
        for wnid, key, split in sorted(found, key=lambda entry: natural(entry[1]))
        if wnid in index_of
    ]
    message = f"{many(len(unnamed), 'picture has', 'pictures have')} a WordNet id that is not in the list of classes."
    problems += problem_of_each("unknown-class", "error", message, [*unnamed], [*unnamed.values()], lost=True)
    return build_source(
        format="imagenet",
        location=location,
        names=names,
        samples=samples,
        options=options,
        problems=(*problems, *listing.problems()),
        licence=_LICENCE,
    )


def _base(root: Path) -> Path:
    return root / _KAGGLE if (root / _KAGGLE).is_dir() else root


def _find(base: Path, root: Path, listing: Listing) -> tuple[Found, tuple[Problem, ...]]:
    found: Found = []
    strays: list[str] = []
    of_test: list[str] = []  # of ILSVRC's test set nobody has the labels
    labels = _labels(base, root)
    for folder, files in listing.pictures.items():
        top, _, rest = folder.partition("/")
        split = split_named(top)
        inner = rest.partition("/")[0] if split else top
        for file in files:
            key = f"{folder}/{file}" if folder else file
            wnid = inner if _WNID.fullmatch(inner) else _wnid_of(file, split, labels)
            if wnid is None:
                (of_test if split == "test" else strays).append(printable(key))
            else:
                found.append((wnid, key, split))
    advice = f"Move them into folders named by WordNet id, or add a table of labels ({', '.join(_TABLES)})."
    no_label = f"{many(len(strays), 'picture has', 'pictures have')} no label. {advice}"
    no_test = f"{many(len(of_test), 'picture')} of test without a label, as in ILSVRC, left out. {advice}"
    return found, (
        *problem_of_each("no-label", "error", no_label, sorted(strays), lost=True),
        *problem_of_each("no-label", "warning", no_test, sorted(of_test), lost=True),
    )


def _wnid_of(file: str, split: Split | None, labels: dict[str, str]) -> str | None:
    flat = _FLAT.fullmatch(file)
    return flat[1] if flat and split != "val" else labels.get(file.rpartition(".")[0])


def _labels(base: Path, root: Path) -> dict[str, str]:
    """Return the WordNet id by name of the file without its extension, from the first table there is."""
    tables = [folder / name for folder in (root, base, base / "val") for name in _TABLES if (folder / name).is_file()]
    if not tables:
        return {}
    lines = _lines(tables[0], _LABEL, "a file's name, then its WordNet id")
    return _by_key(tables[0], ((number, Path(file).stem, wnid) for number, file, wnid in lines))


def _classes(root: Path, present: set[str]) -> tuple[list[str], list[str]]:
    """Return the WordNet ids in the order of the classes, and their names, each unique."""
    listed = _listed(root, present)
    wnids = list(listed) or sorted(present)
    names = [listed.get(wnid, wnid) for wnid in wnids]
    counts = Counter(names)
    return wnids, [name if counts[name] == 1 else f"{name} ({wnid})" for wnid, name in zip(wnids, names, strict=True)]


def _listed(root: Path, present: set[str]) -> dict[str, str]:
    """Return the names by WordNet id, in the order of the classes, from the first list there is."""
    if (root / "classes.csv").is_file():
        return _by_key(root / "classes.csv", _rows(root / "classes.csv"))
    tables = [root / name for name in ("LOC_synset_mapping.txt", "words.txt") if (root / name).is_file()]
    if not tables:
        return {}
    names = _by_key(tables[0], _lines(tables[0], _NAME, "a WordNet id, then its name"))
    if tables[0].name != "words.txt":
        return names
    return {wnid: names.get(wnid, wnid) for wnid in sorted(present)}  # words.txt has all of WordNet, not the classes


def _lines(table: Path, pattern: re.Pattern[str], form: str) -> Iterator[tuple[int, str, str]]:
    """Yield the number, key and value of each line; a first line without a WordNet id is a header."""
    for number, line in enumerate(read_text(table).splitlines(), 1):
        if match := pattern.match(line):
            yield number, match["key"], match["value"].strip()
        elif line.strip() and (number > 1 or _WNID.search(line)):
            raise DataError(f"{table}, line {number}: {line[:80]!r} is not {form}. Correct or delete the line.")


def _rows(table: Path) -> Iterator[tuple[int, str, str]]:
    """Yield the number of the line, WordNet id and name of each row of `classes.csv`."""
    rows = read_rows(table)
    _, header = next(rows, (1, []))
    if not {"wnid", "name"} <= set(header):
        raise DataError(f"{table}: needs the columns index, wnid and name.")
    for number, row in rows:
        if not any(row):
            continue
        where = f"{table}, line {number}"
        if any(row[len(header) :]):
            raise DataError(
                f"{where}: {len(row)} cells, and the header has {len(header)}. Put a name with a comma in quotes."
            )
        named = dict(zip(header, row, strict=False))
        if not (named.get("wnid") and named.get("name")):
            raise DataError(f"{where}: its wnid or its name is empty. Fill it in or delete the line.")
        yield number, named["wnid"], named["name"]


def _by_key(table: Path, rows: Iterable[tuple[int, str, str]]) -> dict[str, str]:
    """Return values by key; a key may be repeated, but not with another value."""
    found: dict[str, tuple[int, str]] = {}
    for number, key, value in rows:
        first, before = found.setdefault(key, (number, value))
        if before != value:
            raise DataError(
                f"{table}: {key!r} is {before!r} in line {first} and {value!r} in line {number}. Delete one of them."
            )
    return {key: value for key, (_, value) in found.items()}
