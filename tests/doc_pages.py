"""Reading the documentation: its pages and their fenced blocks, and running them.

Which blocks the tests run: `bash` by `bash -e` and `python` in one namespace, in the order of the page. `sh` is for
commands that a test must not run (make, pip install, a network), `toml`, `text` and `json` for what is shown.
A `python` block that opens with a path in a comment (`# sightsmith/nets/tinynet.py`) is a file.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

VERBS = (
    "check",
    "train",
    "evaluate",
    "compare",
    "predict",
    "explain",
    "export",
    "serve",
    "models",
    "doctor",
    "inspect",
    "verify",
)
ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
LANGUAGES = {"bash", "python", "sh", "toml", "text", "json"}

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


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def all_pages() -> list[Path]:
    """Return every page, the READMEs first."""
    return [*READMES, *sorted(DOCS.glob("*.md"))]


def environment(**more: str) -> dict[str, str]:
    """Return the environment of an example: this installation's commands first, one thread, no network wanted."""
    own = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return {**os.environ, **own, **more}


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
