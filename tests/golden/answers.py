"""What a bundle answers by every way that people have to ask it: the command line, HTTP, the report's page."""

import csv
import json
import re
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from processes import environment, sightsmith, warm

FP32 = ("--precision", "fp32")
OF_THE_RUN = {"seconds", "created", "machine", "backend", "checked", "load", "card", "card_html", "sees", "options"}
"""Keys that tell of one run or of the machine, or repeat what stands elsewhere."""
ADDED = {"group_accuracy", "Group accuracy", "files", "takes"}
"""What later versions added: keys, and titles of tiles."""
_READY = re.compile(r"Ready after .* at (http://\S+) ")


def answers_of(bundle: Path, backend: str, data: Path | None) -> dict[str, Any]:
    """Ask a bundle everything, on a copy of it.

    Args:
        bundle: its folder.
        backend: what computes, in fp32.
        data: the folder that its data lies in; None where that is not here, and nothing is evaluated.
    """
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(shutil.copytree(bundle, Path(temporary) / bundle.name))
        pictures = sorted(path for path in (copy / "witnesses").iterdir() if path.suffix != ".safetensors")
        asked = {
            "predict": _predict(copy, backend, pictures),
            "explain": _explain(copy, backend, pictures[0]),
            "http": _http(copy, backend, pictures),
        }
        return asked if data is None else asked | _evaluate(copy, backend, data)


def _evaluate(bundle: Path, backend: str, data: Path) -> dict[str, Any]:
    told = sightsmith("evaluate", bundle, "--backend", backend, *FP32, "--json", cwd=data).succeeded().out
    with (bundle / "report/predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = [[_number(cell) for cell in row] for row in csv.reader(file)]
    page = Figures()
    page.feed((bundle / "report/index.html").read_text(encoding="utf-8"))
    return {"evaluate": _stable(json.loads(told)), "predictions": rows, "report": page.found()}


def _predict(bundle: Path, backend: str, pictures: Sequence[Path]) -> list[Any]:
    how = ("--backend", backend, *FP32, "--as", "jsonl", "--top", "10")
    told = sightsmith("predict", bundle, *pictures, *how, cwd=bundle.parent).succeeded().out
    rows = [json.loads(line) for line in told.splitlines()]
    return [{**row, "picture": Path(row["picture"]).name} for row in rows]


def _explain(bundle: Path, backend: str, picture: Path) -> Any:
    how = ("--backend", backend, *FP32, "--out", "map.png", "--json")
    return _stable(json.loads(sightsmith("explain", bundle, picture, *how, cwd=bundle.parent).succeeded().out))


def _http(bundle: Path, backend: str, pictures: Sequence[Path]) -> dict[str, Any]:
    command = [*warm(), "serve", f"golden={bundle}", "--port", "0", "--backend", backend, *FP32]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        url = next(found[1] for line in process.stdout if (found := _READY.search(line)))
        asked = f"{url}/v1/models/golden"
        explained = _sent(f"{asked}/predict?explain=true&top=3", pictures[0])
        del explained["heatmap"]  # a compressed picture of the map beside it
        return {
            "model": _stable(json.loads(urllib.request.urlopen(asked, timeout=60).read())),
            "predict": [_sent(f"{asked}/predict?top=10", picture) for picture in pictures],
            "explain": explained,
        }
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _sent(url: str, picture: Path) -> Any:
    kind = {"Content-Type": "application/octet-stream"}
    request = urllib.request.Request(url, data=picture.read_bytes(), headers=kind, method="POST")
    return json.loads(urllib.request.urlopen(request, timeout=60).read())


def _stable(value: Any) -> Any:
    """Leave out what differs from run to run."""
    if isinstance(value, dict):
        return {key: _stable(below) for key, below in value.items() if key not in OF_THE_RUN | ADDED}
    return [_stable(item) for item in value] if isinstance(value, list) else value


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


class Figures(HTMLParser):
    """Collects the headline figures of a report and the cells of its tables."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[list[str]] = []
        self._tiles: list[str] = []
        self._text: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self._rows.append([])
        if tag == "td" or (tag == "div" and dict(attrs).get("class") in ("name", "value")):
            self._text = []

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if self._text is None or tag not in ("td", "div"):
            return
        words = " ".join("".join(self._text).split())
        (self._rows[-1] if tag == "td" else self._tiles).append(words)
        self._text = None

    def found(self) -> dict[str, Any]:
        """Return the tiles but those of speed and later figures, and the rows of all tables but the model's papers."""
        named = zip(self._tiles[::2], self._tiles[1::2], strict=True)
        return {
            "tiles": [value for name, value in named if not value.endswith("/s") and name not in ADDED],
            "rows": [row for row in self._rows if len(row) > 1],
        }
