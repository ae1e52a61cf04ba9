"""The errors people see.

Each names the subject, the rule, the value and the remedy. The command line prints the message alone and exits
with `exit_code`; the service answers `{"error": message}` with `status`.
"""

import re

_SWITCHES = frozenset(
    {
        "balanced",
        "baselines",
        "deterministic",
        "examples",
        "missing_ok",
        "near_duplicates",
        "nesterov",
        "overwrite",
        "resume",
        "with_nms",
    }
    | {"sanity", "stream", "strict", "urls"}
)
"""Settings that are on or off."""
_CALLED = {"as": "form"}  # Flags whose name differs from their argument
_WORDS = "none|folder|clips|table|auto|pretrained|find|rgb|grey|fp32|bf16|ram"  # Values that messages give as words
_FLAG = re.compile(
    r"`(?:sightsmith|pip) [^`]*`|(?<![\w-])--(no-)?([a-z][a-z-]*)(\.[\w-]+)?"
    rf"(?: ([\d.]*\d|'[^']*'|[A-Z]+\b|(?:{_WORDS})\b|[\w.~-]*/[\w./~-]*\w))?"
)


def with_arguments(message: str) -> str:
    """Return a message with flags, but those in backticks, as Python arguments: `--lr 0.1` becomes `lr=0.1`."""
    return _FLAG.sub(_argument, message)


def _argument(found: re.Match[str]) -> str:
    no, flag, key, value = found.groups()
    if flag is None:
        return found[0]
    name = _CALLED.get(flag, flag.replace("-", "_"))
    if no or (name in _SWITCHES and value is None):
        return f"{name}={not no}"
    if key:
        name = f'{name}["{key[1:].replace("-", "_")}"]'
    if value is None:
        return name
    return f"{name}={value}" if value[0] in "'." or value[0].isdigit() or value.isupper() else f"{name}={value!r}"


class SightsmithError(Exception):
    """An error that the user can fix; its message says how.

    `str` gives the message for Python, with arguments. Format strings (other messages, the command line) keep the
    flags as written.
    """

    exit_code = 2
    status = 400

    def __str__(self) -> str:
        return with_arguments(super().__str__())

    def __format__(self, spec: str) -> str:
        return format(super().__str__(), spec)


class SettingsError(SightsmithError):
    """A setting, option or key is unknown or out of range."""


class DataError(SightsmithError):
    """Data cannot be used as it is."""


class PictureError(DataError):
    """One picture or clip cannot be decoded, or is outside the bounds."""

    status = 422


class TooManyPixelsError(PictureError):
    """One picture, or a frame of a clip, has more pixels than allowed."""


class BundleError(SightsmithError):
    """A bundle is missing, damaged, tampered with or from a newer version."""

    status = 500


class BackendError(SightsmithError):
    """A backend is not installed or cannot run this model."""

    status = 500


class ProofError(SightsmithError):
    """A model's outputs differ from its witnesses by more than the stated tolerance."""

    exit_code = 3
    status = 500


class TrainingError(SightsmithError):
    """Training stopped because continuing would waste time or lose work."""

    exit_code = 3


class OutputError(SightsmithError):
    """A file cannot be written."""


class OutputExistsError(SightsmithError):
    """The output path already exists."""
