"""What its makers say of a model; apart from the rest so that the command line reads it without NumPy."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CardSettings:
    intended_use: str = ""
    """What the model is for, and for whom, for its card; Markdown."""
    limits: str = ""
    """Where the model must not be used, its known limits and risks, for its card; Markdown."""
    licence: str = ""
    """Licence of the model, for its card: an SPDX identifier such as Apache-2.0."""


PAPERS = ("intended_use", "limits", "licence")
