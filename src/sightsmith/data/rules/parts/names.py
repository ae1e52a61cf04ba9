"""Naming classes in a finding."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.counts import first_few, many
from sightsmith.data.verdict import Checked, Verdict

_LISTED = 10  # Classes that a message names


def say_of_classes(
    data: Checked,
    verdict: Verdict,
    findings: Mapping[str, tuple[str, str]],
    found: Mapping[str, NDArray[np.bool_]],
    errors: frozenset[str],
) -> None:
    """Add a problem for each finding that holds for a class.

    Args:
        findings: by code, what classes have, in which `{few}` is the bound of a tiny class, and the way out.
        found: by code, whether it holds for each class, (C,).
        errors: codes that are errors; the others are warnings.
    """
    few = data.settings.tiny_class
    for code, which_C in found.items():
        names = [data.source.names[index] for index in np.flatnonzero(which_C)]
        if names:
            have, advice = findings[code]
            text = f"{many(len(names), 'class has', 'classes have')} {have.format(few=few)}"
            text = f"{text}: {first_few(names, _LISTED)}. {advice}"
            verdict.say(code, "error" if code in errors else "warning", text)
