"""Reading settings (frozen dataclasses) from mappings and TOML, and writing them back.

One declaration is the flag, the TOML key, the Python argument and its help. Values are checked and converted by
pydantic; unknown keys are refused with the nearest name.
"""

import ast
import dataclasses
import inspect
import json
import textwrap
import tomllib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from sightsmith.core.errors import SettingsError
from sightsmith.core.names import did_you_mean

T = TypeVar("T")
EXACT = {"extra": "forbid"}
"""As `__pydantic_config__` of a dataclass inside another: an unknown key is an error there too."""


def from_mapping(
    cls: type[T], raw: Mapping[str, Any], *, where: str, strict: bool = False, ready: Mapping[str, Any] = {}
) -> T:
    """Make an instance of a settings dataclass from a mapping (TOML, JSON, or strings of a command line).

    Args:
        raw: the values by key; `-` in a key counts as `_`.
        where: name of the mapping for messages, such as `run.toml`.
        strict: refuse values of another type than the field (our own JSON); else "3" and true may become a number.
        ready: values of `raw`, by key, that are already converted.

    Raises SettingsError: an unknown key, a missing one, or a value of the wrong type or out of range.
    """
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    hints = get_type_hints(cls, include_extras=True)
    values: dict[str, Any] = {}
    for given, value in raw.items():
        key = given.replace("-", "_")
        if key not in fields:
            raise SettingsError(f"{where}: unknown key {given!r}. {did_you_mean(key, fields)}")
        values[key] = ready[key] if key in ready else _convert(hints[key], value, f"{where}: {key}", strict)
    required = {name for name, field in fields.items() if field.default is field.default_factory is dataclasses.MISSING}
    if missing := [name for name in fields if name in required - values.keys()]:
        raise SettingsError(f"{where}: {', '.join(missing)} must be given")
    return cls(**values)


def to_mapping(settings: Any) -> dict[str, Any]:
    """Return a settings dataclass as a mapping that TOML can hold: paths become strings, None is left out."""
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return {name: _plain(value) for name, value in values.items() if value is not None}


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file. Raises SettingsError: it is missing, unreadable or not TOML; the message gives the line."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file. --print-config writes one to start from.") from None
    except OSError as error:
        reason = error.strerror or error
        raise SettingsError(f"{path}: cannot be read ({reason}). Name a TOML file that this user may read.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from error


def to_toml(settings: Any) -> str:
    """Return a settings dataclass as TOML that `read_toml` and `from_mapping` turn back into it."""
    import tomli_w

    return tomli_w.dumps(to_mapping(settings))


def field_docs(cls: type) -> dict[str, str]:
    """Return the docstring of each field of a dataclass and its bases, each joined to one line."""
    docs: dict[str, str] = {}
    for base in filter(dataclasses.is_dataclass, cls.__bases__):
        docs |= field_docs(base)
    tree: Any = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    for pair in pairwise(tree.body[0].body):
        match pair:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                docs[name] = " ".join(text.split())
    return docs


def _convert(hint: Any, value: Any, name: str, strict: bool) -> Any:
    from pydantic import TypeAdapter, ValidationError

    try:
        if strict and not dataclasses.is_dataclass(value):  # strict JSON, unlike strict Python, takes a list as a tuple
            return TypeAdapter(hint).validate_json(json.dumps(value), strict=True)
        return TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        # of our own JSON, the path to the value; otherwise it may have names of pydantic's, such as those of a union
        name = ": ".join([name, *map(str, first["loc"])]) if strict else name
        raise SettingsError(f"{name}: {first['msg'][0].lower()}{first['msg'][1:]}, got {first['input']!r}") from None


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_mapping(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    return value
