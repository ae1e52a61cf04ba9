"""NumPy archives: MedMNIST's keys (`train_images`, `train_labels`, `val_…`, `test_…`), or `images` and `labels`.

An array of strings (or bytes in UTF-8) `classes` names the classes; without it a class is called by its number.
Arrays of Python objects are never read, since they are pickles.
"""

import math
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.errors import DataError
from sightsmith.core.files import ZIP_DAMAGE, absurd_ratio, odd_compression
from sightsmith.core.records import SPLITS, Split
from sightsmith.data.source import Source, SourceOptions, build_source
from sightsmith.data.sources.parts.arrays import Part, array_samples, check_part

_NAMES_IN = "USiu"  # Kinds of arrays that can name classes: strings, bytes, whole numbers


def detect(path: Path) -> bool:
    """Tell whether this is an archive, or a folder whose only data is one."""
    return path.suffix.lower() == ".npz" if path.is_file() else _inside(path) is not None


def open_source(location: str, options: SourceOptions) -> Source:
    """Read the arrays.

    Raises DataError: not such an archive, an array is missing or wrong, or it holds Python objects.
    """
    path = Path(location)
    file = _inside(path) if path.is_dir() else path
    if file is None:
        raise DataError(f"{location}: one .npz file in it is needed. Point at the file.")
    arrays = _read(file)
    parts: dict[Split | None, Part] = {}
    for split in (*SPLITS, None):
        images, labels = (f"{split}_{name}" if split else name for name in ("images", "labels"))
        if images in arrays and labels not in arrays:
            raise DataError(f"{file}: has {images} but no {labels}; it has {', '.join(arrays)}.")
        if images in arrays:
            parts[split] = check_part(arrays[images], arrays[labels], f"{file} ({images})")
    if not parts:
        raise DataError(
            f"{file}: needs the arrays train_images and train_labels (val_…, test_…) or images and labels; "
            f"it has {', '.join(arrays) or 'none'}."
        )
    classes, samples = array_samples(parts, _names(file, arrays["classes"]) if "classes" in arrays else None)
    return build_source(format="npz", location=location, names=classes, samples=samples, options=options)


def _inside(folder: Path) -> Path | None:
    if not folder.is_dir():
        return None
    entries = list(folder.iterdir())
    archives = [entry for entry in entries if entry.suffix.lower() == ".npz"]
    return archives[0] if len(archives) == 1 and not any(entry.is_dir() for entry in entries) else None


def _read(file: Path) -> dict[str, NDArray[np.generic]]:
    try:
        _check_sizes(file)
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except ValueError as error:
        if "pickle" in str(error).lower():
            raise DataError(
                f"{file}: holds Python objects or is no .npz archive; only arrays of numbers and strings are read. "
                "Save it again with np.savez and plain arrays."
            ) from error
        raise DataError(f"{file}: damaged ({error}). Download it again.") from error
    except (*ZIP_DAMAGE, KeyError, AttributeError, TypeError) as error:
        raise DataError(f"{file}: not a whole .npz archive ({error}). Download it again.") from error


def _check_sizes(file: Path) -> None:
    """Refuse arrays that claim more bytes than the file has: NumPy allocates the size in the header.

    Raises DataError: such a claim, or a compression that cannot be read within bounds.
    """
    if not zipfile.is_zipfile(file):
        return  # np.load says what it is
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        odd = odd_compression(members) or absurd_ratio(file.stat().st_size, sum(member.file_size for member in members))
        if odd:
            raise DataError(f"{file}: {odd}. If you trust it, save it again with np.savez.")
        for member in members:
            with archive.open(member) as array:
                first = np.lib.format.read_magic(array) == (1, 0)
                read_header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
                shape, _, dtype = read_header(array)
                claimed, held = math.prod(shape) * max(1, dtype.itemsize), member.file_size - array.tell()
            if claimed != held and not dtype.hasobject:
                raise DataError(
                    f"{file}, {member.filename}: its header says {' × '.join(map(str, shape))} of {dtype}, which takes "
                    f"{claimed:,} bytes, but it has {held:,}. Download it again."
                )


def _names(file: Path, classes: NDArray[np.generic]) -> list[str]:
    if classes.ndim != 1 or classes.dtype.kind not in _NAMES_IN:
        raise DataError(
            f"{file}: classes must be a list of names, one a class, got an array of shape {classes.shape} and type "
            f"{classes.dtype}. Save such as np.array(['cat', 'dog'])."
        )
    try:
        return [name.decode() if isinstance(name, bytes) else str(name) for name in classes.tolist()]
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file}: classes: {error.object!r} is not UTF-8 ({error.reason} at byte {error.start:,}). Save the names "
            "as strings, not bytes."
        ) from error
