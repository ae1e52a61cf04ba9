"""The model card: README.md of a bundle, written from its manifest and from nothing else.

Form after Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, arXiv:1810.03993. What only its makers can
know is left as a marked blank.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from sightsmith.bundle.manifest import Manifest
from sightsmith.core.counts import many
from sightsmith.inputs import INPUTS
from sightsmith.kinds import KINDS

_BLANK = "*To be filled in by whoever publishes this model.*"
_WITHIN = " › "  # Between the name of a table of settings and that of a setting in it
_PLACES = frozenset({"location", "data", "out", "weights"})
"""Entries that may be paths: the card, which the service shows to anybody, has their last part alone."""
_SHOWN_NAMES = 100


def model_card(manifest: Manifest) -> str:
    """Return the text of the model card, markdown with the front matter that model hubs read."""
    parts = [_front(manifest), _summary(manifest), *_run(manifest), *_use(), *_data(manifest), *_names(manifest)]
    parts += [*_metrics(manifest), *_training(manifest), *_backends(manifest), *_licences(manifest), *_trust(manifest)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front(manifest: Manifest) -> str:
    task = KINDS.module(manifest.definition.kind).HUB_TASK
    tags = json.dumps([*filter(None, [task]), "sightsmith", manifest.net.name], ensure_ascii=False)
    pipeline = f"pipeline_tag: {task}\n" if task else ""
    return f"---\nlibrary_name: sightsmith\n{pipeline}tags: {tags}\n---"


def _summary(manifest: Manifest) -> str:
    definition = manifest.definition
    described = INPUTS.module(definition.input).describe(definition.input_settings)
    title = f"# {_cell(manifest.name)}"
    trained = f"A `{manifest.net.name}` trained for `{manifest.task.name}`{_of_names(manifest)}"
    version = manifest.versions.get("sightsmith", "of an unknown version")
    return (
        f"{title}\n\n{trained}; input: {definition.input}, {described}. Made {manifest.created} with Sightsmith "
        f"{version}."
    )


def _run(manifest: Manifest) -> Iterator[str]:
    yield "## How to run it"
    name = shlex.quote(manifest.name)
    yield f"```sh\npip install sightsmith\nsightsmith predict {name} picture.jpg\nsightsmith serve {name}\n```"


def _use() -> Iterator[str]:
    for title in ("Intended use", "Out of scope, known limits, risks"):
        yield f"## {title}"
        yield _BLANK


def _data(manifest: Manifest) -> Iterator[str]:
    yield "## Data"
    rows = _rows(manifest.data)
    yield _table(("what", "value"), rows) if rows else _BLANK


def _of_names(manifest: Manifest) -> str:
    names = manifest.definition.names
    return f" on {many(len(names), *KINDS.module(manifest.definition.kind).NOUNS)}" if names else ""


def _names(manifest: Manifest) -> Iterator[str]:
    if not manifest.definition.names:
        return
    yield f"## {KINDS.module(manifest.definition.kind).NOUNS[1].capitalize()}"
    shown = ", ".join(f"`{name}`" for name in manifest.definition.names[:_SHOWN_NAMES])
    hidden = len(manifest.definition.names) - _SHOWN_NAMES
    yield shown + (f", and {hidden} more in `manifest.json`" if hidden > 0 else "")


def _metrics(manifest: Manifest) -> Iterator[str]:
    yield "## Metrics"
    if not manifest.metrics:
        yield "None were recorded."
        return
    splits = {name: value for name, value in manifest.metrics.items() if isinstance(value, Mapping)}
    plain = {name: value for name, value in manifest.metrics.items() if not isinstance(value, Mapping)}
    for title, values in (({"": plain} if plain else {}) | splits).items():
        if title:
            yield f"### On the {_cell(title)} split"
        yield _metric_table(values)


def _metric_table(values: Mapping[str, Any]) -> str:
    intervals = values.get("intervals", {})
    flat = {**values, **(values["metrics"] if isinstance(values.get("metrics"), Mapping) else {})}
    rows = [
        (name.replace("_", " "), _number(value), _interval(intervals.get(name)))
        for name, value in flat.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    return _table(("metric", "value", "95 % interval"), rows)


def _training(manifest: Manifest) -> Iterator[str]:
    yield "## Training"
    rows = [
        ("weights it started from", manifest.net.weights.origin),
        ("paper", manifest.net.paper or "none recorded"),
        *_rows(manifest.net.settings, f"net{_WITHIN}"),
        *_rows(manifest.training),
    ]
    yield _table(("what", "value"), rows)


def _backends(manifest: Manifest) -> Iterator[str]:
    if not manifest.backends:
        return
    yield "## Exports, proved against the trained model"
    yield _table(("what", "value"), _rows(manifest.backends))


def _licences(manifest: Manifest) -> Iterator[str]:
    yield "## Licences"
    rows = [
        ("code of the net", manifest.net.licence or "not recorded"),
        ("weights it started from", manifest.net.weights.licence or "not recorded"),
        ("data", manifest.data.get("licence") or "not recorded"),
    ]
    yield _table(("of", "licence"), rows)


def _trust(manifest: Manifest) -> Iterator[str]:
    yield "## What this bundle promises"
    yield (
        "`manifest.json` holds the SHA-256 of every file; opening the bundle checks them. The pictures in `witnesses/` "
        "come from the data, go wherever the bundle goes, and are answered again by every export and at every start of "
        f"the service. Definition of its answers: `{manifest.definition_digest}`."
    )


def _rows(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Flatten nested objects into rows; empty values are left out, long lists are counted."""
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += _rows(value, f"{prefix}{_words(name)}{_WITHIN}")
        elif isinstance(value, list):
            rows += [
                (prefix + _words(name), ", ".join(map(str, value)) if len(value) <= 8 else f"{len(value)} of them")
            ]
        elif value not in (None, ""):
            rows.append((prefix + _words(name), PurePath(str(value)).name if name in _PLACES else _number(value)))
    return rows


def _words(name: str) -> str:
    return name.replace("_", " ")


def _interval(interval: Any) -> str:
    if not isinstance(interval, Mapping) or not {"low", "high"} <= interval.keys():
        return ""
    return f"{_number(interval['low'])} … {_number(interval['high'])}"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(str(cell)) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
