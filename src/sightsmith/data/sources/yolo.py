"""YOLO: a text file a picture, a line an object, and a list of names in YAML.

```
ROOT/data.yaml   ROOT/images/train/1.jpg   ROOT/labels/train/1.txt      or ROOT/train/images, ROOT/train/labels
```
A line is the number of a class and the centre, width and height of the box in shares of the picture; or the points of
an outline, around which the box is. `data.yaml` has `names` (a list, or names by number) and the folders of `train`,
`val` and `test`, or lists of pictures (.txt). Without it `classes.txt` or `obj.names` names the classes, a line each.
"""

import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sightsmith.core.errors import DataError
from sightsmith.core.images import printable
from sightsmith.core.names import natural
from sightsmith.core.records import SPLITS, Split
from sightsmith.data.source import Source, SourceOptions, build_source
from sightsmith.data.sources.parts.annotations import Annotation, read_samples
from sightsmith.data.sources.parts.box_files import list_data, looks_like
from sightsmith.data.sources.parts.faults import Faults
from sightsmith.data.sources.parts.names import read_names, read_text, split_named
from sightsmith.data.sources.parts.picture_files import PictureFiles, leads_outside, stem_of
from sightsmith.data.sources.parts.writing import lost_of

KIND = "boxes"
SPLITS_ALL = True  # what no entry names is not used

_NAME_LISTS = ("classes.txt", "obj.names")
_NOT_LABELS = frozenset({"classes", "train", "val", "test", "readme", "notes"})  # Texts beside labels, in lower case
_MOST_BYTES = 1 << 20  # Of data.yaml
_NUMBER = re.compile(r"\d{1,9}")
_SURE = 10  # Objects from which a shift of the numbers is told


@dataclass(slots=True)
class _Line:
    """An object as it is written."""

    owner: Annotation
    number: int
    box: tuple[float, ...]
    place: str


@dataclass(slots=True, kw_only=True)
class _Config:
    """The content of data.yaml."""

    file: str | None = None  # below the folder of the data
    names: dict[int, str] = field(default_factory=dict)
    entries: dict[Split, list[str]] = field(default_factory=dict)  # folders and lists of pictures
    base: str = ""  # folder that the entries start from, as it is written


def detect(path: Path) -> bool:
    return looks_like("yolo", path)


def open_source(location: str, options: SourceOptions) -> Source:
    """Read the labels. Raises DataError: no names of the classes, no picture, or data.yaml cannot be read."""
    root, listing = list_data(location)
    pictures, faults = PictureFiles(listing), Faults()
    config = _read_config(root, Path(location), listing.others, faults)
    split_of, lists = _splits(root, config, pictures, listing.others, faults)
    labels = {file for file in listing.others if file.lower().endswith(".txt")} - lists
    found: list[Annotation] = []
    lines: list[_Line] = []
    used: set[str] = set()
    for key, split in split_of.items():
        file = next((one for one in _label_files(key) if one in labels), None)
        one = Annotation(key=key, path=str(root / key), place=file or key, split=split)
        if file is not None:
            used.add(file)
            try:
                lines += _lines(read_text(root / file), file, one, faults)
            except (DataError, OSError) as error:
                faults.add("unreadable-annotation", file, f"{error}")
                continue
        found.append(one)
    misplaced = _tell_strays(labels - used, used, pictures, {one.key for one in found if one.place == one.key}, faults)
    found = [one for one in found if one.key not in misplaced]
    pictures.name_unlisted(set(split_of), faults)
    names = _resolved(location, config, lines, options, faults)
    samples = read_samples(found, list(names.values()), faults, "centre and size", shares=True)
    read = {*used, *lists, config.file or "", *_NAME_LISTS}
    listing.others = [other for other in listing.others if other not in read]
    return build_source(
        format="yolo",
        location=location,
        kind=KIND,
        names=list(names.values()),
        samples=samples,
        options=options,
        problems=(*faults.problems(), *listing.problems()),
    )


