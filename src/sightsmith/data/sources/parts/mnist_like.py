"""Data sets by name that come as MNIST's four files."""

from pathlib import Path

from sightsmith.data.source import Source, SourceOptions, build_source
from sightsmith.data.sources.parts.arrays import array_samples
from sightsmith.data.sources.parts.download import cache_folder, downloaded
from sightsmith.data.sources.parts.idx_files import find_idx, read_sets

_NEEDED = {"train", "t10k"}


def open_mnist_like(
    name: str, dataset: str, classes: list[str], options: SourceOptions, *, licence: str, by_hand: str
) -> Source:
    """Open one of them from the cache, downloading it first where it is not there.

    Args:
        name: name that people type, and of the cache folder.
        dataset: name of torchvision's class.
        classes: names of the classes.
        options: how to open it.
        licence: licence of the data.
        by_hand: where to get the files without this.

    Raises:
        DataError: it cannot be downloaded, or a file is damaged.
    """
    images = _cached(name)
    if not images:

        def fetch(folder: Path) -> object:
            from torchvision import datasets

            return getattr(datasets, dataset)(str(folder), download=True)

        downloaded(name, fetch, by_hand)
        images = _cached(name)
    found, samples = array_samples(read_sets(images), classes)
    return build_source(
        format=name.replace("-", "_"),
        location=name,
        classes=found,
        samples=samples,
        options=options,
        licence=licence,
    )


def _cached(name: str) -> dict[str, Path]:
    base = cache_folder(name)
    inside = [base, *sorted(base.glob("*/raw"))]  # torchvision puts them into NAME/raw
    for folder in inside:
        found = find_idx(folder) if folder.is_dir() else {}
        if found.keys() >= _NEEDED:
            return found
    return {}
