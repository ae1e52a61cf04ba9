"""Finding what somebody meant by a name that does not exist."""

import difflib
from collections.abc import Iterable

_LONGEST = 255
"""Characters of a name that are compared: as many as a file's name may have. The time grows with their square."""


def nearest(name: str, options: Iterable[str], count: int = 3) -> list[str]:
    """Return up to `count` of the options that look most like `name`, best first."""
    by_folded = {option.lower().replace("-", "_"): option for option in options}
    close = difflib.get_close_matches(name[:_LONGEST].lower().replace("-", "_"), by_folded, n=count, cutoff=0.5)
    return [by_folded[folded] for folded in close]


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return a sentence that names the nearest options, or all of them where none is near."""
    options = sorted(options)
    close = nearest(name, options)
    if close:
        return f"Did you mean {' or '.join(repr(option) for option in close)}?"
    shown = ", ".join(options[:20]) + (f", … ({len(options)} in all)" if len(options) > 20 else "")
    return f"There is: {shown}." if options else "There is none."


def shortened(name: str, most: int = 100) -> str:
    """Return a name that somebody sent, fit to be repeated in a message: with its end cut off where it is long."""
    return name if len(name) <= most else f"{name[:most]}…"
