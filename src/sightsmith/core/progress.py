"""Progress of long work on standard error: a bar with rate and ETA on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")

_FIRST_AFTER = 2.0
"""Seconds of silence before the first line, where there is no terminal."""
_LINE_EVERY = 15.0
"""Seconds between two lines, where there is no terminal."""


def track(items: Iterable[T], what: str, total: int | None = None, *, quiet: bool = False) -> Iterator[T]:
    """Yield the items, showing how far it is, how fast it goes and when it will end.

    Args:
        items: what is worked on.
        what: what is being done, such as "Checking pictures".
        total: how many items there are; unknown where None and `items` has no length.
        quiet: show nothing.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if quiet:
        yield from items
    elif sys.stderr.isatty():
        yield from _bar(items, what, total)
    else:
        yield from _lines(items, what, total)


def _bar(items: Iterable[T], what: str, total: int | None) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    start = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total, rate="")
        for done, item in enumerate(items, 1):
            yield item
            progress.update(task, completed=done, rate=f"{done / max(time.monotonic() - start, 1e-9):,.0f}/s")


def _lines(items: Iterable[T], what: str, total: int | None) -> Iterator[T]:
    start = time.monotonic()
    due = start + _FIRST_AFTER
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now >= due:
            due = now + _LINE_EVERY
            print(f"{what}: {rate_and_eta(done, total, now - start)}", file=sys.stderr, flush=True)


def rate_and_eta(done: int, total: int | None, seconds: float) -> str:
    """Return such as `1,200 of 60,000, 640/s, 1 min 32 s left`."""
    rate = done / max(seconds, 1e-9)
    if total is None:
        return f"{done:,}, {rate:,.0f}/s"
    return f"{done:,} of {total:,}, {rate:,.0f}/s, {duration((total - done) / rate)} left"


def duration(seconds: float) -> str:
    """Return a time for people: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
