"""Progress of long work on standard error: a bar with rate and ETA on a terminal, otherwise a line every 15 s."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")
_FIRST_AFTER = 2.0  # Seconds of silence before the first line, without a terminal
_LINE_EVERY = 15.0  # Seconds between two lines, without a terminal


def track(items: Iterable[T], what: str, total: int | None = None, *, quiet: bool = False) -> Iterator[T]:
    """Yield the items and show the progress, the rate and the remaining time of work such as "Checking pictures"."""
    total = len(items) if total is None and isinstance(items, Sized) else total
    if quiet:
        yield from items
    elif sys.stderr.isatty():
        yield from _bar(items, what, total)
    else:
        yield from _lines(items, what, total)


def _bar(items: Iterable[T], what: str, total: int | None) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[how]}"))
    start = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total, how="")
        for done, item in enumerate(items, 1):
            yield item
            progress.update(task, completed=done, how=rate_and_eta(done, total, time.monotonic() - start))


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
    """Return text like `1,200 of 60,000, 640/s, 1 min 32 s left`."""
    rate = done / max(seconds, 1e-9)
    speed = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"
    if total is None:
        return f"{done:,}, {speed}"
    return f"{done:,} of {total:,}, {speed}, {duration((total - done) / rate)} left"


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
