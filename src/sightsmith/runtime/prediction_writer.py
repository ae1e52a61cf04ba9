"""Writing predictions as they come: JSON lines, CSV, or text for reading."""

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

from sightsmith.core.errors import SettingsError
from sightsmith.core.files import new_file, refuse_existing, told
from sightsmith.core.text_streams import is_utf8
from sightsmith.runtime.settings import Form, PredictSettings


class HasJson(Protocol):
    def to_json(self, top: int) -> Any: ...


class Writer:
    def __init__(self, stream: TextIO, form: Form, top: int) -> None:
        self._stream, self._form, self._top = stream, form, top
        self._csv = csv.writer(stream, lineterminator="\n")
        if form == "csv":
            self._csv.writerow(["picture", "rank", "label", "score", "error"])

    def write(self, name: str, prediction: HasJson | None, error: str | None = None) -> None:
        """Write the prediction of one picture, or why there is none."""
        labels = [] if prediction is None else prediction.to_json(self._top)
        getattr(self, f"_write_{self._form}")(name, labels, error)

    def _write_jsonl(self, name: str, labels: Any, error: str | None) -> None:
        answer = {"picture": name, "error": error} if error else {"picture": name, "labels": labels}
        self._stream.write(json.dumps(answer, ensure_ascii=not is_utf8(self._stream)) + "\n")

    def _write_csv(self, name: str, labels: Any, error: str | None) -> None:
        if error:
            self._csv.writerow([name, "", "", "", error])
        for rank, row in enumerate(labels, 1):
            self._csv.writerow([name, rank, row["label"], f"{row['score']:.6f}", ""])

    def _write_text(self, name: str, labels: Any, error: str | None) -> None:
        if not error:  # errors are told on standard error
            said = "  ".join(f"{row['label']} {row['score']:.1%}" for row in labels)
            self._stream.write(f"{name}: {said}\n")


@contextmanager
def open_writer(settings: PredictSettings) -> Iterator[Writer]:
    """Open a writer on the settings' file (whole or not at all) or on standard output."""
    form = settings.form or _form_of(settings.out)
    if settings.out is None:
        yield Writer(sys.stdout, form, settings.top)
        sys.stdout.flush()
        return
    refuse_existing(settings.out, overwrite=settings.overwrite)
    with (
        told(settings.out),
        new_file(settings.out) as partial,
        partial.open("w", encoding="utf-8", newline="") as stream,
    ):
        yield Writer(stream, form, settings.top)


def _form_of(out: Path | None) -> Form:
    if out is None:
        return "text" if sys.stdout.isatty() else "jsonl"
    forms: dict[str, Form] = {".jsonl": "jsonl", ".csv": "csv", ".txt": "text"}
    if out.suffix.lower() not in forms:
        raise SettingsError(f"{out}: name it .jsonl, .csv or .txt, or say which with --as.")
    return forms[out.suffix.lower()]
