"""Packages that the base installation leaves out."""

import importlib.util

from sightsmith.core.errors import BackendError


def require_training(what: str) -> None:
    """Refuse work that needs torch if it is not installed.

    Args:
        what: name of the work, such as "train".

    Raises BackendError: torch is not installed; the message says how to install it.
    """
    if importlib.util.find_spec("torch") is None:
        raise BackendError(
            f"{what}: this needs the training part, which is not installed: pip install 'sightsmith[train]'."
        )
