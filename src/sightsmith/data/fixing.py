"""A repaired copy of data, with a list of every change; the original stays as it is."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sightsmith.core.errors import DataError, SettingsError
from sightsmith.data.changes import CHANGES, COLUMNS, Change, Fixed
from sightsmith.data.converting import check_output, formats, new_data, unread, write
from sightsmith.data.gate import GateReport, rules_for
from sightsmith.data.source import Source
from sightsmith.kinds import optional_part


def check_fixable(source: Source, out: Path, *, overwrite: bool) -> None:
    """Raise if no repaired copy can be written, before the work of the check.

    Raises:
        SettingsError: the format cannot be written, or `out` is in the data's folder.
        OutputExistsError: `out` is there, and `overwrite` is false.
    """
    if source.format not in formats():
        raise SettingsError(
            f"fix: a repaired copy can be written of {', '.join(formats())}, and {source.location} is of the format "
            f"{source.format!r}. Correct the files that the report names."
        )
    check_output(source.location, out, overwrite=overwrite)


def fix(source: Source, report: GateReport, out: Path, *, quiet: bool = False) -> Fixed:
    """Write a copy in the same format without the faults that need no decision, and the list of changes in it.

    The copy has the pictures that training would use, their truths as they were read, and what the rules mend.

    Args:
        report: of the gate, on this source.
        out: a folder that `check_fixable` accepts; it appears whole or not at all.

    Raises:
        DataError: no picture is left.
        OutputError: it cannot be written.
    """
    if not len(report.kept):
        raise DataError(f"{source.location}: no picture is left for a repaired copy. See the errors of the check.")
    changes = [*_read_otherwise(source), *_left_out(report)]
    mended = replace(source, samples=tuple(source.samples[place] for place in report.kept.tolist()))
    for rule in rules_for(source.kind, source.input):
        if hasattr(rule, "mend"):
            mended, more = rule.mend(mended)
            changes += more
    with new_data(out) as fresh:
        lost = write(mended, fresh, source.format, quiet=quiet)
        _write_list(changes, fresh / CHANGES)
    done = {change.code for change in changes}
    left = (problem.code for problem in (*report.errors, *report.warnings) if problem.code not in done)
    return Fixed(
        out=out,
        pictures=len(mended.samples),
        changes=tuple(changes),
        left=tuple(dict.fromkeys(left)),
        lost=(*unread(source), *lost),
    )


def _read_otherwise(source: Source) -> Iterator[Change]:
    """Yield the changes that reading made: the copy is written as the data was read."""
    samples = {sample.key: sample for sample in source.samples}
    contents = optional_part(source.kind, "contents")
    for problem in source.problems:
        if not problem.repair:
            continue
        notes = problem.notes or ("",) * len(problem.groups)
        for keys, note in zip(problem.groups, notes, strict=True):
            sample = samples.get(keys[0])
            read = contents.written_at(sample.target, note, source.names) if contents and sample else ""
            after = f"{problem.repair}: {read}" if read else problem.repair
            yield Change(code=problem.code, key=keys[0], before=note, after=after, why=problem.message)
        if not problem.groups:
            yield Change(code=problem.code, key="", before="", after=problem.repair, why=problem.message)


def _left_out(report: GateReport) -> Iterator[Change]:
    """Yield the pictures that training would leave out."""
    for key, reason in report.skipped:
        code, _, why = reason.partition(": ")
        yield Change(code=code, key=key, before=key, why=why)


def _write_list(changes: list[Change], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(change.to_row() for change in changes)
