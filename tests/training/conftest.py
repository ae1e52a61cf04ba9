"""Small real data for training: handwritten digits as files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits


@pytest.fixture(scope="session")
def digit_files(tmp_path_factory) -> Path:
    """Return a folder per class of 240 real digits as PNG files of 16×16 pixels."""
    folder = tmp_path_factory.mktemp("digits")
    pictures, labels = load_digits(return_X_y=True)
    for number, (picture, label) in enumerate(zip(pictures[:240], labels[:240], strict=True)):
        place = folder / str(label)
        place.mkdir(exist_ok=True)
        pixels = (picture.reshape(8, 8) * 15.9).astype(np.uint8)
        Image.fromarray(pixels).resize((16, 16)).save(place / f"{number:03}.png")
    return folder


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
