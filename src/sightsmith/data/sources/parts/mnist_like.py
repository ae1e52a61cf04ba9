"""Data sets by name that come as MNIST's four files."""

from dataclasses import dataclass
from pathlib import Path

from sightsmith.data.source import Source, SourceOptions, build_source
from sightsmith.data.sources.parts.arrays import array_samples
from sightsmith.data.sources.parts.download import cache_folder, downloaded
from sightsmith.data.sources.parts.idx_files import find_idx, read_sets

_NEEDED = {"train", "t10k"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MnistLike:
    name: str  # That people type, and of the cache folder
    dataset: str  # Name of torchvision's class
    classes: tuple[str, ...]
    licence: str
    address: str  # Web page of the files

    def open(self, location: str, options: SourceOptions) -> Source:  # noqa: ARG002 - as every source
        """Open it from the cache, downloading it first if it is missing.

        Raises DataError: it cannot be downloaded, or a file is damaged.
        """
        images = self._cached()
        if not images:
            by_hand = (
                "download train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
                f"t10k-labels-idx1-ubyte.gz from {self.address} on a machine with a network."
            )
            downloaded(self.name, self._fetch, by_hand)
            images = self._cached()
        classes, samples = array_samples(read_sets(images), list(self.classes))
        return build_source(
            format=self.name.replace("-", "_"),
            location=self.name,
            names=classes,
            samples=samples,
            options=options,
            licence=self.licence,
        )

    def _fetch(self, folder: Path) -> object:
        from torchvision import datasets

        return getattr(datasets, self.dataset)(str(folder), download=True)

    def _cached(self) -> dict[str, Path]:
        base = cache_folder(self.name)
        for folder in (base, *sorted(base.glob("*/raw"))):  # torchvision puts them into NAME/raw
            found = find_idx(folder) if folder.is_dir() else {}
            if found.keys() >= _NEEDED:
                return found
        return {}
