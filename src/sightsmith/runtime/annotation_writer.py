"""Answers beside their pictures in a new folder: as data that labelling tools read, or drawn."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from sightsmith.core.errors import DataError, OutputExistsError, SettingsError
from sightsmith.core.files import new_file, told
from sightsmith.core.images import EXTENSIONS, Picture, picture_size, sniff
from sightsmith.core.records import Sample
from sightsmith.data.converting import check_output, formats, new_data, write
from sightsmith.data.source import CATALOGUE, SourceOptions, build_source
from sightsmith.inputs import INPUTS, items_of
from sightsmith.kinds import options_of
from sightsmith.runtime.runner import Value

_LONGEST = 200  # Bytes of a name without its ending: a file system allows 255, and others are made of it
_REASONS = 3  # Why pictures are left out, in an error


class PictureNames:
    """File names of pictures for one folder; no two differ in case or ending alone, as other files share the stem."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def add(self, name: str, ending: str) -> str:
        """Return a free name for a picture that is called so in messages."""
        plain = "".join(one if one.isprintable() and one not in '\\/:*?"<>|#%' else "_" for one in PurePath(name).name)
        short = plain.removesuffix(ending).encode("utf-8", "ignore")[:_LONGEST].decode("utf-8", "ignore")
        stem = short.strip(" .-") or "picture"
        free, number = stem, 1
        while free.lower() in self._taken:
            number += 1
            free = f"{stem}-{number}"
        self._taken.add(free.lower())
        return free + ending


class AnnotationWriter:
    """Collects answers as truths of pictures for `out`; pictures that are no files are written to `folder`."""

    def __init__(self, out: Path, folder: Path, options: Mapping[str, Any]) -> None:
        self.samples: list[Sample] = []
        self.skipped: list[str] = []  # why pictures are left out
        self._out, self._folder, self._options, self._names = out.resolve(), folder, options, PictureNames()

    def write(self, name: str, prediction: Value | None, error: str | None = None, picture: Picture = b"") -> None:
        """Add a picture; one without an answer is left out, because of `error`.

        Raises SettingsError: it is in the folder that is to be replaced.
        """
        if prediction is None or error is not None:
            self.skipped.append(error or f"{name}: no answer.")
            return
        if isinstance(picture, (str, Path)) and Path(picture).resolve().is_relative_to(self._out):
            raise SettingsError(
                f"{name}: --out {self._out} would be replaced, and this picture is in it. Give another folder."
            )
        key = self._names.add(name, ending_of(picture))
        truth = prediction.to_truth(picture_size(picture), **self._options)
        if isinstance(picture, bytes):
            (self._folder / key).write_bytes(picture)
            picture = self._folder / key
        self.samples.append(Sample(key, picture, truth))


@contextmanager
def open_annotations(
    out: Path | None, form: str, kind: str, names: tuple[str, ...], asked: Mapping[str, Any], *, overwrite: bool
) -> Iterator[AnnotationWriter]:
    """Open a writer of annotations on a folder, which appears whole or not at all.

    Raises:
        SettingsError: there is no folder, or an option is wrong.
        OutputExistsError: the folder is there, and `overwrite` is false, or it holds something else.
        DataError: no picture was answered.
    """
    if out is None:
        raise SettingsError(f"--as '{form}' writes a folder with pictures: name it by --out.")
    check_output(None, out, overwrite=overwrite)
    options = options_of(kind, asked)
    with tempfile.TemporaryDirectory(prefix="sightsmith-") as folder, new_data(out) as fresh:
        writer = AnnotationWriter(out, Path(folder), options)
        yield writer
        if not writer.samples:
            why = " ".join(writer.skipped[:_REASONS]) or "No picture was given."
            raise DataError(f"--as '{form}': no picture could be answered, so nothing was written. {why}")
        source = build_source(
            format=form, location="predict", kind=kind, names=names, samples=writer.samples, options=SourceOptions()
        )
        write(source, fresh, form)


def forms_of(kind: str) -> list[str]:
    """Return the formats of data that can hold answers of a kind."""
    return [name for name in formats() if kind == CATALOGUE.module(name).KIND]


@contextmanager
def open_drawings(
    folder: Path | None, kind: str, asked: Mapping[str, Any], source: str
) -> Iterator[Callable[[str, Value | None, Picture], None]]:
    """Yield a function that writes a picture with its answer drawn into a new folder; it does nothing without one.

    Args:
        source: the input of the model; an item of it that is no picture is drawn by its face.

    Raises OutputExistsError: the folder is there, and has files.
    """
    if folder is None:
        yield lambda name, prediction, picture: None  # noqa: ARG005 -- nothing to draw
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputExistsError(f"{folder} exists already, and drawings go to a new folder. Give another name.")
    options, names, face = options_of(kind, asked), PictureNames(), INPUTS.module(items_of(source)).face

    def draw(name: str, prediction: Value | None, picture: Picture) -> None:
        if prediction is not None:
            path = (folder / names.add(name, ending_of(picture))).with_suffix(".png")
            with told(folder), new_file(path) as partial:
                prediction.draw(face(picture), **options).save(partial, "PNG")

    yield draw


def ending_of(picture: Picture) -> str:
    """Return the ending of a picture's file if it is one of pictures, by which data is searched; else of its format."""
    start = picture[:12] if isinstance(picture, bytes) else b""
    if isinstance(picture, (str, Path)):
        path = Path(picture)
        if path.suffix.lower() in EXTENSIONS:
            return path.suffix
        with path.open("rb") as file:
            start = file.read(12)
    known = sniff(start)
    return known[0] if known else ".png"
