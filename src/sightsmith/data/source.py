"""A source: pictures on a disk, or a data set known by name, as an index of samples.

One on-disk format is one file of `data/sources/`; this selects it by name, by `--format`, or by detection.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.catalogue import Catalogue
from sightsmith.core.counts import many
from sightsmith.core.errors import DataError, SettingsError
from sightsmith.core.images import EXTENSIONS, printable
from sightsmith.core.names import did_you_mean, shortened
from sightsmith.core.records import Sample
from sightsmith.data.problem import Problem, problem_of_each
from sightsmith.data.settings import SourceOptions as SourceOptions
from sightsmith.data.sources.parts.names import name_classes, read_class_names
from sightsmith.inputs import INPUTS
from sightsmith.kinds import FIRST, KINDS, optional_part

CATALOGUE = Catalogue("sightsmith.data.sources", "data format")  # The formats: `data/sources/NAME.py`

_DEFAULTS = SourceOptions()
_EXAMPLES = {
    "group_by": r"An example: ^(\d+/\d+)_ takes 3/00002 from 3/00002_00006.ppm. Columns exist in tables alone.",
    "label_by": r"An example: ([a-z]+)_\d+\.jpg$ takes cat from cat_001.jpg.",
    "frames_by": r"An example: ^(\d+/\d+)_ makes 3/00002_00006.ppm a frame of the clip 3/00002.",
}
_ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An index of samples."""

    format: str  # name of the file in `data/sources/` that made it
    location: str  # the path or name it was opened by
    kind: str = FIRST  # kind of answer that its samples have truths of
    input: str = "picture"  # that reads its samples' items, the name of a file in `inputs/`
    names: tuple[str, ...]  # of the classes or tags; the index of a sample's label is a position in it
    samples: Sequence[Sample]  # the index, in the order of the source
    problems: tuple[Problem, ...] = ()  # found while listing
    licence: str | None = None  # of the data, if known
    details: Mapping[str, Any] = field(default_factory=dict)  # facts that the kind keeps, such as the unit of a number
    given_names: Mapping[int, str] = field(default_factory=dict)  # the list for classes that the data numbers, if any
    hashes: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)  # of contents, by key, if known

    def __repr__(self) -> str:
        return f"<Source {self.location} ({self.format}): {many(len(self.samples), 'sample')} of {self.kind}>"

    def content_hash(self, sample: Sample) -> bytes:
        """Return the SHA-256 of the content of one of its samples; each file is read and hashed once.

        Raises OSError: it cannot be read.
        """
        if sample.key not in self.hashes:
            self.hashes[sample.key] = INPUTS.module(self.input).digest(sample.item)
        return self.hashes[sample.key]

    def strata(self) -> NDArray[np.int64]:
        """Return (N,) the number of each sample's stratum (of labels the class), -1 if its truth is unknown."""
        return KINDS.module(self.kind).strata([sample.target for sample in self.samples])

    def truth_text(self, sample: Sample) -> str:
        """Return the truth of a sample in words, empty if it is unknown."""
        if sample.target is None:
            return ""
        return str(KINDS.module(self.kind).truth_text(sample.target, self.names))

    def brief_text(self, sample: Sample) -> str:
        """Return the truth of a sample in few words, in which two truths may look alike; empty if it is unknown."""
        contents = optional_part(self.kind, "contents")
        if sample.target is None or contents is None:
            return self.truth_text(sample)
        return str(contents.brief(sample.target, self.names))


def open_source(location: str | Path, options: SourceOptions = _DEFAULTS) -> Source:
    """Open data by name or by path.

    A string without a path separator that is a known name ("digits", "mnist" …) opens that data set, even if
    a folder of that name exists; write `./digits` for the folder. With `format` it is a path, but for the
    formats that open by their name alone ("digits", "mnist" …), which take no path.

    Raises:
        DataError: nothing there, no format fits, or the data cannot be used.
        SettingsError: an unknown format, or `group_by` is neither a column nor a pattern with one group.
    """
    try:
        return _open(location, options)
    except OSError as error:
        where = shortened(printable(str(error.filename or location)))
        raise DataError(
            f"{where}: cannot be read ({error.strerror or error}). Put a file or folder of the data there that this "
            "user may read."
        ) from error


