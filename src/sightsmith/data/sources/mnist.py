"""MNIST by name: 60,000 + 10,000 handwritten digits, 28×28 grey (LeCun, Cortes, Burges); files by hand are `idx`."""

from functools import partial

from sightsmith.data.sources.parts.download import open_mnist

NAMES = ("mnist",)
_ADDRESS = "https://ossci-datasets.s3.amazonaws.com/mnist/"
open_source = partial(
    open_mnist, "mnist", dataset="MNIST", classes=[*"0123456789"], licence="CC BY-SA 3.0", address=_ADDRESS
)
