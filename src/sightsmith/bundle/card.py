"""The model card: README.md of a bundle, generated only from its manifest.

Form after Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, arXiv:1810.03993; the front matter is that of
model hubs. Statements that only the authors can make are placeholders until `card` fills them in.
"""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from sightsmith.bundle.manifest import Manifest
from sightsmith.core.counts import many
from sightsmith.inputs import INPUTS
from sightsmith.kinds import KINDS

BLANK = "*To be filled in by whoever publishes this model.*"
_SHOWN_NAMES = 100
_NOT_SHOWN = (None, "", 0, 0.0, False, "none")  # Parts of a setting that are off


def model_card(manifest: Manifest) -> str:
    """Return the text of the model card, Markdown with the front matter that model hubs read."""
    parts = [_front(manifest), _summary(manifest), *_run(manifest), *_use(manifest), *_data(manifest)]
    parts += [*_names(manifest), *_metrics(manifest), *_training(manifest), *_backends(manifest)]
    parts += [*_licences(manifest), *_trust(manifest)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front(manifest: Manifest) -> str:
    """Return the YAML header; JSON values are YAML too, so that no name can break it."""
    kind = KINDS.module(manifest.definition.kind)
    fields: dict[str, Any] = {}
    if kind.HUB_TASK:
        fields["pipeline_tag"] = kind.HUB_TASK
    if manifest.papers.get("licence"):
        fields["license"] = manifest.papers["licence"].lower()
    fields["tags"] = [*filter(None, [kind.HUB_TASK]), "sightsmith", manifest.net.name]
    fields["metrics"] = [kind.METRIC.name]
    measured = _flat(manifest.metrics.get("test"))
    if kind.METRIC.name in measured:
        fields["model-index"] = [{"name": manifest.name, "results": [_result(manifest, kind, measured)]}]
    lines = (f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items())
    return "\n".join(["---", "library_name: sightsmith", *lines, "---"])


def _result(manifest: Manifest, kind: Any, measured: Mapping[str, Any]) -> dict[str, Any]:
    data = PurePath(str(manifest.data.get("location") or "unknown")).name
    return {
        "task": {"type": kind.HUB_TASK or manifest.task.name},
        "dataset": {"name": data, "type": data, "split": "test"},
        "metrics": [
            {"type": name, "value": round(float(value), 6)}
            for name, value in measured.items()
            if name not in ("count", "skipped")
        ],
    }


def _summary(manifest: Manifest) -> str:
    definition = manifest.definition
    described = INPUTS.module(definition.input).describe(definition.input_settings)
    trained = f"A `{manifest.net.name}` trained for `{manifest.task.name}`{_of_names(manifest)}"
    version = manifest.versions.get("sightsmith", "of an unknown version")
    return (
        f"# {_cell(manifest.name)}\n\n{trained}; input: {definition.input}, {described}. Made {manifest.created} with "
        f"Sightsmith {version}."
    )


def _run(manifest: Manifest) -> Iterator[str]:
    yield "## How to run it"
    name = shlex.quote(manifest.name)
    yield f"```sh\npip install sightsmith\nsightsmith predict {name} picture.jpg\nsightsmith serve {name}\n```"


def _use(manifest: Manifest) -> Iterator[str]:
    for key, title in (("intended_use", "Intended use"), ("limits", "Out of scope, known limits, risks")):
        yield f"## {title}"
        yield manifest.papers.get(key, "").strip() or BLANK


def _data(manifest: Manifest) -> Iterator[str]:
    yield "## Data"
    data = manifest.data
    rows = [
        ("name", PurePath(str(data["location"])).name if data.get("location") else ""),
        ("format", data.get("format")),
        ("pictures", _counts(data.get("counts"))),
        ("left out", data.get("skipped")),
        ("grouped by", data.get("group_by")),
        ("truth in the columns", data.get("target")),
        ("unit", data.get("unit")),
        ("SHA-256 of contents and labels", data.get("fingerprint")),
    ]
    known = [(name, _value(value)) for name, value in rows if value not in (None, "")]
    yield _table(("what", "value"), known) if known else BLANK


def _counts(counts: Any) -> str:
    if not isinstance(counts, Mapping):
        return ""
    return ", ".join(f"{count:,} {split}" for split, count in counts.items() if isinstance(count, int))


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
    for title, values in manifest.metrics.items():
        if isinstance(values, Mapping):
            yield f"### On the {_cell(title)} split"
            yield _metric_table(values)
        else:
            yield f"{_cell(title.replace('_', ' ').capitalize())}: {_value(values)}."


def _metric_table(values: Mapping[str, Any]) -> str:
    intervals = values.get("intervals", {})
    rows = [
        (name.replace("_", " "), _value(value), _interval(intervals.get(name))) for name, value in _flat(values).items()
    ]
    return _table(("metric", "value", "95 % interval"), rows)


def _flat(values: Any) -> dict[str, float]:
    """Return the numbers of a split's metrics; older bundles nest them one level deeper."""
    if not isinstance(values, Mapping):
        return {}
    flat = {**values, **(values["metrics"] if isinstance(values.get("metrics"), Mapping) else {})}
    return {
        name: value for name, value in flat.items() if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _training(manifest: Manifest) -> Iterator[str]:
    yield "## Training"
    training, net = manifest.training, manifest.net
    spent = training.get("seconds")
    told = [
        f"Started from {'random weights' if net.weights.origin == 'none' else _cell(net.weights.origin)}.",
        f"Took {_value(spent)} s on {_cell(str(training.get('machine', 'an unknown machine')))}." if spent else "",
        f"Paper: {_cell(net.paper)}." if net.paper else "",
    ]
    yield " ".join(filter(None, told))
    chosen = [
        (name.replace("_", " "), _value(one.get("value")), one.get("why", ""))
        for name, one in _mapping(training.get("plan")).items()
        if isinstance(one, Mapping)
    ]
    if chosen:
        yield _table(("what", "chosen", "why"), chosen)
    if net.settings:
        yield f"Settings of the net: {_value(net.settings, everything=True)}."
    yield "All settings are in `report/run.toml`." if "report/run.toml" in manifest.files else ""


def _backends(manifest: Manifest) -> Iterator[str]:
    if not manifest.backends:
        return
    yield "## Exports, proved against the trained model"
    rows = []
    for backend, entry in manifest.backends.items():
        for precision, proof in _mapping(_mapping(entry).get("precisions")).items():
            apart = _mapping(proof.get("differences"))
            data = _mapping(proof.get("data"))
            metric = f"{data['metric']} {_value(data.get('exported'))} of {_value(data.get('trained'))}" if data else ""
            differs = ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in apart.items())
            rows.append((backend, precision, proof.get("witnesses", ""), differs, metric))
    yield _table(("backend", "precision", "witnesses", "largest differences", "on data"), rows)


def _licences(manifest: Manifest) -> Iterator[str]:
    yield "## Licences"
    rows = [
        ("this model", manifest.papers.get("licence") or "not stated"),
        ("code of the net", manifest.net.licence or "not recorded"),
        ("weights it started from", manifest.net.weights.licence or "not recorded"),
        ("data", manifest.data.get("licence") or "not recorded"),
    ]
    yield _table(("of", "licence"), rows)


def _trust(manifest: Manifest) -> Iterator[str]:
    yield "## How this bundle is verified"
    yield (
        "`manifest.json` holds the SHA-256 of every file; opening the bundle checks them. The pictures in `witnesses/` "
        "come from the data, go wherever the bundle goes, and are answered again by every export and at every start of "
        f"the service. Definition of its answers: `{manifest.definition_digest}`."
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _interval(interval: Any) -> str:
    if not isinstance(interval, Mapping) or not {"low", "high"} <= interval.keys():
        return ""
    return f"{_value(interval['low'])} … {_value(interval['high'])}"


def _value(value: Any, *, everything: bool = False) -> str:
    """Return a value in words; of an object the parts that are on, or everything."""
    if isinstance(value, Mapping):
        parts = [(name, one) for name, one in value.items() if everything or one not in _NOT_SHOWN]
        return ", ".join(f"{name.replace('_', ' ')} {_value(one)}" for name, one in parts) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(head: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(str(cell)) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
