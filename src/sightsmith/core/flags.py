"""Settings dataclasses as command-line flags: every field becomes a flag, its docstring the flag's help.

A flag that is not given stays None, so that a TOML file can override the defaults but not the flags.
"""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args, get_type_hints

from cyclopts import Parameter, Token, convert

from sightsmith.core.settings import field_docs


def flags_of(*settings_types: type, leave_out: tuple[str, ...] = (), over_file: bool = False, **renamed: str) -> type:
    """Return a dataclass for cyclopts with one optional flag per field of the settings dataclasses.

    Args:
        settings_types: settings dataclasses; the first field of each name wins.
        leave_out: fields that are arguments of the verb rather than flags.
        over_file: a TOML file may set them too, so switches get a negative flag (`--no-balanced`).
        renamed: flag names by field, if they differ from the field's.
    """
    negative = None if over_file else ()
    flags: dict[str, Any] = {}
    for settings in settings_types:
        hints, docs = get_type_hints(settings), field_docs(settings)
        for field in dataclasses.fields(settings):
            if field.name in leave_out or field.name in flags:
                continue
            default = "" if negative == () and field.default is False else _default_text(field)
            help_text = docs.get(field.name, "") + default
            shown = Parameter(help=help_text, show_default=False, name=renamed.get(field.name), negative=negative)
            if int in get_args(hints[field.name]) or hints[field.name] is int:
                shown = Parameter.combine(shown, Parameter(converter=_unrounded))
            annotated = Annotated[hints[field.name] | None, shown]  # type: ignore[valid-type,name-defined]
            flags[field.name] = (field.name, annotated, dataclasses.field(default=None))
    made = dataclasses.make_dataclass(f"{settings_types[0].__name__}Flags", flags.values(), frozen=True, kw_only=True)
    made.__module__ = settings_types[0].__module__  # cyclopts takes a class of the module `types` for a builtin
    return Parameter(name="*")(made)


def given(flags: Any | None) -> dict[str, Any]:
    """Return the flags that were given, by field; numbers in open tables (`--net.KEY`) are read as in TOML."""
    if flags is None:
        return {}
    values = {field.name: getattr(flags, field.name) for field in dataclasses.fields(flags)}
    tables = {name: _typed(value) for name, value in values.items() if isinstance(value, Mapping)}
    return {name: value for name, value in values.items() if value is not None} | tables


def _typed(value: Any) -> Any:
    """Convert keys and values of a table (`--net.kernel-size 5`) to those of a TOML file."""
    if isinstance(value, Mapping):
        return {key.replace("-", "_"): _typed(below) for key, below in value.items()}
    if not isinstance(value, str):
        return value
    try:
        read = tomllib.loads(f"word = {value}")
    except tomllib.TOMLDecodeError:
        return value
    word = read.get("word")
    return word if len(read) == 1 and isinstance(word, (int, float)) else value


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over` on top; tables (nested mappings) are merged key by key."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def _unrounded(kind: Any, tokens: Sequence[Token]) -> Any:
    """Convert a whole number; by itself cyclopts would round 1.5. Raises ValueError: it is a fraction."""
    if "." in tokens[0].value and float not in get_args(kind):
        raise ValueError(f"it takes whole numbers, got {tokens[0].value}.")
    return convert(kind, tokens)


def _default_text(field: dataclasses.Field[Any]) -> str:
    if field.default in (dataclasses.MISSING, None, ""):
        return ""
    value = {True: "yes", False: "no"}[field.default] if isinstance(field.default, bool) else field.default
    return f" [default: {value}]"
