"""Fetching published weights by their address."""

from pathlib import Path

import torch


def from_url(url: str) -> Path:
    """Return the file of an address in torch's cache, fetching it if it is not there; raises as the fetching does."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), progress=False)
    return path
