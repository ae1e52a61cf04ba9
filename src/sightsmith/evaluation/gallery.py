"""The pictures that a kind of answer selects: thumbnails and heat maps."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from sightsmith.core.images import Picture, decode
from sightsmith.core.overlay import overlay
from sightsmith.core.pages import data_uri, is_small
from sightsmith.evaluation.record import Evaluation
from sightsmith.kinds import part_of
from sightsmith.kinds.parts.sections import Piece
from sightsmith.runtime.predictor import Predictor

_SIDE = 168  # Longest side of a thumbnail, in pixels
_EACH = 12  # Pictures a gallery


class Card(NamedTuple):
    """One picture of a gallery, with its heat maps if the model gives them."""

    key: str
    said: Sequence[Piece]
    small: bool
    panels: Sequence[tuple[str, str]]  # caption and `data:` URI of each image


class Gallery(NamedTuple):
    """A titled row of pictures."""

    title: str
    explains: str
    cards: Sequence[Card]


def build(evaluation: Evaluation, predictor: Predictor, pictures: Mapping[str, Picture]) -> list[Gallery]:
    """Build the galleries; a gallery with no picture is left out.

    Args:
        predictor: answers the chosen pictures again, with every output.
        pictures: by the key of their sample.
    """
    picks = part_of(evaluation.kind, "report").picks(evaluation, _EACH)
    if not picks:
        return []
    order = np.unique(np.concatenate([pick.samples_N for pick in picks])).tolist()
    chosen = [pictures[evaluation.keys[sample]] for sample in order]
    outcomes = predictor.predict(chosen, outputs=predictor.outputs)
    cards = {
        sample: _card(evaluation, sample, picture, outcome.prediction, predictor.definition.input_settings)
        for sample, picture, outcome in zip(order, chosen, outcomes, strict=True)
        if outcome.prediction is not None
    }
    galleries = [
        Gallery(pick.title, pick.explains, [cards[sample] for sample in pick.samples_N.tolist() if sample in cards])
        for pick in picks
    ]
    return [gallery for gallery in galleries if gallery.cards]


def _card(evaluation: Evaluation, sample: int, picture: Picture, answer: Any, input_settings: Any) -> Card:
    report = part_of(evaluation.kind, "report")
    thumbnail = decode(picture, near=_SIDE)
    thumbnail.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    times = max(1, _SIDE // max(thumbnail.size))
    # A heat map is smooth: drawn at 28×28 it would look like blocks.
    enlarged = thumbnail.resize((thumbnail.width * times, thumbnail.height * times), Image.Resampling.NEAREST)
    heats = report.heats(answer, evaluation, sample, input_settings, enlarged.size)
    panels = [(caption, data_uri(overlay(enlarged, heat_HW))) for caption, heat_HW in heats]
    panels.insert(0, ("picture", data_uri(thumbnail)))
    return Card(evaluation.keys[sample], report.said(evaluation, sample), is_small(thumbnail), panels)
