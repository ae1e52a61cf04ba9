"""Features of pictures, on which the Fréchet distance, KID and nearest neighbours are measured; NumPy.

The net is small and ships in the package, so that a figure needs no download. Figures of different nets cannot be
compared: a report names the net beside the figure. Pictures of any size are squashed to 32×32 by Pillow's bicubic
filter, which is antialiased (Parmar, Zhang and Zhu, "On Aliased Resizing and Surprising Subtleties in GAN Evaluation",
CVPR 2022, arXiv:2104.11222, section 3). Then come six 3×3 convolutions with ReLU (channels 16, 32, 48, 64, 96, 128; the
second, fourth and sixth halve the sides), and the mean over the positions of the last map.

`benchmarks/feature_net.py` trains it to tell the classes of its data apart and to estimate how each picture was changed
(noise, blur, tint), so that the features see such changes. Each feature has a standard deviation of 1 on the training
pictures.

Shapes: N pictures, B pictures of a batch, H W C height, width and channels, O channels of the next map, K = 9 × C,
D features.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file

from sightsmith.core.errors import PictureError
from sightsmith.kinds.parts.instruments import FeatureNet

NAME = "sightsmith-32 v1"
"""Name of the net, to stand beside every figure that is measured with it."""
LICENCE = "Apache-2.0"
SCRIPT = "benchmarks/feature_net.py"
TRAINED_ON = (
    ("Fashion-MNIST, 60,000 training pictures", "MIT"),
    ("Optical recognition of handwritten digits, the 1,797 of scikit-learn", "CC BY 4.0"),
    ("Nouns, 6,000 random combinations of the parts", "CC0"),
    ("BCCD, cells cut out of the training and validation pictures", "MIT"),
    ("COAD, objects cut out of the training pictures", "CC BY 4.0"),
    ("PneumoniaMNIST, 2,428 training pictures", "CC BY 4.0"),
)
"""Names and licences of the training data."""
WEIGHTS = Path(__file__).with_name("feature_net.safetensors")
SHA256 = "f1ec88084158d3ebcb1c828c28485e242cc55fc0b8120e181f58bf5fa57eac1a"
"""Of the weights' file."""
DIMENSIONS = 128
SIDE = 32
STRIDES = (1, 2, 1, 2, 1, 2)

Layers = tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
"""Weights (K, O) and biases (O,) of each convolution; K counts rows, columns, then input channels."""


def features_of(pictures: Iterable[NDArray[np.uint8]], *, batch: int = 64) -> NDArray[np.float32]:
    """Return the features of pictures.

    Args:
        pictures: each (H, W, 3) for colour or (H, W, 1) for grey, uint8, of any size; read once, in order.
        batch: pictures that are computed at once; 64 take about 30 MB.

    Returns:
        (N, 128) in the order of the pictures, each ≥ 0, no unit.

    Raises:
        PictureError: a picture has another type or shape, or no pixels.
    """
    layers = load_layers()
    whole = [computed(layers, pixels_BHWC) for pixels_BHWC in _batches(pictures, batch)]
    return np.concatenate(whole) if whole else np.empty((0, DIMENSIONS), np.float32)


@cache
def load_layers() -> Layers:
    """Read the weights of the net; they are stored as float16."""
    stored = load_file(WEIGHTS)
    return tuple(
        (stored[f"weights_{layer}"].astype(np.float32), stored[f"biases_{layer}"].astype(np.float32))
        for layer in range(len(STRIDES))
    )


def computed(layers: Layers, pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the features (B, D) of pixels (B, 32, 32, 3)."""
    maps_BHWC = pixels_BHWC.astype(np.float32) / 127.5 - 1
    for (weights_KO, biases_O), stride in zip(layers, STRIDES, strict=True):
        maps_BHWC = _convolved(maps_BHWC, weights_KO, biases_O, stride)
    return maps_BHWC.mean(axis=(1, 2))


def resized(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) or (H, W, 1) as the net sees it, (32, 32, 3)."""
    grey = pixels_HWC.shape[2] == 1
    image = Image.fromarray(pixels_HWC[:, :, 0] if grey else pixels_HWC)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC).convert("RGB"))


SHIPPED = FeatureNet(
    name=NAME,
    sha256=SHA256,
    about=f"{LICENCE}, trained on {', '.join(f'{name} ({licence})' for name, licence in TRAINED_ON)}",
    features_of=features_of,
)
"""The net of this file."""


def _batches(pictures: Iterable[NDArray[np.uint8]], batch: int) -> Iterator[NDArray[np.uint8]]:
    checked = (_checked(number, pixels_HWC) for number, pixels_HWC in enumerate(pictures))
    while several := [resized(pixels_HWC) for pixels_HWC in islice(checked, batch)]:
        yield np.stack(several)


def _checked(number: int, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    shape, kind = pixels_HWC.shape, pixels_HWC.dtype
    if kind != np.uint8 or len(shape) != 3 or shape[2] not in {1, 3} or 0 in shape:
        raise PictureError(
            f"picture {number}: features need uint8 pixels of shape (height, width, 3), or (height, width, 1) for "
            f"grey, got {kind} of shape {shape}. For floats in 0…1 pass (255 * array).round().astype('uint8')."
        )
    return pixels_HWC


def _convolved(
    maps_BHWC: NDArray[np.float32], weights_KO: NDArray[np.float32], biases_O: NDArray[np.float32], stride: int
) -> NDArray[np.float32]:
    """Return relu(convolution + bias) with a border of zeros one pixel wide, as one matrix product."""
    count, height, width, channels = maps_BHWC.shape
    bordered_BHWC = np.zeros((count, height + 2, width + 2, channels), np.float32)
    bordered_BHWC[:, 1:-1, 1:-1] = maps_BHWC
    windows = np.lib.stride_tricks.sliding_window_view(bordered_BHWC, (3, 3), axis=(1, 2))[:, ::stride, ::stride]
    # In this order three pixels of a row lie together, which the copy of `reshape` uses.
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 9 * channels)
    sums = patches @ weights_KO
    sums += biases_O
    np.maximum(sums, 0, out=sums)
    return sums.reshape(count, height // stride, width // stride, -1)
