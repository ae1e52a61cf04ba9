"""Under which name each bundle is served."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from sightsmith.core.errors import SettingsError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Bundles = Mapping[str, str | Path] | Sequence[str | Path]
"""Bundles by the name to serve them under, or a list of `PATH` or `NAME=PATH`."""


def asked_names(bundles: Bundles) -> list[tuple[str | None, Path]]:
    """Return each bundle's path and the name asked for it, None if it keeps its own.

    Raises SettingsError: there are no bundles.
    """
    if isinstance(bundles, (str, Path)):
        bundles = [bundles]
    if isinstance(bundles, Mapping):
        pairs: list[tuple[str | None, Path]] = [(name, Path(path)) for name, path in bundles.items()]
    else:
        pairs = [_split(str(bundle)) for bundle in bundles]
    if not pairs:
        raise SettingsError("serve: at least one bundle must be given, as PATH or NAME=PATH.")
    return pairs


def check_name(name: str, path: Path, taken: Mapping[str, object]) -> str:
    """Return the name if it is valid in a URL and not used yet.

    Raises SettingsError: it cannot, or it is.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"serve: {name!r} cannot stand in an address: a name has up to 100 letters, digits, '.', '_' and '-'. "
            f"Give another one: NAME={path}"
        )
    if name in taken:
        raise SettingsError(f"serve: two bundles are called {name!r}. Give one another name: NAME={path}")
    return name


def _split(bundle: str) -> tuple[str | None, Path]:
    name, equals, path = bundle.partition("=")
    if not equals or Path(bundle).exists():
        return None, Path(bundle)
    return name, Path(path)