def _read_config(root: Path, location: Path, others: list[str], faults: Faults) -> _Config:
    """Return the content of data.yaml, or of a list of names.

    Raises DataError: it cannot be read, or has tags, which would make it run code.
    """
    files = [one for one in others if one.lower().endswith((".yaml", ".yml"))]
    files.sort(key=lambda one: (one.count("/"), stem_of(one).lower() != "data", natural(one)))
    if location.is_file():
        files = [location.relative_to(root).as_posix()]
    for file in files:
        raw = _parsed(root / file)
        if isinstance(raw, dict) and "names" in raw:
            return _config_of(raw, file, faults)
    for name in _NAME_LISTS:
        listed = min((other for other in others if posixpath.basename(other) == name), key=natural, default=None)
        if listed is not None:
            return _Config(file=listed, names=dict(enumerate(read_names(root / listed) or [])))
    return _Config()


class _Loader(yaml.SafeLoader):
    """YAML whose words are texts: names such as `off`, `1.10` or `2020-01-01` are no truth value, number or date.

    Aliases are refused: a small text can grow without bounds with them.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - of the base
        first: [one for one in resolvers if one[0] == "tag:yaml.org,2002:null"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, f"the alias *{event.anchor}, write it out", event.start_mark)
        return super().compose_node(parent, index)


def _parsed(path: Path) -> Any:
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise DataError(f"{path}: a list of names may have {_MOST_BYTES:,} bytes, this one has {size:,}.")
    try:
        return yaml.load(read_text(path), _Loader)  # noqa: S506 - a safe one
    except yaml.constructor.ConstructorError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DataError(
            f"{path}:{line}: {error.problem}: tags can run code and are refused. Write names, numbers and lists alone."
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise DataError(f"{path}{where}: not YAML ({getattr(error, 'problem', error)}). Correct the line.") from error


def _config_of(raw: dict[Any, Any], file: str, faults: Faults) -> _Config:
    if "kpt_shape" in raw:
        raise DataError(f"{file}: kpt_shape: these are labels of key points, and boxes alone are read.")
    if raw.get("download"):
        faults.say("not-downloaded", f"{file}: 'download' is ignored: nothing is fetched, and no script runs.", "info")
    entries: dict[Split, list[str]] = {}
    for word, value in raw.items():
        split = split_named(str(word))
        texts = value if isinstance(value, list) else [value]
        if split is not None and value:
            entries[split] = [str(text) for text in texts]
    return _Config(file=file, names=_names_of(raw["names"], file), entries=entries, base=str(raw.get("path") or ""))


def _names_of(names: Any, file: str) -> dict[int, str]:
    entries = enumerate(names) if isinstance(names, list) else names.items() if isinstance(names, dict) else ()
    by_number: dict[int, str] = {}
    wrong = None if entries else names
    for number, name in entries:
        if isinstance(name, str) and _NUMBER.fullmatch(str(number)) and int(number) not in by_number:
            by_number[int(number)] = name.strip()
        else:
            wrong = {number: name}
    if wrong is not None or not by_number:
        raise DataError(
            f"{file}: names must be a list, or names by numbers from 0, got {str(wrong)[:80]}. Write: names: [cat, dog]"
        )
    return dict(sorted(by_number.items()))


def _splits(
    root: Path, config: _Config, pictures: PictureFiles, others: list[str], faults: Faults
) -> tuple[dict[str, Split | None], set[str]]:
    """Return the split of each picture that is used, and the lists of pictures that were read."""
    if not config.entries:
        within = [key for key in pictures.keys if "images" in key.lower().split("/")[:-1]] or pictures.keys
        return {key: _by_folder(key) for key in within}, set()
    found: dict[str, Split | None] = {}
    lists: set[str] = set()
    seen: dict[tuple[str, ...], Split] = {}
    for split in SPLITS:
        entries = config.entries.get(split, [])
        if entries and (first := seen.setdefault(tuple(entries), split)) != split:
            faults.add("two-splits", str(config.file), f"{split} is the same as {first}, and is not used")
            continue
        for entry in entries:
            keys, file = _keys_of(root, config, entry, pictures, others, faults)
            lists |= {file} if file else set()
            if not keys:
                faults.add("missing-split", entry, f"{config.file}: {split}")
            for key in keys:
                if key in found and found[key] != split:
                    faults.add("two-splits", key, f"{found[key]} and {split}")
                # the last counts: first train, then val, then test
                found[key] = split
    return dict(sorted(found.items(), key=lambda each: natural(each[0]))), lists


def _by_folder(key: str) -> Split | None:
    return next((split for part in key.split("/")[:-1] if (split := split_named(part))), None)


def _keys_of(
    root: Path, config: _Config, entry: str, pictures: PictureFiles, others: list[str], faults: Faults
) -> tuple[list[str], str]:
    """Return the pictures of a folder, or of a list with its name; none if it is not below the data."""
    near = posixpath.dirname(config.file or "")
    inner = entry.replace("\\", "/")
    while inner.startswith(("../", "./")):  # Roboflow writes ../train/images for train/images
        inner = inner.partition("/")[2]
    for text in (posixpath.join(config.base, entry), entry, inner):
        place = posixpath.normpath(posixpath.join(near, text))
        if place in others:
            return _listed(root, place, pictures, faults), place
        keys = pictures.keys if place == "." else [key for key in pictures.keys if key.startswith(f"{place}/")]
        if keys:
            return keys, ""
    return [], ""


def _listed(root: Path, file: str, pictures: PictureFiles, faults: Faults) -> list[str]:
    keys = []
    for number, line in enumerate(read_text(root / file).splitlines(), 1):
        name = line.strip()
        if not name:
            continue
        near = posixpath.dirname(file)
        if leads_outside(name, near):
            faults.add("outside-folder", name, f"{file}:{number}")
        elif (key := pictures.find(name, near)) is None:
            faults.add("missing-file", name, f"{file}:{number}")
        else:
            keys.append(key)
    return keys


def _label_files(key: str) -> list[str]:
    """Return where the labels of a picture may be: in `labels` (or `Labels`) for its `images`, or beside it."""
    folder, stem = posixpath.dirname(key), stem_of(key)
    parts = folder.split("/")
    places = [at for at, part in enumerate(parts) if part.lower() == "images"]
    beside = [posixpath.join(folder, f"{stem}.txt")]
    if not places:
        return beside
    last = places[-1]
    words = ("labels", "LABELS" if parts[last].isupper() else "Labels")
    return [posixpath.join(*parts[:last], word, *parts[last + 1 :], f"{stem}.txt") for word in words] + beside


def _lines(text: str, file: str, one: Annotation, faults: Faults) -> list[_Line]:
    """Return the objects of a file of labels; a line that is none is named."""
    found = []
    for row, line in enumerate(text.splitlines(), 1):
        cells, place = line.split(), f"{file}:{row}"
        if not cells:
            continue
        try:
            number, values = float(cells[0]), [float(cell) for cell in cells[1:]]
        except ValueError:
            number, values = np.nan, []
        outline = len(values) >= 6 and len(values) % 2 == 0
        if number % 1 or number != number or not (len(values) == 4 or outline):
            due = "a number and four shares, or the points of an outline, are due"
            faults.add("unreadable-object", one.key, f"{place}: {line[:60]!r}; {due}")
            continue
        faults.outlines += outline
        found.append(_Line(one, int(number), _around(values) if outline else tuple(values), place))
    return found


def _around(values: list[float]) -> tuple[float, ...]:
    """Return the centre and size of the box around the points x, y, x, y, … of an outline."""
    (left, right), (top, bottom) = ((min(some), max(some)) for some in (values[::2], values[1::2]))
    return ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


def _tell_strays(
    files: set[str], used: set[str], pictures: PictureFiles, unlabelled: set[str], faults: Faults
) -> set[str]:
    """Name files of labels without a picture, and pictures whose labels are elsewhere, which are returned."""
    folders = {posixpath.dirname(file) for file in used}
    of_others = {file for key in pictures.keys for file in _label_files(key)}  # of pictures that are not used
    misplaced: set[str] = set()
    for file in sorted(files - of_others, key=natural):
        folder, stem = posixpath.dirname(file), stem_of(file)
        among = folder in folders or "labels" in folder.lower().split("/")
        if not among or stem.lower() in _NOT_LABELS:
            continue
        key = pictures.with_stem(stem, folder)
        if key is None:
            faults.add("orphan-label", file)
        elif key in unlabelled - misplaced:
            faults.add("misplaced-label", key, file)
            misplaced.add(key)
    return misplaced


def _resolved(
    location: str, config: _Config, lines: list[_Line], options: SourceOptions, faults: Faults
) -> dict[int, str]:
    """Give each object the name of its class; return the names by number."""
    names = config.names
    if not names and options.names is not None:
        names = {number: str(number) for number in sorted({line.number for line in lines if line.number >= 0})}
    if not names:
        raise DataError(
            f"{printable(location)}: the classes have no names: no data.yaml with names, no classes.txt and no "
            "obj.names. Add one of them, or name the classes with --names FILE."
        )
    numbers = {line.number for line in lines}
    shifted = len(lines) >= _SURE and min(names) == 0 and numbers == set(range(1, len(names) + 1))
    if shifted:
        faults.say(
            "id-shift",
            f"the objects have the numbers 1 to {len(names)}, and the names are numbered from 0: the numbers count "
            f"from 1. They are read so, 1 as {names[0]!r}; subtract 1 in the files.",
        )
    for line in lines:
        name = names.get(line.number - shifted)
        if name is None:
            faults.add("unknown-class", line.owner.key, f"{line.place}: class {line.number}")
        else:
            line.owner.add(line.box, name, line.place)
    if min(names) == 0 and 0 not in numbers and names[0].strip("_").lower() in ("background", "bg"):
        faults.say(
            "unused-zero", f"{config.file}: no object is of class 0, {names[0]!r}. Delete it if it is none.", "warning"
        )
    return names


def picture_path(key: str, split: Split | None) -> str:
    """Return where a picture is written."""
    top, _, rest = key.partition("/")
    inner = rest if rest and split and split_named(top) == split else key
    return "/".join(filter(None, ("images", split, inner)))


def write(source: Source, folder: Path, paths: list[str]) -> list[str]:
    """Write the labels of pictures that are at these paths below a folder, and data.yaml; return what is lost."""
    for sample, path in zip(source.samples, paths, strict=True):
        file = folder / f"{_label_files(path)[0]}"
        file.parent.mkdir(parents=True, exist_ok=True)
        truth = sample.target
        kept_N = ~truth.crowd_N
        shares_N4 = truth.boxes_N4[kept_N] / (truth.size * 2)
        centres_N2, sides_N2 = (shares_N4[:, :2] + shares_N4[:, 2:]) / 2, shares_N4[:, 2:] - shares_N4[:, :2]
        rows = np.concatenate([centres_N2, sides_N2], axis=1).tolist()
        lines = [
            f"{label} {' '.join(f'{number:.12g}' for number in row)}\n"
            for label, row in zip(truth.labels_N[kept_N].tolist(), rows, strict=True)
        ]
        file.write_text("".join(lines), encoding="utf-8")
    splits = [split for split in SPLITS if any(sample.split == split for sample in source.samples)]
    config = {split: f"images/{split}" for split in splits} | {
        "nc": len(source.names),
        "names": dict(enumerate(source.names)),
    }
    (folder / "data.yaml").write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), encoding="utf-8")
    truths = [sample.target for sample in source.samples]
    return lost_of(truths, source.licence, crowds="left out", difficult="written without the mark")
