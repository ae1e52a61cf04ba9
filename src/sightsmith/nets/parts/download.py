"""Fetching published weights once; they stay in the libraries' own caches."""

from pathlib import Path
from urllib.error import URLError

import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HTTPError, RemoteEntryNotFoundError  # type: ignore[attr-defined]

from sightsmith.core.errors import DataError

_FILES = ("model.safetensors", "pytorch_model.bin")
_PATIENCE = 10.0  # Seconds to wait for a hub that does not answer


def fetch_hub(net: str, repository: str) -> Path:
    """Return the weights file of a Hugging Face repository such as `timm/resnet18.a1_in1k`, from the cache or the hub.

    Raises DataError: it cannot be fetched.
    """
    reason: Exception | None = None
    for filename in _FILES:
        try:
            return _from_hub(repository, filename)
        except RemoteEntryNotFoundError as error:
            reason = error
        except (OSError, ValueError, HTTPError) as error:
            reason = error
            break
    raise DataError(_cannot_fetch(net, f"https://huggingface.co/{repository}", reason))


def _from_hub(repository: str, filename: str) -> Path:
    cached = try_to_load_from_cache(repository, filename)
    if isinstance(cached, str):
        return Path(cached)
    # Check first: without a network, the download retries six times in half a minute and prints each try.
    get_hf_file_metadata(hf_hub_url(repository, filename), timeout=_PATIENCE)
    return Path(hf_hub_download(repository, filename))


def fetch_url(net: str, url: str) -> Path:
    """Return the file behind an address, fetching it into torch's cache if it is missing.

    Raises DataError: it cannot be fetched.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(path), progress=False)
    except (URLError, OSError, RuntimeError) as error:
        raise DataError(_cannot_fetch(net, url, error)) from error
    return path


def _cannot_fetch(net: str, where: str, reason: Exception | None) -> str:
    lines = str(reason).strip().splitlines() or [type(reason).__name__]
    return (
        f"{net}: its published weights cannot be fetched from {where} ({lines[0]}). Connect to the network, or fetch "
        "the file elsewhere and use --weights FILE, or start from random numbers with --weights none."
    )
