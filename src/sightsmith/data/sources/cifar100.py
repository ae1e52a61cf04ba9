"""CIFAR-100 by name: 50,000 + 10,000 photos, 32×32 colour, 100 classes (the fine labels) (A. Krizhevsky, 2009)."""

from pathlib import Path

from sightsmith.data.source import Source, SourceOptions
from sightsmith.data.sources.parts.cifar_named import open_cifar

NAMES: tuple[str, ...] = ("cifar100",)
ONLY_BY_NAME = True
"""There are no paths of this format."""

_URL = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
_MD5 = "03b5dce01913d631647c71ecec9e9cb8"


def detect(path: Path) -> bool:  # noqa: ARG001 - the contract of a source
    """Tell whether this path is of this format: never, it opens by name (files by hand are `cifar`)."""
    return False


def open_source(location: str, options: SourceOptions) -> Source:  # noqa: ARG001 - the contract of a source
    """Open it, downloading once.

    Raises:
        DataError: it cannot be downloaded.
    """
    return open_cifar("cifar100", _URL, _MD5, options)
