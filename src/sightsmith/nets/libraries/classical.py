"""The classical line as nets: features and a head that scikit-learn fits, such as `hog_svm` or `resnet18_ridge`.

The name is that of the features (a file of `nets/features/`, or any net, whose last features are averaged), `_`, and
that of the head (a file of `nets/heads/`). Several features are joined by `+`: `hog+pixel_svm`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from torch import Tensor

from sightsmith.core.errors import SettingsError
from sightsmith.core.names import did_you_mean
from sightsmith.core.settings import from_mapping, to_mapping
from sightsmith.nets import build as nets
from sightsmith.nets.features import FEATURES
from sightsmith.nets.heads import HEADS
from sightsmith.nets.parts.checks import at_least
from sightsmith.nets.parts.classifier import ClassifierNet
from sightsmith.nets.parts.fitted import Extractor, FittedNet
from sightsmith.nets.parts.records import RANDOM_WEIGHTS, BuiltNet, NativeInput, NetInfo, describe_settings

LICENCE = "Apache-2.0"

_SHOWN = (
    "hog_svm",
    "hog_ridge",
    "hog_forest",
    "hog_tree",
    "hog_knn",
    "colour_tree",
    "lbp_svm",
    "pixel_knn",
    "rules",
    "majority",
)
_ALIASES = {"rules": "measure_rules", "majority": "measure_majority"}
_AS_THEY_ARE = NativeInput(40, 40, (0.0,) * 3, (1.0,) * 3, 1.0, "bilinear")  # features are of pixels in 0…1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    pca: int = 0
    """Directions of most variation that the features are projected on before the head; 0 for none."""

    def __post_init__(self) -> None:
        at_least("net.pca", self.pca, 0)


class NetFeatures(Extractor):
    """The last features of a net, averaged over the positions."""

    def __init__(self, net: ClassifierNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, images_NCHW: Tensor) -> Tensor:
        features = self.net.as_map(self.net.features(images_NCHW))
        return features.mean(dim=(2, 3)) if features.ndim == 4 else features.flatten(1)


def names() -> list[str]:
    """Return usual pairs, and one pair for each further kind of features and head."""
    shown = {part for name in _SHOWN for part in _ALIASES.get(name, name).split("_")}
    features = [f"{name}_ridge" for name in FEATURES.names() if name not in shown]
    return [*_SHOWN, *features, *(f"hog_{name}" for name in HEADS.names() if name not in shown)]


def knows(name: str) -> bool:
    """Tell whether a name is made of known features and a head."""
    features, _, head = _ALIASES.get(name, name).rpartition("_")
    return head in HEADS and all(one in FEATURES or (nets.knows(one) and not knows(one)) for one in features.split("+"))


def describe(name: str, *, count: bool = False) -> NetInfo:  # noqa: ARG001 -- as every library
    """Describe a net; its numbers are not counted, since they follow from the data."""
    parts = _parts(name)
    own = [setting for cls in _settings(parts).values() for setting in describe_settings(cls)]
    net = _net_among(parts)
    info = nets.describe_net(net) if net else None
    paper = "; ".join(file.PAPER for file in parts.values() if file)
    return NetInfo(
        name=name,
        library="classical",
        paper=paper if info is None else f"{info.paper}; {paper}",
        licence=LICENCE,
        settings=tuple(own),
        native=_AS_THEY_ARE if info is None else info.native,
        pretrained=() if info is None else info.pretrained,
        parameters=None,
        fitted=True,
    )


def build(
    name: str,
    settings: Mapping[str, Any],
    *,
    channels: int,
    classes: int,
    height: int,
    width: int,
    weights: str = "none",
) -> BuiltNet:
    """Build a net as `nets/build.py` does; `weights` are those of the net whose features it takes."""
    parts, sizes = _parts(name), {"channels": channels, "height": height, "width": width}
    given = _given(name, parts, settings)
    net, record = _net_among(parts), RANDOM_WEIGHTS
    native: NativeInput | None = _AS_THEY_ARE
    extractors = []
    for part, file in list(parts.items())[:-1]:
        if file is None:
            built = nets.build_net(
                part, channels=channels, classes=classes, height=height, width=width, weights=weights
            )
            record, native = replace(built.weights, new_head=True), built.native
            extractors.append(NetFeatures(cast("ClassifierNet", built.module)))  # the family without roles
        else:
            extractors.append(file.build(given[part], **sizes))
    if net is not None and len(extractors) > 1:
        raise SettingsError(
            f"{name}: computed features are of pixels in 0…1, those of {net} of its own input. Name one."
        )
    if net is None and weights != "none":
        raise SettingsError(f"{name}: its features are computed and have no weights to start from. Use --weights none.")
    name_of_head = list(parts)[-1]
    head = HEADS.module(name_of_head).build(given[name_of_head])
    module = FittedNet(extractors, head, given[""].pca, (channels, height, width))
    return BuiltNet(
        module=module,
        name=name,
        settings={key: value for one in given.values() for key, value in to_mapping(one).items()},
        paper=describe(name).paper,
        licence=LICENCE,
        weights=record,
        native=native,
        fitted=True,
        holds=" and ".join(one.HOLDS for one in (*extractors, head) if one.HOLDS),
    )


def fetch(name: str) -> Path:
    """Return the file of the published weights of the net whose features it takes."""
    net = _net_among(_parts(name))
    if net is None:
        raise SettingsError(f"{name}: its features have no weights.")
    return nets.fetch_weights(net)


def _parts(name: str) -> dict[str, ModuleType | None]:
    """Return the features' files by name, None for those of a net, and last the head's."""
    features, _, head = _ALIASES.get(name, name).rpartition("_")
    found = {one: FEATURES.module(one) if one in FEATURES else None for one in features.split("+")}
    return found | {head: HEADS.module(head)}


def _net_among(parts: Mapping[str, ModuleType | None]) -> str | None:
    return next((one for one, file in parts.items() if file is None), None)


def _given(name: str, parts: Mapping[str, ModuleType | None], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of each part by its name, and our own under an empty one."""
    classes = _settings(parts)
    known = [field.name for cls in classes.values() for field in fields(cls)]
    plain = {key.replace("-", "_"): value for key, value in raw.items()}
    if unknown := [key for key in plain if key not in known]:
        raise SettingsError(f"{name}: unknown key {unknown[0]!r}. {did_you_mean(unknown[0], known)}")
    return {
        part: from_mapping(cls, {key: plain[key] for key in plain if key in cls.__dataclass_fields__}, where=name)
        for part, cls in classes.items()
    }


def _settings(parts: Mapping[str, ModuleType | None]) -> dict[str, Any]:
    return {part: file.Settings for part, file in parts.items() if file} | {"": Settings}
