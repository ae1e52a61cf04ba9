"""The text of `inspect`."""

from collections.abc import Mapping
from typing import Any

from sightsmith.bundle.definition import Definition
from sightsmith.bundle.store import Bundle
from sightsmith.core.counts import many
from sightsmith.core.images import printable
from sightsmith.inputs import INPUTS
from sightsmith.kinds import KINDS


def inspect_text(bundle: Bundle) -> str:
    """Return the facts of a bundle: net, names, input, metrics, exports, files and their size."""
    manifest, definition = bundle.manifest, bundle.manifest.definition
    sizes = [(bundle.folder / name).stat().st_size for name in manifest.files if (bundle.folder / name).is_file()]
    lost = len(manifest.files) - len(sizes)
    missing = f", {lost} of them missing" if lost else ""
    count = f"{many(len(manifest.files), 'file')}{missing}, {sum(sizes) / 2**20:.1f} MiB"
    rows = [
        ("bundle", f"{printable(str(bundle.path))} ({count}, schema {manifest.schema})"),
        ("made", f"{manifest.created}, Sightsmith {manifest.versions.get('sightsmith', 'unknown')}"),
        ("task", manifest.task.name),
        ("net", f"{manifest.net.name}{_paper(manifest.net.paper)}"),
        ("weights from", _joined(manifest.net.weights.origin, manifest.net.weights.licence)),
        ("input", INPUTS.module(definition.input).describe(definition.input_settings)),
        *_names(definition),
        ("outputs", ", ".join(definition.outputs)),
        *((name, f"{value:.4g}") for name, value in definition.fitted().items()),
        ("data", _joined(*(str(manifest.data.get(key) or "") for key in ("location", "format", "licence")))),
        *(("metrics", line) for line in _numbers(manifest.metrics)),
        *(("export", _export(name, entry)) for name, entry in manifest.backends.items()),
        ("definition", manifest.definition_digest),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows if value)


def _names(definition: Definition) -> list[tuple[str, str]]:
    if not definition.names:
        return []
    return [(KINDS.module(definition.kind).NOUNS[1], f"{len(definition.names)}: {_shortened(definition.names)}")]


def _export(name: str, entry: Mapping[str, Any]) -> str:
    return f"{name} ({', '.join(entry.get('precisions', {})) or 'no precision proved'})"


def _paper(paper: str) -> str:
    return f" ({paper})" if paper else ""


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _shortened(names: tuple[str, ...], most: int = 12) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def _numbers(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    lines = [f"{prefix}{name} {value:.4g}" for name, value in values.items() if isinstance(value, float)]
    for name, value in values.items():
        if isinstance(value, Mapping) and name != "intervals":
            lines += _numbers(value, f"{prefix}{name}: " if name != "metrics" else prefix)
    return lines
