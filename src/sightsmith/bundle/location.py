"""The output path of a bundle, which is replaced atomically."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sightsmith.bundle.folder import link, zip_folder
from sightsmith.core.errors import OutputExistsError
from sightsmith.core.files import refuse_existing, replace_content, replace_folder

MANIFEST, SPLITS = "manifest.json", "splits.json"


def refuse_taken(path: Path, *, overwrite: bool) -> None:
    """Raise if a bundle's path exists and may not be replaced.

    Raises OutputExistsError: a bundle or an empty folder exists and `overwrite` is false, or anything else exists.
    """
    if path.exists() and not _replaceable(path):
        raise OutputExistsError(
            f"{path} exists already and is not a bundle; --overwrite replaces only bundles and empty folders. "
            "Give another name, or move it away yourself."
        )
    refuse_existing(path, overwrite=overwrite, folder=True)


def name_of(place: Path) -> str:
    """Return the name of a bundle: the last part of its path, without the .zip of an archive."""
    return place.stem if place.suffix == ".zip" else place.name


def baselines_folder(place: Path) -> Path:
    """Return the folder beside a bundle that has the bundles of its baselines."""
    return place.with_name(f"{name_of(place)}.baselines")


@contextmanager
def staged(place: Path, *, zipped: bool) -> Iterator[Path]:
    """Yield a folder to fill; if the block succeeds, it becomes the folder or zip archive at `place`."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".sightsmith-", dir=place.parent) as temporary:
        folder = Path(temporary) / "bundle"
        folder.mkdir()
        yield folder
        if zipped:
            zip_folder(folder, place)
        elif _stood_in(place):
            replace_content(folder, place)
        else:
            _link_hidden(place, folder)
            replace_folder(folder, place)


def _stood_in(place: Path) -> bool:
    with suppress(OSError):  # the working folder was deleted
        here = Path.cwd()
        return place in (here, *here.parents) and place.is_dir()
    return False


def _link_hidden(place: Path, fresh: Path) -> None:
    hidden = [entry for entry in place.iterdir() if entry.name.startswith(".")] if place.is_dir() else []
    for entry in hidden:  # keep .git and the like
        if entry.is_dir():
            shutil.copytree(entry, fresh / entry.name, symlinks=True, copy_function=link)
        else:
            link(entry, fresh / entry.name)


def _replaceable(path: Path) -> bool:
    if path.suffix == ".zip" and path.is_dir():
        return False
    names = set(_names(path))
    # every bundle has these two, and weights beside them; no other folder has
    marked = {MANIFEST, SPLITS} <= names and any(name.endswith(".safetensors") for name in names)
    return marked or (path.is_dir() and not any(path.iterdir()))


def _names(path: Path) -> Iterable[str]:
    """Return the names of the files in a folder, or of those in an archive or its top folders."""
    if path.is_dir():
        return [entry.name for entry in path.iterdir() if entry.is_file()]
    try:
        with zipfile.ZipFile(path) as zipped:
            return [name.rpartition("/")[2] for name in zipped.namelist() if name.count("/") < 2]
    except (OSError, ValueError, zipfile.BadZipFile):
        return []
