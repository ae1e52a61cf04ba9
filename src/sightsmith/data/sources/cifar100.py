"""CIFAR-100 by name: 50,000 + 10,000 photos, 32×32 colour, 100 classes, the fine labels (A. Krizhevsky, 2009)."""

from functools import partial

from sightsmith.data.sources.parts.download import open_cifar

NAMES = ("cifar100",)
_URL = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
open_source = partial(open_cifar, "cifar100", url=_URL, md5="03b5dce01913d631647c71ecec9e9cb8")
