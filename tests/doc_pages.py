"""Reading the documentation: its pages and their fenced blocks, and running them.

Which blocks the tests run: `bash` by `bash -e` and `python` in one namespace, in the order of the page. `sh` is for
commands that a test must not run (make, pip install, a network), `toml`, `text` and `json` for what is shown, and
`math` for formulas in TeX.
A `python` block that opens with a path in a comment (`# sightsmith/nets/tinynet.py`) is a file.
"""

import atexit
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import processes

VERBS = (
    "check",
    "convert",
    "train",
    "evaluate",
    "compare",
    "predict",
    "generate",
    "encode",
    "explain",
    "export",
    "serve",
    "models",
    "doctor",
    "inspect",
    "verify",
    "card",
)
ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
LANGUAGES = {"bash", "python", "sh", "toml", "text", "json", "math"}

BIN = Path(sys.executable).parent

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (sightsmith/\S+\.py)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The path that the block is a file of, or None."""
        found = _FILE.match(self.text) if self.language == "python" else None
        return found.group(1) if found else None


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    return [Block(*found) for found in _FENCE.findall(page.read_text(encoding="utf-8"))]


def write_files(page: Path, folder: Path) -> None:
    """Write the files that a page shows."""
    for block in blocks(page):
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def english(page: str) -> str:
    """Return the English page of a translation's path; any other path as it is."""
    return page.replace(".zh.md", ".md")


def all_pages() -> list[Path]:
    """Return every page, the READMEs first."""
    return [*READMES, *sorted(DOCS.glob("*.md"))]


@cache
def _commands() -> Path:
    """Return a folder with a `sightsmith` that starts warm."""
    folder = Path(tempfile.mkdtemp(prefix="commands-"))
    atexit.register(shutil.rmtree, folder)
    script = folder / "sightsmith"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(processes.warm())} "$@"\n')
    script.chmod(0o755)
    return folder


def environment(**more: str) -> dict[str, str]:
    """Return the environment of an example: this installation's commands first."""
    return processes.environment(PATH=os.pathsep.join([str(_commands()), str(BIN), os.environ["PATH"]]), **more)


def shell(script: str, folder: Path, **env: str) -> str:
    """Run a bash script that stops at its first failure; return what it printed."""
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}"],
        cwd=folder,
        env=environment(**env),
        text=True,
        capture_output=True,
        timeout=240,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"exit {done.returncode}\n$ {script}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr
