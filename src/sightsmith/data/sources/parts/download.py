"""Known data sets are downloaded once, through torchvision, into a cache folder; later they open without a network."""

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

from sightsmith.core.errors import DataError


def cache_folder(name: str) -> Path:
    """Return the folder of a known data set: `$SIGHTSMITH_CACHE/data/NAME`, by default below `~/.cache/sightsmith`."""
    own = os.environ.get("SIGHTSMITH_CACHE")
    shared = os.environ.get("XDG_CACHE_HOME")
    base = Path(own) if own else (Path(shared) if shared else Path.home() / ".cache") / "sightsmith"
    return base / "data" / name


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
