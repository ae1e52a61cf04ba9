"""The content of a bundle before it is written."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sightsmith.bundle.definition import Definition
from sightsmith.bundle.manifest import Manifest, NetRecord, TaskRecord, plain
from sightsmith.bundle.witnesses import Witnesses
from sightsmith.core.errors import BundleError, SettingsError
from sightsmith.core.ports import check_feeds

_PACKAGES = ("sightsmith", "numpy", "pillow", "torch", "torchvision", "lightning", "timm")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a model's answers depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BundleDraft:
    """Everything that `write_bundle` needs; fields as in the manifest."""

    name: str
    task: TaskRecord
    nets: dict[str, NetRecord]
    definition: Definition
    weights: Mapping[str, Mapping[str, NDArray[Any]]]  # The parameters and buffers of each net by name, by role
    witnesses: Witnesses  # Real inputs with every output of the trained nets in fp32
    splits: Mapping[str, Any]  # From `Splits.to_json`
    papers: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    versions: Mapping[str, str] = field(default_factory=versions)
    files: Mapping[str, bytes | str | Path] = field(default_factory=dict)
    """Further files by path relative to the bundle, such as `report/gate.html`."""

    def check(self) -> None:
        """Check that the parts are consistent. Raises BundleError: they are not; the message says which."""
        names = self.definition.names
        if len(set(names)) < len(names) or "" in names:
            raise BundleError(f"{self.name}: a bundle needs names that are not empty, each once; got {len(names)}")
        if self.nets.keys() != self.weights.keys() or not self.nets:
            raise BundleError(f"{self.name}: every net needs its weights; got {', '.join(self.weights) or 'none'}")
        try:
            check_feeds(self.definition.graph.inputs, self.witnesses.inputs)
        except SettingsError as error:
            raise BundleError(f"{self.name}: the witnesses are no input of the graph: {error}") from error
        if set(self.witnesses.outputs) != set(self.definition.outputs):
            raise BundleError(
                f"{self.name}: the witnesses must have the outputs {', '.join(self.definition.outputs)}, "
                f"got {', '.join(self.witnesses.outputs) or 'none'}"
            )

    def manifest(self) -> Manifest:
        """Return the manifest, its list of files still empty."""
        return Manifest(
            name=self.name,
            created=self.created,
            task=self.task,
            nets=self.nets,
            definition=self.definition,
            definition_digest=self.definition.digest(),
            papers=plain(self.papers),
            data=plain(self.data),
            metrics=plain(self.metrics),
            training=plain(self.training),
            versions=plain(self.versions),
        )
