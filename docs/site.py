"""Build the documentation site: `python docs/site.py`, or `make docs`.

mkdocs wants all pages in one folder, but the READMEs lie above `docs/` and its pages link to files of the repository.
So the pages are collected in `build/docs/` with their links adapted, and the API reference is added. Formulas (blocks
of the language `math`, in TeX, which GitHub draws) become pictures, so that the site needs no script from elsewhere.
"""

import os
import re
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

ROOT = Path(__file__).parents[1]
DOCS, COLLECTED = ROOT / "docs", ROOT / "build/docs"
FROM_ABOVE = {
    "README.md": "index.md",
    "README.zh-CN.md": "index.zh.md",
    "benchmarks/README.md": "benchmarks.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
"""Pages outside `docs/`, and what they are called in the site."""
REFERENCE = {
    "Verbs and models": ("sightsmith.model",),
    "Answers": ("sightsmith.kinds.labels.value", "sightsmith.kinds.tags.value", "sightsmith.kinds.number.value"),
    "Results": ("sightsmith.evaluation.record", "sightsmith.explanation.record", "sightsmith.data.gate"),
    "Settings": (
        "sightsmith.data.settings",
        "sightsmith.training.settings",
        "sightsmith.evaluation.settings",
        "sightsmith.explanation.settings",
        "sightsmith.runtime.settings",
        "sightsmith.serving.settings",
        "sightsmith.bundle.settings",
    ),
    "Tasks": ("sightsmith.tasks.classify", "sightsmith.tasks.tag", "sightsmith.tasks.regress"),
    "Errors": ("sightsmith.core.errors",),
}
"""Modules of the API reference, by heading."""
_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
_FORMULA = re.compile(r"^```math\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
_SVG = {1: "M{} {}", 2: "L{} {}", 3: "Q{} {} {} {}", 4: "C{} {} {} {} {} {}", 79: "Z"}  # by the codes of matplotlib
_REPOSITORY = "https://github.com/sightsmith/sightsmith/blob/main"


def collect() -> None:
    """Fill `build/docs/` anew."""
    shutil.rmtree(COLLECTED, ignore_errors=True)
    shutil.copytree(DOCS, COLLECTED, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for page in COLLECTED.glob("*.md"):
        page.write_text(adapted(page.read_text(encoding="utf-8"), DOCS), encoding="utf-8")
    for source, target in FROM_ABOVE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        (COLLECTED / target).write_text(adapted(text, (ROOT / source).parent), encoding="utf-8")
    parts = ["# API reference", *(f"## {title}\n\n{_modules(names)}" for title, names in REFERENCE.items())]
    (COLLECTED / "reference.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def adapted(text: str, folder: Path) -> str:
    """Return a page of a folder with drawn formulas and links that fit the site; other files are in the repository."""

    def link(found: re.Match[str]) -> str:
        start, target, anchor, end = found.groups()
        if "://" in target:
            return found[0]
        path = Path(os.path.normpath(folder / target)).relative_to(ROOT).as_posix()
        if path in FROM_ABOVE:
            place = FROM_ABOVE[path].replace(".zh.md", ".md")
        elif path.startswith("docs/"):
            place = path.removeprefix("docs/").replace(".zh.md", ".md")
        else:
            place = f"{_REPOSITORY}/{path}"
        return f"{start}{place}{anchor or ''}{end}"

    return _FORMULA.sub(lambda found: formula(found[1]), _LINK.sub(link, text))


def formula(tex: str) -> str:
    """Return a formula as SVG in the colour of the text. Raises ValueError: matplotlib does not know the TeX."""
    path = TextPath((0, 0), f"${tex}$", size=19, prop=FontProperties(math_fontfamily="stix"))
    box = path.get_extents()
    drawn = "".join(
        _SVG[int(code)].format(*(f"{value:.1f}" for value in points))
        for points, code in path.iter_segments(simplify=False, curves=True)
    )
    width, height = box.width + 2, box.height + 2  # a pixel around it, so that no stroke is cut
    place = f"{box.x0 - 1:.1f} {-box.y1 - 1:.1f} {width:.1f} {height:.1f}"
    return (
        f'<p><svg role="img" aria-label="{escape(tex)}" width="{width:.0f}" viewBox="{place}" '
        f'style="max-width: 100%" fill="currentColor"><path transform="scale(1 -1)" d="{drawn}"/></svg></p>'
    )


def _modules(names: tuple[str, ...]) -> str:
    return "\n\n".join(f"::: {name}\n    options:\n      heading_level: 3" for name in names)


def build() -> int:
    """Collect the pages and build the site; a broken link or reference is an error."""
    collect()
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--config-file",
        str(ROOT / "mkdocs.yml"),
    ]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=False).returncode


if __name__ == "__main__":
    sys.exit(build())