def build_source(
    *,
    format: str,  # noqa: A002 - the field's name
    location: str,
    names: Sequence[str],
    samples: Sequence[Sample],
    options: SourceOptions,
    problems: Sequence[Problem] = (),
    licence: str | None = None,
    kind: str = FIRST,
    input: str = "picture",  # noqa: A002 - as in Source
    details: Mapping[str, Any] = MappingProxyType({}),
) -> Source:
    """Make a source from the samples of a format: groups by pattern, keys made unique, none empty.

    Raises:
        DataError: there is no sample, a class has no name of its own, the pattern of `group_by` fits no sample, or the
            list of `names` does not name every class.
        SettingsError: `group_by` is not a regular expression with one group.
    """
    if not samples:
        reasons = "".join(f"\n{problem.to_text()}" for problem in problems)
        raise DataError(f"{printable(location)}: no {input} in it can be used.{reasons}")
    if options.names is not None and not names:
        raise SettingsError(f"names: {printable(location)} has no classes to name. Leave it out.")
    given = read_class_names(options.names) if options.names is not None else {}
    if given:
        names = name_classes(names, given, printable(str(options.names)))
    _check_names(printable(location), names, KINDS.module(kind).NOUNS)
    problems = tuple(problems)
    samples = _unique(samples)
    if options.group_by is not None:
        samples, strays = _grouped(samples, options.group_by)
        problems += strays
    return Source(
        format=format,
        location=printable(location),
        kind=kind,
        input=input,
        names=tuple(names),
        samples=tuple(samples),
        problems=problems,
        licence=licence,
        details=details,
        given_names=given,
    )


def known_names() -> list[str]:
    """Return the names that open a data set without a path."""
    return sorted(name for entry in CATALOGUE.names() for name in getattr(CATALOGUE.module(entry), "NAMES", ()))


def require_data(location: str | Path, options: SourceOptions = _DEFAULTS) -> None:
    """Raise if `open_source` would find nothing; the data itself is not read.

    Raises:
        DataError: nothing is there.
        SettingsError: an unknown format.
    """
    if _opened_by_name(location, options) is None:
        with suppress(OSError):  # open_source reports one that cannot be read
            _require_path(location)


def _open(location: str | Path, options: SourceOptions) -> Source:
    named = _opened_by_name(location, options)
    if named is not None:
        _refuse_columns(options, named)
        if options.label_by is not None:
            raise SettingsError(f"label_by: {location} has labels of its own. Leave it out, or write './{location}'.")
        for name in ("frames_by", "frame_rate"):
            if getattr(options, name) is not None:
                raise SettingsError(f"{name}: {location} has no frames. Leave it out, or write './{location}'.")
        source: Source = named.open_source(str(location), options)
        if not Path(location).exists():
            return source
        message = (
            f"{location!r} opened the data set of that name; for the folder or file beside it write './{location}'."
        )
        beside = Problem(code="name-and-path", severity="info", message=message)
        return replace(source, problems=(*source.problems, beside))
    path = _require_path(location)
    asked = CATALOGUE.module(options.format) if options.format else None
    if asked is not None and not hasattr(asked, "detect"):  # it opens by its name alone
        name, fits = asked.NAMES[0], " or ".join(_fitting(path))
        hint = f"The files there fit --format {fits}." if fits else f"And no other format fits: {_no_format(path)}"
        raise DataError(
            f"{printable(str(path))}: the format {name!r} opens {name} by its name alone and reads no path. {hint}"
        )
    chosen = asked or CATALOGUE.module(_by_pattern(path, options) or _detect(path))
    _refuse_columns(options, chosen)
    _refuse_patterns(options, chosen, path)
    return chosen.open_source(str(location), options)


