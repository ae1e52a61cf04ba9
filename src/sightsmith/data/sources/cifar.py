"""The binary version of CIFAR-10 and CIFAR-100: `data_batch_1.bin` …, or `train.bin` and `test.bin`."""

from pathlib import Path

from sightsmith.core.errors import DataError
from sightsmith.data.source import Source, SourceOptions, build_source
from sightsmith.data.sources.parts.arrays import array_samples
from sightsmith.data.sources.parts.cifar_files import find_folder, is_pickled, read_cifar


def detect(path: Path) -> bool:
    """Tell whether this folder holds CIFAR, in either version: the pickled one is then refused by name."""
    return find_folder(path) is not None or is_pickled(path)


def open_source(location: str, options: SourceOptions) -> Source:
    """Read the arrays. Raises DataError: the files are missing, cut short, or of the pickled version."""
    folder = find_folder(Path(location))
    if folder is None and is_pickled(Path(location)):
        raise DataError(
            f"{location}: this is CIFAR's 'python version', pickles that can run any code when read. Get the 'binary "
            "version' from https://www.cs.toronto.edu/~kriz/cifar.html (cifar-10-binary.tar.gz or "
            "cifar-100-binary.tar.gz)."
        )
    if folder is None:
        raise DataError(f"{location}: no data_batch_1.bin (CIFAR-10) and no train.bin (CIFAR-100) in it.")
    classes, samples = array_samples(*read_cifar(folder))
    return build_source(format="cifar", location=location, names=classes, samples=samples, options=options)
