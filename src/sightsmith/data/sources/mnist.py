"""MNIST by name: 60,000 + 10,000 handwritten digits, 28×28 grey (LeCun, Cortes, Burges); files by hand are `idx`."""

from sightsmith.data.sources.parts.mnist_like import MnistLike

NAMES = ("mnist",)
open_source = MnistLike(
    name="mnist",
    dataset="MNIST",
    classes=tuple("0123456789"),
    licence="CC BY-SA 3.0",
    address="https://ossci-datasets.s3.amazonaws.com/mnist/",
).open
