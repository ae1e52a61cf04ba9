"""The model card: README.md of a bundle, generated only from its manifest.

Form after Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, arXiv:1810.03993; the front matter is that of
model hubs. Statements that only the authors can make are placeholders until `card` fills them in.
"""

import json
import shlex
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from sightsmith.bundle.manifest import Manifest
from sightsmith.core.counts import many
from sightsmith.inputs import INPUTS, from_files, items_of, nouns_of
from sightsmith.kinds import KINDS

if TYPE_CHECKING:
    from jinja2 import Template

_SHOWN_NAMES = 100
_NOT_SHOWN = (None, "", 0, 0.0, False, "none")  # Parts of a setting that are off


def model_card(manifest: Manifest) -> str:
    """Return the text of the model card, Markdown with the front matter that model hubs read."""
    definition, kind = manifest.definition, KINDS.module(manifest.definition.kind)
    source, nouns = INPUTS.module(items_of(definition.input)), nouns_of(definition.input)
    extra = getattr(source, "EXTRA", "")
    return _template().render(
        manifest=manifest,
        net=manifest.net,
        front=_front(manifest, kind),
        described=INPUTS.module(definition.input).describe(definition.input_settings),
        quoted=shlex.quote(manifest.name),
        names=definition.names,
        counted=many(len(definition.names), *kind.NOUNS),
        noun=kind.NOUNS[1].capitalize(),
        most=_SHOWN_NAMES,
        from_files=from_files(definition.input),
        package=f"'sightsmith[{extra}]'" if extra else "sightsmith",
        file=getattr(source, "FILE", "picture.jpg"),
        nouns=nouns,
        data=_data(manifest.data, nouns[1]),
    )


@cache
def _template() -> "Template":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # opening a bundle does not need it

    made = Environment(  # noqa: S701 -- Markdown; `cell` escapes
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"cell": _cell, "words": _words, "flat": _flat, "json": partial(json.dumps, ensure_ascii=False)}
    return made.get_template("card.md.j2")


def _front(manifest: Manifest, kind: Any) -> dict[str, Any]:
    """Return the fields of the YAML header; JSON values are YAML too, so that no name can break it."""
    measured = _flat(manifest.metrics.get("test"))
    figures = {name: round(float(value), 6) for name, value in measured.items() if name not in ("count", "skipped")}
    data = PurePath(str(manifest.data.get("location") or "unknown")).name
    hub_task = kind.HUB_TASKS.get(manifest.definition.input, "")
    result = {
        "task": {"type": hub_task or manifest.task.name},
        "dataset": {"name": data, "type": data, "split": "test"},
        "metrics": [{"type": name, "value": value} for name, value in figures.items()],
    }
    fields = {
        "pipeline_tag": hub_task,
        "license": manifest.papers.get("licence", "").lower(),
        "tags": [*filter(None, [hub_task]), "sightsmith", manifest.net.name],
        "metrics": [kind.METRIC.name],
        "model-index": [{"name": manifest.name, "results": [result]}] if kind.METRIC.name in measured else [],
    }
    return {name: value for name, value in fields.items() if value}


def _data(data: Mapping[str, Any], items: str) -> dict[str, Any]:
    counts = (data.get("counts") or {}).items()
    rows = {
        "name": PurePath(str(data["location"])).name if data.get("location") else "",
        "format": data.get("format"),
        items: ", ".join(f"{count:,} {split}" for split, count in counts if isinstance(count, int)),
        "left out": data.get("skipped"),
        "grouped by": data.get("group_by"),
        "truth in the columns": data.get("target"),
        "unit": data.get("unit"),
        "SHA-256 of contents and labels": data.get("fingerprint"),
    }
    return {name: value for name, value in rows.items() if value not in (None, "")}


def _flat(values: Any) -> dict[str, float]:
    """Return the numbers of a split's metrics; older bundles nest them one level deeper."""
    if not isinstance(values, Mapping):
        return {}
    flat = {**values, **(values["metrics"] if isinstance(values.get("metrics"), Mapping) else {})}
    return {name: value for name, value in flat.items() if type(value) in (int, float)}  # True is an int too


def _words(value: Any, *, everything: bool = False) -> str:
    """Return a value in words for a cell; of an object the parts that are on, or everything."""
    if isinstance(value, Mapping):
        parts = [(name, one) for name, one in value.items() if everything or one not in _NOT_SHOWN]
        return ", ".join(f"{name.replace('_', ' ')} {_words(one)}" for name, one in parts) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
