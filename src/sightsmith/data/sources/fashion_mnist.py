"""Fashion-MNIST by name: 60,000 + 10,000 pieces of clothing, 28×28 grey (Zalando, arXiv:1708.07747)."""

from sightsmith.data.sources.parts.mnist_like import MnistLike

NAMES = ("fashion-mnist",)
open_source = MnistLike(
    name="fashion-mnist",
    dataset="FashionMNIST",
    classes=("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    licence="MIT",
    address="https://github.com/zalandoresearch/fashion-mnist",
).open
