"""MNIST by name: 60,000 + 10,000 handwritten digits, 28×28 grey (LeCun, Cortes, Burges)."""

from pathlib import Path

from sightsmith.data.source import Source, SourceOptions
from sightsmith.data.sources.parts.mnist_like import open_mnist_like

NAMES: tuple[str, ...] = ("mnist",)
ONLY_BY_NAME = True
"""There are no paths of this format."""

_BY_HAND = (
    "download train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
    "t10k-labels-idx1-ubyte.gz from https://ossci-datasets.s3.amazonaws.com/mnist/ on a machine with a network."
)


def detect(path: Path) -> bool:  # noqa: ARG001 - the contract of a source
    """Tell whether this path is of this format: never, it opens by name (files by hand are `idx`)."""
    return False


def open_source(location: str, options: SourceOptions) -> Source:  # noqa: ARG001 - the contract of a source
    """Open it, downloading once.

    Raises:
        DataError: it cannot be downloaded.
    """
    return open_mnist_like("mnist", "MNIST", [*"0123456789"], options, licence="CC BY-SA 3.0", by_hand=_BY_HAND)
