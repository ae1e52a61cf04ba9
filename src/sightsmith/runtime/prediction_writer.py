"""Writing predictions as they come: JSON lines, CSV, or text for reading."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from sightsmith.core.errors import SettingsError
from sightsmith.core.files import is_utf8, new_file, refuse_existing, told
from sightsmith.core.images import Picture
from sightsmith.core.names import did_you_mean
from sightsmith.kinds import KINDS, options_of
from sightsmith.runtime.annotation_writer import AnnotationWriter, forms_of, open_annotations
from sightsmith.runtime.runner import Value
from sightsmith.runtime.settings import PredictSettings

FORMS = ("jsonl", "csv", "text")  # Of every kind of answer


class Writer:
    """Writes answers of one kind in one form.

    Args:
        asked: options of the answers.
        about: the first column: the noun of items, or `time`, in seconds.
    """

    def __init__(
        self,
        stream: TextIO,
        form: str,
        kind: str,
        asked: Mapping[str, Any],
        about: str = "picture",
    ) -> None:
        self._stream, self._form, self._kind, self._options = stream, form, kind, options_of(kind, asked)
        self._csv = csv.writer(stream, lineterminator="\n")
        self._about, self._unit = about, " s" if about == "time" else ""
        self._columns = KINDS.module(kind).COLUMNS
        if form == "csv":
            self._csv.writerow([about, *self._columns, "error"])

    def write(
        self,
        name: str | float,
        prediction: Value | None,
        error: str | None = None,
        picture: Picture = b"",  # noqa: ARG002 -- other forms write it
    ) -> None:
        """Write the prediction of one item, or at one time, or why there is none."""
        if self._form == "csv":
            rows = [[""] * len(self._columns)] if prediction is None else prediction.to_rows(**self._options)
            self._csv.writerows([name, *row, error or ""] for row in rows)
        elif self._form == "jsonl":
            answer = {"error": error} if prediction is None else {self._kind: prediction.to_json(**self._options)}
            self._stream.write(json.dumps({self._about: name, **answer}, ensure_ascii=not is_utf8(self._stream)) + "\n")
        elif prediction is not None:  # errors are printed on standard error
            self._stream.write(f"{name}{self._unit}: {prediction.to_text(**self._options)}\n")


@contextmanager
def open_writer(
    settings: PredictSettings, kind: str, names: tuple[str, ...] = (), about: str = "picture"
) -> Iterator[Writer | AnnotationWriter]:
    """Open a writer on the settings' file or folder (whole or not at all) or on standard output.

    Raises:
        SettingsError: the kind has no such form of answers, or an option is wrong.
        OutputExistsError: the file or folder is there, and may not be replaced.
    """
    out, form = settings.out, settings.form or form_of(settings.out)
    further = [] if form in FORMS else forms_of(kind)
    if form not in (*FORMS, *further):
        raise SettingsError(f"as: {form!r} is no form of these answers. {did_you_mean(form, (*FORMS, *further))}")
    if form in further:
        with open_annotations(out, form, kind, names, settings.options, overwrite=settings.overwrite) as annotations:
            yield annotations
        return
    if out is None:
        yield Writer(sys.stdout, form, kind, settings.options, about)
        sys.stdout.flush()
        return
    refuse_existing(out, overwrite=settings.overwrite)
    with told(out), new_file(out) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        yield Writer(stream, form, kind, settings.options, about)


def form_of(out: Path | None) -> str:
    """Return the usual form for a file, None for standard output. Raises SettingsError: its ending tells none."""
    if out is None:
        return "text" if sys.stdout.isatty() else "jsonl"
    forms = {".jsonl": "jsonl", ".csv": "csv", ".txt": "text"}
    if out.suffix.lower() not in forms:
        raise SettingsError(f"{out}: name it .jsonl, .csv or .txt, or say which with --as.")
    return forms[out.suffix.lower()]
