"""Fashion-MNIST by name: 60,000 + 10,000 pieces of clothing, 28×28 grey (Zalando, arXiv:1708.07747)."""

from pathlib import Path

from sightsmith.data.source import Source, SourceOptions
from sightsmith.data.sources.parts.mnist_like import open_mnist_like

NAMES: tuple[str, ...] = ("fashion-mnist",)
ONLY_BY_NAME = True
"""There are no paths of this format."""

_CLASSES = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
]
_BY_HAND = (
    "download train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
    "t10k-labels-idx1-ubyte.gz from https://github.com/zalandoresearch/fashion-mnist on a machine with a network."
)


def detect(path: Path) -> bool:  # noqa: ARG001 - the contract of a source
    """Tell whether this path is of this format: never, it opens by name (files by hand are `idx`)."""
    return False


def open_source(location: str, options: SourceOptions) -> Source:  # noqa: ARG001 - the contract of a source
    """Open it, downloading once.

    Raises:
        DataError: it cannot be downloaded.
    """
    return open_mnist_like("fashion-mnist", "FashionMNIST", _CLASSES, options, licence="MIT", by_hand=_BY_HAND)
