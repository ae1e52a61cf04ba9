"""Claim: 12-megapixel JPEGs to 224² crops ≥ 4 × torchvision's ImageFolder + transforms, same workers, same picture.

Both fill batches of 32 through two worker processes: torchvision's DataLoader over ImageFolder, and our loader over
the same files. "random crop" is what training does, "centre crop" what validation and the service do.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from benchmarks.common import alternate, claim, data, machine
from sightsmith.core.placement import Box
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.data.augment import Augmentation
from sightsmith.data.loading import Loader, Order
from sightsmith.data.picture_index import PictureIndex
from sightsmith.data.pixels import Decoding
from sightsmith.inputs import Reader
from sightsmith.inputs.parts.pixels import random_box

_COUNT, _ROUNDS, _WORKERS, _BATCH = 64, 3, 2, 32
_WIDTH, _HEIGHT, _SIDE = 4000, 3000, 224


def make_photographs(folder: Path) -> list[Path]:
    """Enlarge real photographs to 12 megapixels and give them the grain that a sensor has."""
    sources = sorted(data("imagenet500").glob("*.jpg"))
    paths = []
    for number in range(_COUNT):
        rng = np.random.default_rng(number)
        with Image.open(sources[number * 7 % len(sources)]) as small:
            large = small.convert("RGB").resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC)
        grain = rng.normal(0, 6, (_HEIGHT, _WIDTH, 1)).astype(np.int16)
        noisy = np.clip(np.asarray(large, dtype=np.int16) + grain, 0, 255).astype(np.uint8)
        paths.append(folder / f"class{number % 2}" / f"{number}.jpg")
        paths[-1].parent.mkdir(exist_ok=True)
        Image.fromarray(noisy).save(paths[-1], quality=92)
    return paths


def theirs(folder: Path, crop: transforms.Compose) -> DataLoader:
    return DataLoader(ImageFolder(str(folder), crop), batch_size=_BATCH, num_workers=_WORKERS)


def our_loader(paths: list[Path], preprocessing: Preprocessing, vary: Augmentation) -> Loader:
    pictures = PictureIndex(paths)
    return Loader(
        Decoding(pictures, Reader("picture", preprocessing), vary, 0),
        np.zeros(len(paths), dtype=np.int64),
        Order(len(paths), _BATCH, 0, shuffle=False),
        vary=vary,
        workers=_WORKERS,
    )


def centre_difference(paths: list[Path], preprocessing: Preprocessing) -> float:
    """Return the largest mean difference, in levels of 0…255, from the same crop of a full decode."""
    return max(
        apart(preprocessing.apply(path), full_cut(path, preprocessing, preprocessing.box(_WIDTH, _HEIGHT)))
        for path in paths[:16]
    )


def random_difference(paths: list[Path], preprocessing: Preprocessing, vary: Augmentation) -> float:
    """Return the same for random crops."""
    found = []
    for number, path in enumerate(paths[:16]):
        rng = np.random.default_rng(number)
        area = rng.uniform(vary.crop_share, 1)
        image = preprocessing.open(path, share=area**0.5, spare=1.0)
        box = random_box(image.width, image.height, 1, area, rng)
        scale = _WIDTH / image.width
        in_full = (box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale)
        found.append(apart(preprocessing.cut(image, box), full_cut(path, preprocessing, in_full)))
    return max(found)


def full_cut(path: Path, preprocessing: Preprocessing, box: Box) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return preprocessing.cut(image.convert("RGB"), box)


def apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(float) - other).mean())


def drain(loader: object) -> None:
    for _ in loader:  # type: ignore[attr-defined]
        pass


def main() -> None:
    torch.set_num_threads(1)
    print(machine())
    preprocessing = Preprocessing(height=_SIDE, width=_SIDE)
    norm = [transforms.ToTensor(), transforms.Normalize(preprocessing.mean, preprocessing.std)]
    centre = transforms.Compose([transforms.Resize(_SIDE), transforms.CenterCrop(_SIDE), *norm])
    random = transforms.Compose([transforms.RandomResizedCrop(_SIDE), transforms.RandomHorizontalFlip(), *norm])
    training = Augmentation(flip="horizontal", crop_share=0.08)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_photographs(folder)
        found = alternate(
            {
                "torchvision, centre crop": lambda: drain(theirs(folder, centre)),
                "sightsmith, centre crop": lambda: drain(our_loader(paths, preprocessing, Augmentation())),
                "torchvision, random crop": lambda: drain(theirs(folder, random)),
                "sightsmith, random crop": lambda: drain(our_loader(paths, preprocessing, training)),
            },
            _ROUNDS,
            work=_COUNT,
        )
        differences = {
            "centre crop": centre_difference(paths, preprocessing),
            "random crop": random_difference(paths, preprocessing, training),
        }
    for what, rate in found.items():
        print(f"{what}: {rate:.1f} pictures/s")
    reached = [
        claim(f"{crop}: sightsmith / torchvision", found[f"sightsmith, {crop}"] / found[f"torchvision, {crop}"], 4)
        for crop in ("centre crop", "random crop")
    ]
    reached += [
        claim(f"{crop}: largest mean difference from a full decode", value, 2, unit="of 255", at_most=True)
        for crop, value in differences.items()
    ]
    sys.exit(not all(reached))


main()
