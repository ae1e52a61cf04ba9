"""CIFAR-10 by name: 50,000 + 10,000 photos, 32×32 colour, 10 classes (A. Krizhevsky, 2009)."""

from functools import partial

from sightsmith.data.sources.parts.download import open_cifar

NAMES = ("cifar10",)
_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
open_source = partial(open_cifar, "cifar10", url=_URL, md5="c32a1d4ab5d03f1284b67883e8d87530")
