"""Settings of a net, told to people."""

import dataclasses
from functools import cache

from sightsmith.core.settings import field_docs
from sightsmith.nets.parts.records import SettingInfo


@cache
def describe_settings(cls: type) -> tuple[SettingInfo, ...]:
    """Return each setting of a dataclass with its default and its docstring."""
    docs = field_docs(cls)
    return tuple(SettingInfo(field.name, field.default, docs.get(field.name, "")) for field in dataclasses.fields(cls))
