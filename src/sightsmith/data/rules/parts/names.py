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
        findings: by code, what classes have, and the way out; in both `{few}` is the bound of a tiny class, and
            `{picture}` and `{pictures}` call the samples.
        found: by code, whether it holds for each class, (C,).
        errors: codes that are errors; the others are warnings.
    """
    few = data.settings.tiny_class
    for code, which_C in found.items():
        names = [data.source.names[index] for index in np.flatnonzero(which_C)]
        if names:
            have, advice = findings[code]
            words = {"few": few, "picture": data.nouns[0], "pictures": data.nouns[1]}
            text = f"{many(len(names), 'class has', 'classes have')} {have.format(**words)}"
            text = f"{text}: {first_few(names, _LISTED)}. {advice.format(**words)}"
            verdict.say(code, "error" if code in errors else "warning", text)
