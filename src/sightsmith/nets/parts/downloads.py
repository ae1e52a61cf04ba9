"""Fetching published weights by their address, or from the hub of Hugging Face."""

from contextlib import suppress
from pathlib import Path

import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HTTPError, RemoteEntryNotFoundError  # type: ignore[attr-defined]

from sightsmith.core.errors import DataError

CANNOT_FETCH = (OSError, RuntimeError, ValueError, HTTPError)  # What fetching raises without a network or the file

_PATIENCE = 10.0  # Seconds to wait for a hub that does not answer


def from_url(url: str) -> Path:
    """Return the file of an address in torch's cache, fetching it if it is not there; raises as the fetching does."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), progress=False)
    return path


def from_hub(repository: str, *names: str) -> Path:
    """Return the first of these files that a repository of the hub has, fetching it if it is not in the hub's cache.

    Raises:
        FileNotFoundError: the repository has none of them.
        OSError, RuntimeError, ValueError, HTTPError: the hub cannot be reached, or refuses.
    """
    for name in names:
        cached = try_to_load_from_cache(repository, name)
        if isinstance(cached, str):
            return Path(cached)
        with suppress(RemoteEntryNotFoundError):
            # Check first: without a network, the download retries six times in half a minute and prints each try.
            get_hf_file_metadata(hf_hub_url(repository, name), timeout=_PATIENCE)
            return Path(hf_hub_download(repository, name))
    raise FileNotFoundError("it has no weights")


def cannot_fetch(net: str, where: str, error: BaseException) -> DataError:
    """Return the error of published weights that cannot be fetched, with the ways out."""
    return DataError(
        f"{net}: its published weights cannot be fetched from {where} ({reason_of(error)}). Connect to the network, or "
        "fetch the file elsewhere and use --weights FILE, or start from random numbers with --weights none."
    )


def reason_of(error: BaseException) -> str:
    """Return the first line of an error, shortened."""
    lines = str(error).strip().splitlines()
    return lines[0][:160].rstrip(".") if lines else type(error).__name__
