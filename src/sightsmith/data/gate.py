"""The gate: every picture is checked before training, and every one that is left out is counted and named.

Training leaves out: pictures that cannot be read, are over the bound on pixels or have a side of 1 pixel; every copy
of a picture that has two labels; all copies of a picture but one (that of the test, else of val, else the first of
train); and of a group in several splits all samples but those of the test, else of val.
"""

from collections import Counter
from dataclasses import dataclass
from time import monotonic
from types import ModuleType
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from sightsmith.core import notebooks
from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.machine import usable_cores
from sightsmith.data.changes import Fixed
from sightsmith.data.problem import Problem, Severity
from sightsmith.data.rules import RULES
from sightsmith.data.scan import scan_items
from sightsmith.data.settings import GateSettings as GateSettings
from sightsmith.data.source import Source
from sightsmith.data.verdict import ByClass, Checked, Verdict
from sightsmith.kinds import KINDS, optional_part
from sightsmith.kinds.parts.counted import Counted

_DEFAULTS = GateSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """The findings of the gate.

    Attributes:
        location: of the data.
        format: of the data.
        items: singular and plural of a sample, such as picture and pictures.
        nouns: singular and plural of the named thing, such as class and classes.
        names: of the classes or tags.
        total: samples of the source.
        kept: positions of the samples that training may use, in order.
        problems: errors first.
        skipped: (key, code and reason) of each sample that training leaves out.
        lost: pictures that never became samples (rows or files that are left out).
        bad: number of samples that are damaged, have contradictory labels, or were lost by an error; not copies.
        counts: (names, 4) kept pictures in train, val, test and no split of the source.
        sizes: (width, height, count), the most frequent first.
        modes: pictures by mode as stored.
        hashes: (total, 32) content hashes, for the fingerprint.
        spread: text on the distribution of the truths of a kind without names, else empty.
        ranges: (range, count) of such truths.
        contents: counts of the things in the truths of kept pictures, such as objects; empty for most kinds.
        near_groups: positions that look nearly the same, for splits that keep them together.
        by_class: properties of the files, class by class; those that vary.
        seconds: the check took.
        fixed: the repaired copy, if one was written.
    """

    location: str
    format: str
    items: tuple[str, str]
    nouns: tuple[str, str]
    names: tuple[str, ...]
    total: int
    kept: NDArray[np.int64]
    problems: tuple[Problem, ...]
    skipped: tuple[tuple[str, str], ...]
    lost: int
    bad: int
    counts: NDArray[np.int64]
    sizes: tuple[tuple[int, int, int], ...]
    modes: dict[str, int]
    hashes: NDArray[np.uint8]
    spread: str
    ranges: tuple[tuple[str, int], ...]
    contents: tuple[Counted, ...]
    near_groups: tuple[tuple[int, ...], ...]
    by_class: tuple[ByClass, ...]
    seconds: float
    fixed: Fixed | None = None

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "warning")

    @property
    def bad_fraction(self) -> float:
        """Share of the pictures that are damaged or contradict themselves, in 0…1."""
        return self.bad / max(1, self.total + self.lost)

    def failed(self, strict: bool = False) -> bool:
        """Tell whether there are errors, or with `strict` warnings: then `check` exits with 1."""
        return bool(self.errors or (strict and self.warnings))

    def __repr__(self) -> str:
        return f"<GateReport {self.location}: {many(self.total, *self.items)}, {self._found_text()}>"

    def _repr_html_(self) -> str:
        return notebooks.text(self.to_text())

    def to_text(self) -> str:
        counted = many(self.total, *self.items)
        names = f" in {many(len(self.names), *self.nouns)}" if self.names else ""
        left_out = len(self.skipped) + self.lost
        usable = f"Training may use {len(self.kept):,} of {self.total + self.lost:,} and leaves out {left_out:,}."
        modes = ", ".join(f"{mode} ({count:,})" for mode, count in self.modes.items()) or "none"
        lines = [
            f"{self.location} ({self.format}): {counted}{names}{self._balance_text()}.",
            f"Sizes: {self._sizes_text()}. Modes: {modes}.",
            *(f"{each.title}: {each.text}" for each in self.contents),
            *(problem.to_text() for problem in self.problems),
            f"{self._found_text()}. {usable} Checked in {self.seconds:.1f} s.",
            *([self.fixed.to_text()] if self.fixed else []),
        ]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON; `failed` is that of a check without `--strict`."""
        rows = [dict(zip(("train", "val", "test", "any"), row, strict=True)) for row in self.counts.tolist()]
        return {
            "location": self.location,
            "format": self.format,
            "total": self.total,
            "kept": len(self.kept),
            "lost": self.lost,
            "bad": self.bad,
            "bad_fraction": self.bad_fraction,
            "failed": self.failed(),
            "problems": [problem.to_json() for problem in self.problems],
            "skipped": dict(self.skipped),
            _key(self.nouns[1]): dict(zip(self.names, rows, strict=True)) | dict(self.ranges),
            **{_key(each.title): dict(each.rows) for each in self.contents},
            "sizes": [{"width": width, "height": height, "count": count} for width, height, count in self.sizes],
            "modes": self.modes,
            "by_class": {each.name: dict(zip(self.names, each.texts, strict=True)) for each in self.by_class},
            "seconds": round(self.seconds, 3),
            **({"fixed": self.fixed.to_json()} if self.fixed else {}),
        }

    def _found_text(self) -> str:
        return f"{many(len(self.errors), 'error')}, {many(len(self.warnings), 'warning')}"

    def _balance_text(self) -> str:
        totals = self.counts.sum(axis=1)
        if not len(totals):
            return f" of {self.nouns[1]} {self.spread}" if self.spread else ""
        least, most = int(totals.argmin()), int(totals.argmax())
        if totals[least] == totals[most]:
            return f", {totals[least]:,} usable {f'{self.items[1]} with' if self.contents else 'in'} each"
        span = f"{totals[least]:,} ({self.names[least]}) to {totals[most]:,} ({self.names[most]})"
        return f", each in {span} usable {self.items[1]}" if self.contents else f", usable from {span}"

    def _sizes_text(self) -> str:
        shown = ", ".join(f"{width}×{height} ({count:,})" for width, height, count in self.sizes[:3])
        more = len(self.sizes) - 3
        return f"{shown}, and {more:,} other sizes" if more > 0 else shown or "none"


def _key(title: str) -> str:
    return title.lower().replace(" ", "_")


def check(source: Source, settings: GateSettings = _DEFAULTS, *, quiet: bool = False) -> GateReport:
    """Check every picture of a source, and all of them together."""
    start = monotonic()
    threads = settings.threads or usable_cores()
    scan = scan_items(source.samples, input=source.input, max_pixels=settings.max_pixels, threads=threads, quiet=quiet)
    data = Checked(source, scan, settings)
    verdict = _judge(data)
    kept, kind = verdict.usable, KINDS.module(source.kind)
    truths = [source.samples[place].target for place in kept.tolist()]
    spread, ranges = kind.spread(truths, source.details)
    contents = optional_part(source.kind, "contents")
    decoded = scan.decoded
    sizes = Counter(zip(scan.widths[decoded].tolist(), scan.heights[decoded].tolist(), strict=True))
    modes = Counter(scan.mode_names[mode] for mode in scan.modes[decoded].tolist())
    problems = (*source.problems, *verdict.problems)
    return GateReport(
        location=source.location,
        format=source.format,
        items=data.nouns,
        nouns=kind.NOUNS,
        names=source.names,
        total=len(source.samples),
        kept=kept,
        problems=tuple(sorted(problems, key=lambda problem: get_args(Severity).index(problem.severity))),
        skipped=tuple((source.samples[place].key, reason) for place, reason in sorted(verdict.reasons.items())),
        lost=sum(problem.lost for problem in source.problems),
        bad=int(verdict.bad.sum()) + sum(problem.lost for problem in source.problems if problem.severity == "error"),
        counts=data.counts(kept),
        sizes=tuple((width, height, count) for (width, height), count in sizes.most_common()),
        modes=dict(modes.most_common()),
        hashes=scan.hashes,
        spread=spread,
        ranges=tuple(ranges),
        contents=tuple(contents.counts(truths, source.names)) if contents else (),
        near_groups=verdict.near_groups,
        by_class=verdict.by_class,
        seconds=monotonic() - start,
    )


def _judge(data: Checked) -> Verdict:
    """Apply every rule for the source's kind of answer."""
    count = len(data.source.samples)
    verdict = Verdict(left_out=np.zeros(count, dtype=bool), bad=np.zeros(count, dtype=bool))
    for rule in rules_for(data.source.kind, data.source.input):
        rule.find(data, verdict)
    return verdict


