"""Answers beside their pictures in a new folder: as annotations for labelling tools, or drawn."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from sightsmith.core.errors import OutputExistsError, SettingsError
from sightsmith.core.files import new_file, refuse_existing, replace_folder, told
from sightsmith.core.images import Picture, picture_size, sniff
from sightsmith.kinds import optional_part, options_of, part_of
from sightsmith.runtime.runner import Value

PICTURES = "images"  # Folder of the pictures


class PictureNames:
    """File names of pictures for one folder: no two differ in case or ending alone, since labels share the stem."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def add(self, name: str, ending: str) -> str:
        """Return a free name for a picture that is called so in messages."""
        plain = "".join(one if one.isprintable() and one not in '\\/:*?"<>|#%' else "_" for one in PurePath(name).name)
        stem = plain.removesuffix(ending).strip(" .-") or "picture"
        free, number = stem, 1
        while free.lower() in self._taken:
            number += 1
            free = f"{stem}-{number}"
        self._taken.add(free.lower())
        return free + ending


class AnnotationWriter:
    """Writes answers of one kind in a format of annotations, and links the pictures."""

    def __init__(self, folder: Path, form: Any, options: Mapping[str, Any]) -> None:
        self._pictures, self._form, self._options = folder / PICTURES, form, options
        self._names = PictureNames()
        self._pictures.mkdir()

    def write(self, name: str, prediction: Value | None, error: str | None = None, picture: Picture = b"") -> None:
        """Add a picture; one without an answer is left out, and `error` printed by the caller."""
        if prediction is None or error is not None:
            return
        file = self._names.add(name, ending_of(picture))
        _put(picture, self._pictures / file)
        self._form.add(file, picture_size(picture), prediction, self._options)


@contextmanager
def open_annotations(
    out: Path | None, form: str, kind: str, names: tuple[str, ...], asked: Mapping[str, Any], *, overwrite: bool
) -> Iterator[AnnotationWriter]:
    """Open a writer of annotations on a folder, which appears whole or not at all.

    Raises:
        SettingsError: there is no folder, or an option is wrong.
        OutputExistsError: the folder is there, and `overwrite` is false, or it holds something else.
    """
    if out is None:
        raise SettingsError(f"--as {form} writes a folder with pictures: name it by --out.")
    refuse_existing(out, overwrite=overwrite, folder=True)
    if out.exists() and not (
        out.is_dir() and {path.name for path in out.iterdir()} <= part_of(kind, "annotations").CONTENT
    ):
        raise OutputExistsError(f"{out} holds something else than annotations, and is not replaced. Give another name.")
    options = options_of(kind, asked)
    with told(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
            fresh = Path(temporary) / "whole"
            fresh.mkdir()
            made = forms_of(kind)[form](fresh, names)
            yield AnnotationWriter(fresh, made, options)
            made.finish()
            replace_folder(fresh, out)


@contextmanager
def open_drawings(
    folder: Path | None, kind: str, asked: Mapping[str, Any]
) -> Iterator[Callable[[str, Value | None, Picture], None]]:
    """Yield a function that writes a picture with its answer drawn into a new folder; it does nothing without one.

    Raises OutputExistsError: the folder is there, and has files.
    """
    if folder is None:
        yield lambda name, prediction, picture: None  # noqa: ARG005 -- nothing to draw
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputExistsError(f"{folder} exists already, and drawings go to a new folder. Give another name.")
    options, names = options_of(kind, asked), PictureNames()

    def write(name: str, prediction: Value | None, picture: Picture) -> None:
        if prediction is not None:
            path = (folder / names.add(name, ending_of(picture))).with_suffix(".png")
            with told(folder), new_file(path) as partial:
                prediction.draw(picture, **options).save(partial, "PNG")

    yield write


def forms_of(kind: str) -> Mapping[str, Any]:
    """Return the formats of annotations of a kind of answer, by name; empty if it has none."""
    part = optional_part(kind, "annotations")
    return {} if part is None else part.FORMS


def ending_of(picture: Picture) -> str:
    """Return the ending of a picture's file, by its content if it has none."""
    if isinstance(picture, (str, Path)):
        return Path(picture).suffix
    known = sniff(picture[:12]) if isinstance(picture, bytes) else None
    return known[0] if known else ".png"


def _put(picture: Picture, target: Path) -> None:
    if isinstance(picture, bytes):
        target.write_bytes(picture)
        return
    original = Path(str(picture)).resolve()
    try:
        target.hardlink_to(original)
    except OSError:  # another disk, or one without links
        shutil.copyfile(original, target)
