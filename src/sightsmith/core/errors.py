"""The errors people see.

Each names the thing, the rule, the value and the way out. The command line prints the message alone and exits
with `exit_code`; the service answers `{"error": message}` with `status`.
"""


class SightsmithError(Exception):
    """Something a person can put right; its message says how."""

    exit_code = 2
    status = 400


class SettingsError(SightsmithError):
    """A setting, option or key is unknown or out of range."""


class DataError(SightsmithError):
    """Data cannot be used as it is."""


class PictureError(DataError):
    """One picture cannot be decoded, or is outside the bounds."""

    status = 422


class TooManyPixelsError(PictureError):
    """One picture is over the bound on its pixels."""


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
    """Training stopped because going on would waste time or lose work."""

    exit_code = 3


class OutputError(SightsmithError):
    """A file cannot be written."""


class OutputExistsError(SightsmithError):
    """The place to write to is taken."""