def rules_for(kind: str, input: str) -> list[ModuleType]:  # noqa: A002 - as in Source
    """Return the rules that hold for a kind of answer and an input, in their order."""
    rules = [
        rule
        for rule in _rules()
        if kind in getattr(rule, "KINDS", (kind,)) and input in getattr(rule, "INPUTS", (input,))
    ]
    return sorted(rules, key=lambda rule: int(rule.ORDER))


def _rules() -> list[ModuleType]:
    return [RULES.module(name) for name in RULES.names()]


def require_usable(report: GateReport, max_bad: float = 0.01) -> None:
    """Stop if training is impossible or too much of the data is damaged.

    Args:
        max_bad: share of damaged or contradictory pictures that is accepted, in 0…1.

    Raises DataError: an error that a rule calls fatal, or too much is bad.
    """
    fatal_codes = {code for rule in _rules() for code in getattr(rule, "FATAL", ())}
    fatal = [problem.to_text() for problem in report.problems if problem.code in fatal_codes]
    if fatal:
        raise DataError("\n".join([f"{report.location}: cannot be trained on.", *fatal]))
    if report.bad_fraction > max_bad:
        of_all = f"of {report.total + report.lost:,} {report.items[1]}"
        message = (
            f"{report.location}: {many(report.bad, f'{of_all} is', f'{of_all} are')} bad "
            f"({report.bad_fraction:.1%}), which is above the {max_bad:.1%} that --max-bad allows. Put them right, or "
            "allow more."
        )
        bad_codes = {code for rule in _rules() for code in getattr(rule, "BAD", ())}
        worst = [problem.to_text() for problem in report.errors if problem.lost or problem.code in bad_codes]
        raise DataError("\n".join([message, *worst]))
