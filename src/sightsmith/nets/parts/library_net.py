"""The shared parts of the adaptors of libraries: counting parameters, and starting a net from its first weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sightsmith.core.settings import to_mapping
from sightsmith.nets.parts.headed import HeadedNet
from sightsmith.nets.parts.records import RANDOM_WEIGHTS, BuiltNet, NetInfo
from sightsmith.nets.parts.weights import Adapt, load_weights


def parameter_count(make: Callable[[], nn.Module]) -> int:
    """Return how many parameters a net has, which is made without memory for them."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in make().parameters())


def with_weights(
    module: HeadedNet,
    info: NetInfo,
    settings: Any,
    weights: str,
    fetch: Callable[[str], Path],
    adapt: Adapt | None = None,
) -> BuiltNet:
    """Return a net with its facts, started from random numbers, published weights or a file as `nets/build.py` says.

    Args:
        fetch: returns the file of the published weights of a net by its name.
        adapt: as of `load_weights`, which says what is raised.
    """
    record = RANDOM_WEIGHTS
    if weights != "none":
        path = fetch(info.name) if weights == "pretrained" else Path(weights)
        record = load_weights(module, path, net=info.name, adapt=adapt)
    if weights == "pretrained":
        origin, licence = info.pretrained[0]
        record = replace(record, origin=origin, licence=licence)
    return BuiltNet(
        module=module,
        name=info.name,
        settings=to_mapping(settings),
        paper=info.paper,
        licence=info.licence,
        weights=record,
        native=info.native,
    )
