"""The data that the model of a bundle was trained on, read as its training read it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import DataError
from sightsmith.data.settings import READING
from sightsmith.data.source import Source, SourceOptions, known_names, open_source
from sightsmith.data.sources.parts.names import are_numbers, name_classes


def open_own(bundle: Bundle, group_by: str | None = None) -> Source:
    """Open the training data of a bundle; whether it changed since is not checked.

    Args:
        group_by: column or pattern that names the group of a sample; None takes that of the training.

    Raises DataError: its place is not recorded, or nothing that can be read is there.
    """
    data = bundle.manifest.data
    if not data.get("location"):
        raise DataError(f"{bundle.path}: its training data is not recorded.")
    return named_as_trained(bundle, open_source(data["location"], own_options(data, group_by)))


def named_as_trained(bundle: Bundle, source: Source) -> Source:
    """Name numbered classes as the training did, with the list that the bundle keeps."""
    given = {int(number): name for number, name in (bundle.manifest.data.get("names") or {}).items()}
    if not are_numbers(source.names) or not given.keys() >= set(map(int, source.names)):
        return source
    return replace(source, names=name_classes(source.names, given, str(bundle.path)), given_names=given)


def own_options(data: Mapping[str, Any], group_by: str | None) -> SourceOptions:
    """Return how training opened its data, as the manifest records it, with the groups asked for."""
    location, format_ = str(data["location"]), data.get("format")
    if location in known_names() and location.replace("-", "_") == format_:
        format_ = None  # a data set that is opened by name
    kept = {name: data.get(name) for name in READING}
    return SourceOptions(**kept | {"format": format_, "group_by": group_by or kept["group_by"]})
