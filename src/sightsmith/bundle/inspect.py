"""The text of `inspect`."""

from collections.abc import Mapping
from typing import Any

from sightsmith.bundle.store import Bundle
from sightsmith.core.counts import many
from sightsmith.core.images import printable
from sightsmith.inputs import INPUTS
from sightsmith.kinds import KINDS

_NAMES = 12  # How many names are shown
_DATA = ("location", "format", "licence")


def inspect_text(bundle: Bundle) -> str:
    """Return the facts of a bundle: net, names, input, metrics, exports, files and their size."""
    manifest, definition, net = bundle.manifest, bundle.manifest.definition, bundle.manifest.net
    files = [bundle.folder / name for name in manifest.files]
    sizes = [file.stat().st_size for file in files if file.is_file()]
    missing = f", {len(files) - len(sizes)} of them missing" if len(sizes) < len(files) else ""
    count = f"{many(len(files), 'file')}{missing}, {sum(sizes) / 2**20:.1f} MiB"
    names = f"{len(definition.names)}: {', '.join(definition.names[:_NAMES])}"
    more = ", …" if len(definition.names) > _NAMES else ""
    exported = {name: ", ".join(entry.get("precisions", {})) for name, entry in manifest.backends.items()}
    rows = [
        ("bundle", f"{printable(str(bundle.path))} ({count}, schema {manifest.schema})"),
        ("made", f"{manifest.created}, Sightsmith {manifest.versions.get('sightsmith', 'unknown')}"),
        ("task", manifest.task.name),
        ("net", f"{net.name} ({net.paper})" if net.paper else net.name),
        ("holds", net.holds),
        ("weights from", ", ".join(filter(None, (net.weights.origin, net.weights.licence)))),
        ("input", INPUTS.module(definition.input).describe(definition.input_settings)),
        (KINDS.module(definition.kind).NOUNS[1], names + more if definition.names else ""),
        ("outputs", ", ".join(definition.outputs)),
        *((name, f"{value:.4g}") for name, value in definition.fitted().items()),
        ("data", ", ".join(str(manifest.data[key]) for key in _DATA if manifest.data.get(key))),
        *(("metrics", line) for line in _numbers(manifest.metrics)),
        *(("export", f"{name} ({precisions or 'no precision proved'})") for name, precisions in exported.items()),
        ("definition", manifest.definition_digest),
    ]
    shown = [(name, value) for name, value in rows if value]
    width = max(len(name) for name, _ in shown)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in shown)


def _numbers(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    lines = [f"{prefix}{name} {value:.4g}" for name, value in values.items() if isinstance(value, float)]
    for name, value in values.items():
        if isinstance(value, Mapping) and name != "intervals":
            lines += _numbers(value, f"{prefix}{name}: " if name != "metrics" else prefix)
    return lines
