"""CIFAR-10 by name: 50,000 + 10,000 photos, 32×32 colour, 10 classes (A. Krizhevsky, 2009)."""

from sightsmith.data.sources.parts.cifar_named import NamedCifar

NAMES = ("cifar10",)
open_source = NamedCifar(
    name="cifar10",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    md5="c32a1d4ab5d03f1284b67883e8d87530",
).open
