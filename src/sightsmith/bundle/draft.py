"""What training hands over to be written as a bundle."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sightsmith.bundle.manifest import Manifest, definition_digest, plain
from sightsmith.bundle.witnesses import Witnesses
from sightsmith.core.errors import BundleError
from sightsmith.core.preprocessing import Preprocessing

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
    """Everything that `write_bundle` needs; the fields mean what they mean in the manifest."""

    name: str
    task: Mapping[str, Any]
    """`name` and `settings`."""
    net: Mapping[str, Any]
    """`name`, `settings`, `paper`, `licence`, and what else is worth knowing, such as `parameters`."""
    weights_record: Mapping[str, Any]
    """`origin`, `licence` and `sha256` of the weights that training started from."""
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    kind: str
    outputs: tuple[str, ...]
    weights: Mapping[str, NDArray[Any]]
    """The net's parameters and buffers by name."""
    witnesses: Witnesses
    """Real inputs and what the trained net, in fp32, gave for them, every output."""
    splits: Mapping[str, Any]
    """What `Splits.to_json` gave."""
    temperature: float = 1.0
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    versions: Mapping[str, str] = field(default_factory=versions)
    files: Mapping[str, bytes | str | Path] = field(default_factory=dict)
    """Further files by path relative to the bundle, such as `report/gate.html`."""

    def check(self) -> None:
        """Check that the parts fit each other.

        Raises:
            BundleError: they do not; the message says which.
        """
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise BundleError(f"{self.name}: a bundle needs class names, each once; got {len(self.classes)} of them")
        if not self.temperature > 0:
            raise BundleError(f"{self.name}: temperature must be > 0, got {self.temperature!r}")
        if self.witnesses.pixels_NHWC.shape[1:] != self.preprocessing.shape:
            raise BundleError(
                f"{self.name}: the witnesses have inputs of {self.witnesses.pixels_NHWC.shape[1:]}, "
                f"preprocessing makes {self.preprocessing.shape}"
            )
        if set(self.witnesses.outputs) != set(self.outputs):
            raise BundleError(
                f"{self.name}: the witnesses must have the outputs {', '.join(self.outputs)}, "
                f"got {', '.join(self.witnesses.outputs) or 'none'}"
            )

    def manifest(self) -> Manifest:
        """Return the manifest, its list of files still empty."""
        return Manifest(
            name=self.name,
            created=self.created,
            task=plain(self.task),
            net=plain(self.net),
            weights=plain(self.weights_record),
            preprocessing=self.preprocessing,
            classes=self.classes,
            kind=self.kind,
            outputs=self.outputs,
            temperature=float(self.temperature),
            definition=definition_digest(
                self.preprocessing, self.classes, self.kind, self.outputs, float(self.temperature)
            ),
            data=plain(self.data),
            metrics=plain(self.metrics),
            training=plain(self.training),
            versions=plain(self.versions),
        )
