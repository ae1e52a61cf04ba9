"""CIFAR by name: the binary version, downloaded once."""

from dataclasses import dataclass

from sightsmith.data.source import Source, SourceOptions, build_source
from sightsmith.data.sources.parts.arrays import array_samples
from sightsmith.data.sources.parts.cifar_files import find_folder, read_cifar
from sightsmith.data.sources.parts.download import cache_folder, downloaded, fetch_archive


@dataclass(frozen=True, slots=True)
class NamedCifar:
    name: str
    url: str
    md5: str

    def open(self, location: str, options: SourceOptions) -> Source:  # noqa: ARG002 - as every source
        """Open it from the cache, downloading it first if it is missing.

        Torchvision's own classes read the pickled version; its downloader fetches the binary one here.

        Raises DataError: it cannot be downloaded, or a file is damaged.
        """
        folder = find_folder(cache_folder(self.name))
        if folder is None:
            by_hand = f"download and unpack {self.url} on a machine with a network."
            place = downloaded(self.name, lambda place: fetch_archive(place, self.url, self.md5), by_hand)
            folder = find_folder(place) or place
        parts, names = read_cifar(folder)
        classes, samples = array_samples(parts, names)
        return build_source(format=self.name, location=self.name, names=classes, samples=samples, options=options)
