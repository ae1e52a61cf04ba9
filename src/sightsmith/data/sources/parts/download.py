"""Data sets by name: downloaded once, through torchvision, into a cache folder; later they open without a network."""

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

from sightsmith.core.errors import DataError
from sightsmith.data.source import Source, SourceOptions, build_source
from sightsmith.data.sources.parts.arrays import array_samples
from sightsmith.data.sources.parts.cifar_files import find_folder, read_cifar
from sightsmith.data.sources.parts.idx_files import find_idx, read_sets

_MNIST_FILES = (
    "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz"
)


def open_mnist(
    name: str, _location: str, options: SourceOptions, *, dataset: str, classes: list[str], licence: str, address: str
) -> Source:
    """Open a data set that comes as MNIST's four files.

    Args:
        name: that people type, and of the cache folder.
        dataset: name of torchvision's class.
        address: web page of the files.

    Raises DataError: it cannot be downloaded, or a file is damaged.
    """

    def fetch(folder: Path) -> None:
        from torchvision import datasets

        getattr(datasets, dataset)(str(folder), download=True)

    images = _mnist_images(cache_folder(name))
    if not images:
        by_hand = f"download {_MNIST_FILES} from {address} on a machine with a network."
        images = _mnist_images(downloaded(name, fetch, by_hand))
    names, samples = array_samples(read_sets(images), classes)
    return build_source(
        format=name.replace("-", "_"), location=name, names=names, samples=samples, options=options, licence=licence
    )


def _mnist_images(base: Path) -> dict[str, Path]:
    for folder in (base, *sorted(base.glob("*/raw"))):  # torchvision puts them into NAME/raw
        found = find_idx(folder)
        if found.keys() >= {"train", "t10k"}:
            return found
    return {}


def open_cifar(name: str, _location: str, options: SourceOptions, *, url: str, md5: str) -> Source:
    """Open CIFAR's binary version. Raises DataError: it cannot be downloaded, or a file is damaged."""
    folder = find_folder(cache_folder(name))
    if folder is None:
        # Torchvision's own classes read the pickled version; its downloader fetches the binary one here.
        by_hand = f"download and unpack {url} on a machine with a network."
        place = downloaded(name, lambda place: fetch_archive(place, url, md5), by_hand)
        folder = find_folder(place) or place
    names, samples = array_samples(*read_cifar(folder))
    return build_source(format=name, location=name, names=names, samples=samples, options=options)


def cache_folder(name: str) -> Path:
    """Return the folder of a known data set: `$SIGHTSMITH_CACHE/data/NAME`, by default below `~/.cache/sightsmith`."""
    shared = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("SIGHTSMITH_CACHE") or Path(shared, "sightsmith"), "data", name)


def downloaded(name: str, fetch: Callable[[Path], object], by_hand: str) -> Path:
    """Call `fetch` with the cache folder of a data set, and explain what to do if it fails.

    Args:
        fetch: downloads into the folder; any error counts as a network failure.
        by_hand: instructions: the address, and the files to put into the folder.

    Raises DataError: the download failed; the message explains the manual download.
    """
    folder = cache_folder(name)
    way_round = (
        f"By hand: {by_hand} Put them into {folder} and run again. "
        "Without any network, 'digits' is built in (real handwritten digits)."
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fetch(folder)
    except ImportError as error:
        raise DataError(
            f"{name}: downloading needs torchvision: pip install 'sightsmith[train]'. {way_round}"
        ) from error
    except (OSError, RuntimeError, ValueError, tarfile.TarError) as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise DataError(f"{name}: cannot be downloaded ({reason}). {way_round}") from error
    return folder


def fetch_archive(folder: Path, url: str, md5: str) -> None:
    """Download a .tar.gz of known checksum and unpack its files, none of which may leave the folder."""
    from torchvision.datasets.utils import download_url

    name = url.rpartition("/")[2]
    download_url(url, folder, name, md5)
    with tarfile.open(folder / name) as archive:
        archive.extractall(folder, filter="data")
