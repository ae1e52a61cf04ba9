"""Statements of a model's makers; apart from the rest so that the command line reads it without NumPy."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CardSettings:
    intended_use: str = ""
    """Purpose and users of the model, for its card; Markdown."""
    limits: str = ""
    """Uses that are out of scope, known limits and risks, for its card; Markdown."""
    licence: str = ""
    """Licence of the model, for its card: an SPDX identifier such as Apache-2.0."""


PAPERS = ("intended_use", "limits", "licence")
