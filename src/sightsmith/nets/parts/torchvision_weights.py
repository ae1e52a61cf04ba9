"""The published weights of torchvision's nets: their names, and their files.

Library: https://github.com/pytorch/vision, BSD-3-Clause; it names no licence for the weights.
"""

from pathlib import Path

from torchvision.models import WeightsEnum, get_model_weights

from sightsmith.nets.parts.downloads import CANNOT_FETCH, cannot_fetch, from_url

LICENCE = "BSD-3-Clause"
WEIGHTS_LICENCE = "not stated"


def published(name: str) -> WeightsEnum:
    """Return the record of the published weights that torchvision recommends for a net."""
    weights: WeightsEnum = get_model_weights(name).DEFAULT
    return weights


def origin(name: str) -> str:
    return f"torchvision/{name}.{published(name).name.lower()}"


def fetch(name: str) -> Path:
    """Return the file of a net's published weights as `nets/build.py` does."""
    url = published(name).url
    try:
        return from_url(url)
    except CANNOT_FETCH as error:
        raise cannot_fetch(name, url, error) from error