def _by_pattern(path: Path, options: SourceOptions) -> str | None:
    """Return the format of data whose labels or frames are named by options, None if none are."""
    if options.frames_by is not None or (options.frame_rate is not None and path.is_dir()):
        return "clips"
    if options.label_by is None:
        return None
    return "clips" if CATALOGUE.module("clips").detect(path) else "folder"


def _refuse_patterns(options: SourceOptions, module: ModuleType, path: Path) -> None:
    """Refuse patterns of paths for a format that reads no folder of classes, or no frames."""
    name = module.__name__.rpartition(".")[2]
    if options.label_by is not None and not (path.is_dir() and getattr(module, "HAS_PATHS", False)):
        raise SettingsError(
            f"label_by: labels are taken from the paths of files in a folder alone, and {printable(str(path))} is "
            f"{f'of the format {name!r}' if path.is_dir() else 'no folder'}. Drop it, or name a folder."
        )
    if options.frame_rate is not None and not getattr(module, "HAS_FRAMES", False):
        raise SettingsError(
            f"frame_rate: frames are in folders of clips and in tables alone, and {printable(str(path))} is of the "
            f"format {name!r}. Drop it, or name such data."
        )
    if options.frames_by is not None and name != "clips":
        raise SettingsError(
            f"frames_by: pictures are frames of clips in the format 'clips' alone, and {printable(str(path))} is of "
            f"the format {name!r}. Drop it, or name a folder of frames."
        )


def _refuse_columns(options: SourceOptions, module: ModuleType) -> None:
    """Refuse options about table columns for a format without columns."""
    given = [name for name in ("target", "unit") if getattr(options, name) is not None]
    if given and not getattr(module, "HAS_COLUMNS", False):
        raise SettingsError(
            f"{given[0]}: names columns or units of a table, and the format {module.__name__.rpartition('.')[2]!r} has "
            "none. Leave it out, or write the truths into a CSV table."
        )


def _opened_by_name(location: str | Path, options: SourceOptions = _DEFAULTS) -> ModuleType | None:
    """Return the format that opens a data set by its name alone; None if the location is a path."""
    asked = CATALOGUE.module(options.format) if options.format else None
    if isinstance(location, Path) or location not in CATALOGUE:
        return None
    named = CATALOGUE.module(location)
    known = location.replace("_", "-") in getattr(named, "NAMES", ())
    return named if known and (asked is None or (asked is named and not hasattr(asked, "detect"))) else None


def _require_path(location: str | Path) -> Path:
    path = Path(location)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(_nothing_there(location)) from None
    return path


def _nothing_there(location: str | Path) -> str:
    message = f"{printable(str(location))}: no such file or folder"
    if _opened_by_name(location) is not None:
        return f"{message}. Leave --format out to open the data set of that name."
    if isinstance(location, str) and "/" not in location and "\\" not in location:
        return f"{message}, and no data set of that name. {did_you_mean(location, known_names())}"
    whole = Path(location)
    parent = next((folder for folder in whole.parents if folder.exists()), Path())  # a drive may be missing too
    nearby = [printable(entry.name) for entry in sorted(parent.iterdir())[:200]] if parent.is_dir() else []
    missing = printable(whole.parts[len(parent.parts)])
    where = "the current folder" if parent == Path() else printable(str(parent))
    return f"{message}: {where} has no {missing!r}. {did_you_mean(missing, nearby)}"


def _detect(path: Path) -> str:
    fitting = _fitting(path)
    if len(fitting) > 1:
        raise DataError(f"{path}: may be {' or '.join(fitting)}. Say which with --format '{fitting[0]}'.")
    if not fitting:
        raise DataError(f"{printable(str(path))}: {_no_format(path)}")
    return fitting[0]


def _fitting(path: Path) -> list[str]:
    """Return the formats of a path; general ones only if no special one fits."""
    modules = {name: CATALOGUE.module(name) for name in CATALOGUE.names()}
    fitting = [name for name, module in modules.items() if hasattr(module, "detect") and module.detect(path)]
    return [name for name in fitting if not getattr(modules[name], "GENERAL", False)] or fitting


