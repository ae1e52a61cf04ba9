"""What a reader should know before the numbers: plain sentences, each by a stated rule.

Shapes: K classes.
"""

from dataclasses import dataclass
from typing import Literal

from sightsmith.core.counts import first_few, many
from sightsmith.evaluation.record import ClassFigures, Evaluation

_WIDE = 0.05
"""Half-width of the accuracy's interval from which the test set is called small."""
_UNCALIBRATED = 0.03
"""Expected calibration error from which the probabilities are called off."""
_WEAK = 0.1
"""Distance of a class's recall below the mean from which it is named."""
_FREQUENT = 0.05
"""Share of a class given to one other class from which the pair is named."""


_LEVELS = ("error", "warning", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One sentence, and how much harm lies in not knowing it."""

    level: Literal["note", "warning", "error"]
    text: str


def findings(evaluation: Evaluation) -> list[Finding]:
    """Return what stands out, the most harmful first: a model that fails, figures that mislead, then the rest."""
    found = [
        *_failures(evaluation),
        *_left_out(evaluation),
        *_certainty(evaluation),
        *_weakest(evaluation),
        *_confusion(evaluation),
        *_calibration(evaluation),
    ]
    return sorted(found, key=lambda one: _LEVELS.index(one.level))


def baseline(evaluation: Evaluation) -> tuple[str, float]:
    """Return the most frequent class and the accuracy of always answering it."""
    most = max(evaluation.per_class, key=lambda one: one.support)
    return most.name, most.support / evaluation.counts["evaluated"]


def _failures(evaluation: Evaluation) -> list[Finding]:
    """Find classes that the model never recognises, and an answer that is no better than a constant one."""
    found = []
    never = sorted(
        (one for one in evaluation.per_class if one.support and not one.recall), key=lambda one: -one.support
    )
    if never:
        shown = first_few([f"“{one.name}” (0 of {one.support:,})" for one in never], 8)
        found.append(_error(f"Never recognised: {shown}."))
    name, share = baseline(evaluation)
    if evaluation.intervals["accuracy"].low <= share:
        found.append(_error(f"Not shown to be better than always answering “{name}” ({share:.1%} right)."))
    return found


def _left_out(evaluation: Evaluation) -> list[Finding]:
    found = [_warning(evaluation.data["warning"])] if evaluation.data.get("warning") else []
    if evaluation.skipped:
        were = many(len(evaluation.skipped), "picture cannot be used and is", "pictures cannot be used and are")
        found.append(_warning(f"{were} not in the figures."))
    if evaluation.absent:
        names = ", ".join(evaluation.absent[:8]) + (" …" if len(evaluation.absent) > 8 else "")
        found.append(
            _warning(f"Classes without a sample, left out of the averages: {names} ({len(evaluation.absent)}).")
        )
    return found


def _counted(evaluation: Evaluation) -> str:
    counts = evaluation.counts
    if "groups" in counts:
        return many(counts["groups"], "group leaves", "groups leave")
    return many(counts["evaluated"], "picture leaves", "pictures leave")


def _certainty(evaluation: Evaluation) -> list[Finding]:
    span = evaluation.intervals["accuracy"]
    half = (span.high - span.low) / 2
    if half < _WIDE:
        return []
    return [
        _warning(
            f"{_counted(evaluation)} the accuracy uncertain by "
            f"±{half * 100:.1f} points; four times as many would halve that."
        )
    ]


def _weakest(evaluation: Evaluation) -> list[Finding]:
    known: list[tuple[float, ClassFigures]] = [
        (one.recall, one) for one in evaluation.per_class if one.recall is not None
    ]
    recall, weakest = min(known, key=lambda pair: pair[0])
    mean = evaluation.overall["balanced_accuracy"] or 0.0
    if not recall or recall > mean - _WEAK:  # a class that is never recognised is told as a failure
        return []
    return [
        _warning(f"Weakest class: “{weakest.name}”, {recall:.1%} of {weakest.support:,} recognised (mean {mean:.1%}).")
    ]


def _confusion(evaluation: Evaluation) -> list[Finding]:
    most = evaluation.confusions(1)
    if not most:
        return []
    target, answer, count = most[0]
    support = next(one.support for one in evaluation.per_class if one.name == target)
    if count < 2 or count / support < _FREQUENT:
        return []
    return [_note(f"Most frequent confusion: “{target}” taken for “{answer}”, {count:,} of {support:,}.")]


def _calibration(evaluation: Evaluation) -> list[Finding]:
    figures = evaluation.calibration
    if figures.ece < _UNCALIBRATED:
        return [_note(f"Probabilities can be taken at their word: off by {figures.ece * 100:.1f} points on average.")]
    off = f"probabilities are off by {figures.ece * 100:.1f} points on average"
    # The best temperature is that of the likelihood, which need not bring the mean gap down.
    if figures.best_ece >= figures.ece:
        return [_warning(f"The {off}, too high for some and too low for others: temperature scaling cannot fix it.")]
    sure = "too sure of itself" if figures.best_temperature > 1 else "less sure than it could be"
    way_out = f"temperature {figures.best_temperature:.2f} would leave {figures.best_ece * 100:.1f}"
    return [_warning(f"The model is {sure}: its {off}; {way_out}.")]


def _error(text: str) -> Finding:
    return Finding(level="error", text=text)


def _warning(text: str) -> Finding:
    return Finding(level="warning", text=text)


def _note(text: str) -> Finding:
    return Finding(level="note", text=text)
