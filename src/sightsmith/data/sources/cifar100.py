"""CIFAR-100 by name: 50,000 + 10,000 photos, 32×32 colour, 100 classes, the fine labels (A. Krizhevsky, 2009)."""

from sightsmith.data.sources.parts.cifar_named import NamedCifar

NAMES = ("cifar100",)
open_source = NamedCifar(
    name="cifar100",
    url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    md5="03b5dce01913d631647c71ecec9e9cb8",
).open
