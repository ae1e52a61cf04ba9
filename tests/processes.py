"""The command line in real processes, as a person runs it."""

import atexit
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SECONDS = 240
"""How long one command may take on a busy machine."""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def succeeded(self) -> "Done":
        """Return this, where the exit code is 0 and nothing looks like a crash."""
        assert self.code == 0, self.err
        assert "Traceback" not in self.err
        return self

    def refused(self, code: int, *told: str) -> "Done":
        """Return this, where it is an error that a person can act on: its exit code, and what its text tells."""
        assert self.code == code, f"exit code {self.code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.err, self.err
        missing = [text for text in told if text not in self.err]
        assert not missing, f"{missing} not in:\n{self.err}"
        return self


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "sightsmith.cli", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    """One thread a process: tiny nets are slower with more where other tests run too. No network is wanted."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1", **more}


@cache
def warm() -> list[str]:
    """Return what to put before a command's arguments in place of `sightsmith`, so that it starts warm."""
    import warm_start

    folder = Path(tempfile.mkdtemp(prefix="warm-"))
    begin = [sys.executable, warm_start.__file__, str(folder / "socket")]
    server = subprocess.Popen([*begin, "serve"], env=environment(), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    atexit.register(_stop, server, folder)
    assert server.stdout.readline() == b"ready\n"
    return [sys.executable, "-I", "-S", *begin[1:]]


def _stop(server: subprocess.Popen, folder: Path) -> None:
    server.kill()
    server.communicate()
    shutil.rmtree(folder)


def sightsmith(
    *arguments: str | Path,
    cwd: Path,
    file_limit: int | None = None,
    given: bytes | None = None,
    before: Sequence[str] = (),
    path: str = "",
) -> Done:
    """Run a verb.

    Args:
        arguments: of the command line.
        cwd: where it runs.
        file_limit: largest file in bytes that it may write: a write beyond it fails as on a full disk.
        given: standard input.
        before: a command that starts it, which then starts cold.
        path: further folders of Python modules, as in PYTHONPATH.
    """

    def limit() -> None:
        if file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    done = subprocess.run(
        [*before, *command(*arguments)] if before else [*warm(), *map(str, arguments)],
        cwd=cwd,
        env=environment(PYTHONPATH=path) if path else environment(),
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        timeout=SECONDS,
        preexec_fn=limit,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"))


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, hidden ones too, with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def clip_processes(pid: int) -> list[int]:
    """Return the numbers of the processes that decode clips for a process."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for file in files for child in file.read_text().split()]
    return [
        child for child in children if b"sightsmith.serving.clip_process" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
