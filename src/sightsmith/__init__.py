"""Sightsmith takes a vision model from a folder of pictures to a service that people can trust.

The public face, loaded on first use: importing this package imports neither torch nor OpenVINO.
"""

from importlib import import_module
from pkgutil import extend_path

# A folder `sightsmith/nets/` (or tasks, …) anywhere on the Python path adds its files to ours: docs/extend.md.
__path__ = extend_path(__path__, __name__)
__version__ = "0.1.0"

_VERBS = ("Model", "check", "compare", "convert", "load", "open_source", "serve", "train")
_HOMES = {"Clip": "sightsmith.core.video", "SightsmithError": "sightsmith.core.errors"}
_HOMES |= dict.fromkeys(_VERBS, "sightsmith.model")
__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'sightsmith' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
