"""Fashion-MNIST by name: 60,000 + 10,000 pieces of clothing, 28×28 grey (Zalando, arXiv:1708.07747)."""

from functools import partial

from sightsmith.data.sources.parts.download import open_mnist

NAMES = ("fashion-mnist",)
_ADDRESS = "https://github.com/zalandoresearch/fashion-mnist"
_CLASSES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
open_source = partial(
    open_mnist, "fashion-mnist", dataset="FashionMNIST", classes=_CLASSES, licence="MIT", address=_ADDRESS
)
