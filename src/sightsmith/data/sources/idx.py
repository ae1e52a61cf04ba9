"""MNIST's format: idx files of pictures and labels, gzipped or plain.

A folder with `train-images-idx3-ubyte[.gz]`, `train-labels-idx1-ubyte[.gz]`, `t10k-images-…`, or one file of
pictures with its labels beside it. A file `classes.txt` beside them names the classes, a line each; without it a
class is called by its number.
"""

from pathlib import Path

from sightsmith.core.errors import DataError
from sightsmith.data.source import Source, SourceOptions, build_source
from sightsmith.data.sources.parts.arrays import array_samples
from sightsmith.data.sources.parts.idx_files import find_idx, read_sets
from sightsmith.data.sources.parts.names import read_names


def detect(path: Path) -> bool:
    """Tell whether this is a file of pictures in idx, or a folder that has one."""
    return bool(find_idx(path))


def open_source(location: str, options: SourceOptions) -> Source:
    """Read the arrays. Raises DataError: no such files, or one is wrong."""
    path = Path(location)
    images = find_idx(path)
    if not images and not path.is_dir():
        raise DataError(f"{path}: not named like an idx file of pictures, such as train-images-idx3-ubyte.gz.")
    if not images:
        raise DataError(f"{location}: no file like train-images-idx3-ubyte or train-images-idx3-ubyte.gz in it.")
    names = read_names((path if path.is_dir() else path.parent) / "classes.txt")
    classes, samples = array_samples(read_sets(images), names)
    return build_source(format="idx", location=location, names=classes, samples=samples, options=options)
