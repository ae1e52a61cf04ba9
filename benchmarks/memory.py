"""Claim: peak memory of training on a folder grows by ≤ 1 KB a picture (the index), whatever the pictures weigh.

Trains a narrow net for one epoch on folders of few and of many pictures of 64×64 and compares the peaks.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import claim, machine, peak_memory

_FEW, _MANY, _SIDE = 2_000, 22_000, 64


def make_folder(folder: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"class{number % 4}" / f"{number:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        small.resize((_SIDE, _SIDE)).save(path, compress_level=1)
    return folder


def peak(folder: Path, count: int) -> int:
    data, out = make_folder(folder / str(count), count), folder / f"out{count}"
    options = ["--epochs", "1", "--net.width", "2", "--size", "16", "--batch-size", "64", "--workers", "0"]
    return peak_memory([sys.executable, "-m", "sightsmith.cli", "train", str(data), "--out", str(out), *options])


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        few, many = (peak(Path(name), count) for count in (_FEW, _MANY))
    print(f"{_FEW:,} pictures: {few / 2**20:.0f} MiB at the peak; {_MANY:,} pictures: {many / 2**20:.0f} MiB")
    grown = (many - few) / (_MANY - _FEW)
    sys.exit(not claim("growth", grown, 1024, unit="bytes a picture", at_most=True))


main()
