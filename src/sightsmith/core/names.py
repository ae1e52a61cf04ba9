"""Suggestions for names that do not exist."""

import difflib
import re
import unicodedata
from collections.abc import Iterable

_LONGEST = 255
"""Characters of a name that are compared, the limit of file names. Time grows with the square."""
_DIGITS = re.compile(r"0*(\d+)")


def nearest(name: str, options: Iterable[str], count: int = 3) -> list[str]:
    """Return up to `count` of the options that look most like `name`, best first."""
    by_folded = {option.lower().replace("-", "_"): option for option in options}
    close = difflib.get_close_matches(name[:_LONGEST].lower().replace("-", "_"), by_folded, n=count, cutoff=0.5)
    return [by_folded[folded] for folded in close]


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return a sentence with the nearest options, or up to 20 options if none is near."""
    options = sorted(options)
    close = nearest(name, options)
    if close:
        hidden = hidden_difference(name, close[0])
        told = f" They differ in {hidden}: {name!a} and {close[0]!a}." if hidden else ""
        return f"Did you mean {' or '.join(repr(option) for option in close)}?{told}"
    shown = ", ".join(options[:20]) + (f", … ({len(options)} in all)" if len(options) > 20 else "")
    return f"The choices are: {shown}." if options else "There is none."


def hidden_difference(name: str, other: str) -> str:
    """Return how two names that look the same differ; empty if they are equal or look different."""
    if name == other:
        return ""
    if unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", other):
        return "their Unicode form"
    name, other = _visible(name), _visible(other)
    if name == other:
        return "characters that cannot be seen"
    return "the width or form of their letters" if _compatible(name) == _compatible(other) else ""


def folded(name: str) -> str:
    """Return a name normalised for comparison: case, spaces, dashes, Unicode form."""
    text = _compatible(_visible(name)).casefold()
    # the classes -1 and 1 are two numbers
    sign = "-" if text[:1] == "-" and text[1:2].isdigit() else ""
    return sign + "".join(letter for letter in text if letter not in "-_" and not letter.isspace())


def _visible(name: str) -> str:
    return "".join(letter for letter in name if unicodedata.category(letter) != "Cf")


def _compatible(name: str) -> str:
    return unicodedata.normalize("NFKC", name)


def shortened(name: str, most: int = 100) -> str:
    """Return a name from a request shortened for a message."""
    return name if len(name) <= most else f"{name[:most]}…"


def natural(name: str) -> tuple[tuple[str | tuple[int, str], ...], str]:
    """Return a sort key that orders numbers inside names by value, ties by the name itself."""
    parts = _DIGITS.split(name.casefold())
    # digits and their count, because Python converts no number of thousands of digits
    return tuple((len(part), part) if place % 2 else part for place, part in enumerate(parts)), name
