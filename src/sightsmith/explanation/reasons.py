"""Why a model gave its answer, in words and as a drawing, for nets that can be read."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.bundle.own_data import open_own
from sightsmith.core.errors import DataError, SightsmithError
from sightsmith.core.images import Picture, decode
from sightsmith.explanation.drawing import Drawing, draw_neighbours, draw_path
from sightsmith.explanation.subject import Subject
from sightsmith.inputs.picture import PIXELS
from sightsmith.nets.parts.reason import Neighbour

_SAME = 0.01
"""Largest distance between the features of a training picture then and now, by their length: rounding and other
versions of a decoder stay far below it, another picture is far above."""


def explain_reason(
    subject: Subject, picture: Picture, pixels: NDArray[np.uint8], answer: str
) -> tuple[tuple[str, ...], Drawing | None]:
    """Return sentences and a drawing; nothing for nets that cannot be read, or without PyTorch.

    The bundle holds the features of the training pictures only; they are shown if the training data is still there.
    """
    reason = subject.reason(pixels)
    if reason is None:
        return (), None
    if not reason.neighbours:
        return reason.sentences, draw_path(reason, decode(picture)) if reason.answer else None
    try:
        pictures = _find(subject, reason.neighbours)
    except SightsmithError as error:
        place = subject.bundle.manifest.data.get("location")
        way_out = f" Put the training data back at {place!r} to see them." if place else ""
        return (*reason.sentences, f"They cannot be shown. {error}{way_out}"), None
    return reason.sentences, draw_neighbours(reason.neighbours, pictures, decode(picture), answer)


def _find(subject: Subject, neighbours: Sequence[Neighbour]) -> list[Image.Image]:
    """Return training pictures, each recognised by its features.

    Raises SightsmithError: the data is gone, or one of them is missing, cannot be decoded or has changed.
    """
    source = open_own(subject.bundle)
    samples = {sample.key: sample for sample in source.samples}
    pictures = []
    for one in neighbours:
        if one.key not in samples:
            raise DataError(f"{source.location}: {one.key} is missing.")
        picture = samples[one.key].item
        features_D = subject.net.measured(subject.runner.feeds(picture)[PIXELS])
        if np.linalg.norm(features_D - one.features_D) > _SAME * (np.linalg.norm(one.features_D) + _SAME):
            raise DataError(f"{source.location}: {one.key} is another picture than in the training.")
        pictures.append(decode(picture))
    return pictures
