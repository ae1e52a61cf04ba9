"""CIFAR-10 by name: 50,000 + 10,000 photos, 32×32 colour, 10 classes (A. Krizhevsky, 2009)."""

from pathlib import Path

from sightsmith.data.source import Source, SourceOptions
from sightsmith.data.sources.parts.cifar_named import open_cifar

NAMES: tuple[str, ...] = ("cifar10",)
ONLY_BY_NAME = True
"""There are no paths of this format."""

_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"


def detect(path: Path) -> bool:  # noqa: ARG001 - the contract of a source
    """Tell whether this path is of this format: never, it opens by name (files by hand are `cifar`)."""
    return False


def open_source(location: str, options: SourceOptions) -> Source:  # noqa: ARG001 - the contract of a source
    """Open it, downloading once.

    Raises:
        DataError: it cannot be downloaded.
    """
    return open_cifar("cifar10", _URL, _MD5, options)
