"""Names that are probably one: they differ in case, spaces, a plural or one letter."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations

from sightsmith.core.counts import first_few
from sightsmith.core.names import folded, hidden_difference
from sightsmith.data.verdict import Checked, Verdict
from sightsmith.kinds import KINDS as ALL_KINDS

_LISTED = 10  # Names that a message lists
ORDER = 67
KINDS = ("labels", "tags", "boxes")
_LONG_ENOUGH = 5  # Letters of names that are compared letter by letter: cat, bat and rat are three animals


def find(data: Checked, verdict: Verdict) -> None:
    several = ALL_KINDS.module(data.source.kind).NOUNS[1]
    alike: dict[str, list[str]] = defaultdict(list)
    for name in data.source.names:
        alike[folded(name)].append(name)
    for names in alike.values():
        if len(names) > 1:
            hidden = hidden_difference(*names[:2])
            difference = f"{hidden} ({names[0]!a} and {names[1]!a})" if hidden else "case, spaces or dashes"
            message = (
                f"the {several} {first_few(names, _LISTED)} differ only in {difference}. Merge them if they are one."
            )
            verdict.say("alike-names", "warning", message)
    for one, other in sorted(_near(alike)):
        plural = _plural(one, other) or _plural(other, one)
        how = "as singular and plural" if plural else "by one letter"
        pair = f"{alike[one][0]} and {alike[other][0]}"
        message = f"the {several} {pair} differ {how}. Merge them if they are one."
        verdict.say("similar-names", "warning" if plural else "info", message)


def _near(names: Iterable[str]) -> set[tuple[str, str]]:
    """Return the pairs of folded names that differ as singular and plural, or by one letter.

    Names that are one edit apart have a common form with a letter left out, so that few pairs are compared.
    """
    by_form: dict[str, list[str]] = defaultdict(list)
    for name in names:
        for form in {name, *_plurals(name), *(name[:at] + name[at + 1 :] for at in range(len(name)))}:
            by_form[form].append(name)
    pairs = {pair for sharing in by_form.values() for pair in combinations(sorted(sharing), 2)}
    return {pair for pair in pairs if _plural(*pair) or _plural(*pair[::-1]) or _one_edit(*pair)}


def _plurals(name: str) -> list[str]:
    if len(name) < 3 or not name[-1].isalpha():
        return []
    return [f"{name}s", f"{name}es", *([f"{name[:-1]}ies"] if name.endswith("y") else [])]


def _plural(one: str, other: str) -> bool:
    return other in _plurals(one)


def _one_edit(one: str, other: str) -> bool:
    """Tell whether one letter is changed, missing, or has changed places with its neighbour."""
    if min(len(one), len(other)) < _LONG_ENOUGH:
        return False
    start = _common(one, other)
    end = min(_common(one[::-1], other[::-1]), min(len(one), len(other)) - start)
    first, second = one[start : len(one) - end], other[start : len(other) - end]
    swapped = len(first) == 2 and first == second[::-1]
    return (max(len(first), len(second)) == 1 or swapped) and (first + second).isalpha()


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the common start."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
