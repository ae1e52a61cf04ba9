"""Running a command: an error that the user can fix prints one line, no traceback, and sets the exit code."""

import io
import json
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cyclopts import CycloptsError

from sightsmith.core.errors import SightsmithError
from sightsmith.core.files import is_utf8

_SPINS = "10000"
"""Spins of a waiting OpenMP thread before it sleeps, about 10 µs; the default of 300,000 blocks cores that others
could use. Sleeping at once (OMP_WAIT_POLICY=passive) costs a quarter of the speed on an idle machine."""


def share_cores() -> None:
    """Make waiting OpenMP threads release their cores soon, unless the user has set this."""
    # OpenMP reads it when torch is loaded, so first of all; only in commands: a library leaves the environment alone.
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = _SPINS


def exit_code_of(command: Callable[[], object]) -> int:
    """Run a command and return its exit code: 0 if it returns none, or that of its error."""
    warnings.filterwarnings("ignore", module="PIL")  # warnings of odd metadata; unusable pictures raise PictureError
    _never_fail_on_characters()
    _show_changes()
    try:
        code = command()
    except SightsmithError as error:
        code = fail(f"{error}", error.exit_code)
    except CycloptsError as error:
        code = fail(f"{error} See `sightsmith --help`.", 2)
    except KeyboardInterrupt:
        code = fail("stopped.", 130)
    except BrokenPipeError:
        sys.stderr.close()
        code = 141
    except OSError as error:
        place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        code = fail(f"{place}{error.strerror or error}.", 2)
    return _written_out(code if isinstance(code, int) else 0)


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """Yield an event that the first SIGINT (Ctrl+C) or SIGTERM sets; a second one ends the process as usual."""
    stop = threading.Event()
    usual = {number: signal.getsignal(number) or signal.SIG_DFL for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, usual[signal.Signals(number)])

    for number in usual:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def json_text(value: object, indent: int | None = None) -> str:
    """Return JSON for standard output: ASCII with JSON escapes if its encoding is not UTF-8."""
    return json.dumps(value, indent=indent, ensure_ascii=not is_utf8(sys.stdout))


def fail(message: str, code: int) -> int:
    say(f"error: {message}")
    return code


def say(line: str) -> None:
    """Print a line for people, on standard error."""
    print(line, file=sys.stderr, flush=True)


class _Said(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def _show_changes() -> None:
    """Print the runtime's log; only for commands, because a library must not configure logging."""
    log = logging.getLogger("sightsmith.runtime")
    log.setLevel(logging.INFO)
    if not log.handlers:
        log.addHandler(_Said())


def _never_fail_on_characters() -> None:
    """Write characters that the terminal's encoding lacks as escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # On UTF-8 output, a path is printed with its exact bytes.
            exact = stream is sys.stdout and is_utf8(stream)
            stream.reconfigure(errors="surrogateescape" if exact else "backslashreplace")


def _written_out(code: int) -> int:
    """Flush standard output and return the exit code, or an error code if this fails."""
    try:
        print(end="", flush=True)  # does nothing without standard output
    except BrokenPipeError:
        code = 141
    except OSError as error:
        code = fail(f"standard output: {error.strerror or error}.", code or 2)
    else:
        return code
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # discards the rest of the buffer
    return code