def _no_format(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in _ARCHIVES:
        return "an archive. Unpack it and point at the folder."
    if suffix in EXTENSIONS:
        return "one picture, not a data set. Point at a folder that has one folder of pictures per class."
    return (
        f"in no format known here ({', '.join(CATALOGUE.names())}). Point at a folder that has one folder of "
        "pictures per class, or at a CSV table with the columns path and label."
    )


def _check_names(location: str, names: Sequence[str], nouns: tuple[str, str]) -> None:
    """Refuse an empty name, or one that occurs twice: answers by name could not tell them apart."""
    one, several = nouns
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if not name.strip():
            raise DataError(f"{location}: {one} {index} has no name. Give it one in the list of {several}.")
        if name != printable(name):
            raise DataError(
                f"{location}: {one} {index} is called {printable(name)!r}, in which half of a character is missing. "
                "Rename it."
            )
        if seen.setdefault(name, index) != index:
            raise DataError(
                f"{location}: the {several} {seen[name]} and {index} are both called {name!r}; a name is for only one "
                f"{one}. Rename one, or give their pictures one label if they are one {one}."
            )


def _unique(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Make repeated keys unique with `#2`, `#3` …: a table may list one file twice."""
    taken = {sample.key for sample in samples}
    if len(taken) == len(samples):
        return samples
    seen: Counter[str] = Counter()
    unique = []
    for sample in samples:
        seen[sample.key] += 1
        key, count = sample.key, seen[sample.key]
        while count > 1 and key in taken:
            key = f"{sample.key}#{count}"
            count += 1
        taken.add(key)
        unique.append(sample if key == sample.key else replace(sample, key=key))
    return unique


def _grouped(samples: Iterable[Sample], group_by: str) -> tuple[list[Sample], tuple[Problem, ...]]:
    group_of = part_finder("group_by", group_by)
    grouped = [replace(sample, group=group_of(sample.key)) for sample in samples]
    strays = [sample.key for sample in grouped if sample.group is None]
    if len(strays) == len(grouped):
        raise DataError(
            f"group_by: the pattern {group_by!r} matches none of {many(len(grouped), 'picture')}; the first is "
            f"{grouped[0].key!r}. Write a pattern that fits such names, with the part that names the group in (…)."
        )
    of_all = f"of {len(grouped):,} pictures"
    message = (
        f"{many(len(strays), f'{of_all} does', f'{of_all} do')} not fit the pattern {group_by!r}; each counts as a "
        "group of its own. Widen the pattern if they belong together."
    )
    return grouped, problem_of_each("no-group", "warning", message, strays)


def part_finder(setting: str, text: str) -> Callable[[str], str | None]:
    """Return the function that takes a part out of a path by the pattern of `group_by` or `label_by`.

    The part is the pattern's group called "group" ("label", "frames"), or its only group; None if the pattern does not
    fit.

    Raises SettingsError: it is no regular expression, or none of its groups is the part.
    """
    pattern, which = _part(setting, text)

    def find(path: str) -> str | None:
        match = pattern.search(path)
        return match.group(which) if match else None

    return find


def part_end_finder(setting: str, text: str) -> Callable[[str], int | None]:
    """Return the function that gives the end of that part in a path, likewise."""
    pattern, which = _part(setting, text)

    def find(path: str) -> int | None:
        match = pattern.search(path)
        return match.end(which) if match else None

    return find


def _part(setting: str, text: str) -> tuple[re.Pattern[str], int]:
    part = setting.removesuffix("_by")
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise SettingsError(f"{setting}: {text!r} is not a regular expression: {error}") from None
    which = pattern.groupindex.get(part, 1)
    if part not in pattern.groupindex and pattern.groups != 1:
        raise SettingsError(
            f"{setting}: a pattern needs one part in (…), which names the {part}; {text!r} has {pattern.groups}. "
            f"{_EXAMPLES[setting]}"
        )
    return pattern, which
