"""Small colour photos whose classes differ by the direction of their stripes."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("cat", "dog", "owl")
QUICK = ("--model", "smallcnn", "--net.width", "8", "--size", "24", "--epochs", "3")
"""Settings with which the photos are learnt in about a second."""


def stripes(seed: int, slope: int) -> Image.Image:
    """Return a colour picture of 40…63 pixels a side: stripes in one of three directions, with noise."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(40, 64, 2)
    y, x = np.mgrid[:height, :width]
    along = (x, y, x + y)[slope] * rng.uniform(0.3, 0.5) + rng.uniform(0, 6)
    colour_3, noise_HW3 = rng.uniform(60, 200, 3), rng.normal(0, 12, (height, width, 3))
    pixels_HW3 = colour_3 + 50 * np.sin(along)[..., None] + noise_HW3
    return Image.fromarray(pixels_HW3.clip(0, 255).astype(np.uint8))


def make_photos(folder: Path, count: int = 20, classes: tuple[str, ...] = CLASSES) -> Path:
    """Write `count` different JPEG files a class."""
    for slope, label in enumerate(classes):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            stripes(1000 * slope + number, slope % 3).save(folder / label / f"{label}_{number:02}.jpg", quality=92)
    return folder
