"""CIFAR by name: the binary version, downloaded once."""

from sightsmith.data.source import Source, SourceOptions, build_source
from sightsmith.data.sources.parts.arrays import array_samples
from sightsmith.data.sources.parts.cifar_files import find_folder, read_cifar
from sightsmith.data.sources.parts.download import cache_folder, downloaded, fetch_archive


def open_cifar(name: str, url: str, md5: str, options: SourceOptions) -> Source:
    """Open one of them from the cache, downloading it first where it is not there.

    Torchvision's own classes read the pickled version; its downloader fetches the binary one here.

    Raises:
        DataError: it cannot be downloaded, or a file is damaged.
    """
    folder = find_folder(cache_folder(name))
    if folder is None:
        by_hand = f"download and unpack {url} on a machine with a network."
        folder = find_folder(downloaded(name, lambda place: fetch_archive(place, url, md5), by_hand))
    parts, names = read_cifar(folder or cache_folder(name))
    classes, samples = array_samples(parts, names)
    return build_source(format=name, location=name, classes=classes, samples=samples, options=options)
