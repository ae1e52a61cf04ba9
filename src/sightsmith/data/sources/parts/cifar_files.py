"""Reading the binary version of CIFAR-10 and CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html).

A record is one label byte (CIFAR-10) or a coarse and a fine one (CIFAR-100), then 3 × 32 × 32 bytes: the red, green
and blue planes. The "python version" is a pickle, which can run any code when it is read, and is refused.
"""

from pathlib import Path

import numpy as np

from sightsmith.core.errors import DataError
from sightsmith.core.records import Split
from sightsmith.data.sources.parts.arrays import Part
from sightsmith.data.sources.parts.names import read_names

PIXELS = 3 * 32 * 32
_BATCHES = "data_batch_*.bin"


def find_folder(path: Path) -> Path | None:
    """Return the folder that holds the files: the path itself or the folder of the archive inside it."""
    for folder in (path, path / "cifar-10-batches-bin", path / "cifar-100-binary"):
        if any(folder.glob(_BATCHES)) or _is_100(folder):
            return folder
    return None


def is_pickled(path: Path) -> bool:
    folders = (path, path / "cifar-10-batches-py", path / "cifar-100-python")
    return any(_has(folder, "batches.meta") or _has(folder, "meta", "train", "test") for folder in folders)


def read_cifar(folder: Path) -> tuple[dict[Split | None, Part], list[str] | None]:
    """Read all pictures and the names of the classes, None if the list of names is missing.

    Raises DataError: a file is cut short, or the list of names is not UTF-8.
    """
    fine = _is_100(folder)
    patterns: dict[Split, str] = {"train": _BATCHES, "test": "test_batch.bin"}
    if fine:
        patterns = {"train": "train.bin", "test": "test.bin"}
    files = {split: sorted(folder.glob(pattern)) for split, pattern in patterns.items()}
    parts: dict[Split | None, Part] = {split: _read(paths, 2 if fine else 1) for split, paths in files.items() if paths}
    return parts, read_names(folder / ("fine_label_names.txt" if fine else "batches.meta.txt"))


def _read(files: list[Path], label_bytes: int) -> Part:
    record = label_bytes + PIXELS
    read = []
    for file in files:
        data = np.fromfile(file, dtype=np.uint8)
        if not data.size or data.size % record:
            raise DataError(
                f"{file}: {data.size:,} bytes are no whole number of records of {record:,} bytes. Download it again."
            )
        read.append(data.reshape(-1, record))
    records = np.concatenate(read)
    planes_NCHW = records[:, label_bytes:].reshape(-1, 3, 32, 32)
    pictures_NHWC = np.ascontiguousarray(planes_NCHW.transpose(0, 2, 3, 1))
    return Part(pictures_NHWC, records[:, label_bytes - 1].astype(np.int64), str(files[0]))


def _is_100(folder: Path) -> bool:
    return _has(folder, "train.bin", "fine_label_names.txt") or _has(folder, "train.bin", "test.bin")


def _has(folder: Path, *names: str) -> bool:
    return all((folder / name).is_file() for name in names)
