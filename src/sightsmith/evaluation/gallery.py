"""The pictures that a kind of answer selects: thumbnails and heat maps, or the truth and the answer drawn."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from sightsmith.bundle.definition import Definition
from sightsmith.core.images import Picture
from sightsmith.core.overlay import overlay
from sightsmith.core.pages import data_uri, is_small
from sightsmith.evaluation.record import Evaluation
from sightsmith.inputs import INPUTS, items_of
from sightsmith.kinds import part_of
from sightsmith.kinds.parts.sections import Pick, Piece
from sightsmith.kinds.parts.shapes import draw
from sightsmith.runtime.predictor import Predictor

_SIDE = 168  # Longest side of a thumbnail, in pixels
_DRAWN = 400  # That of a picture with a drawing over it, and of a sheet of several
_EACH = 12  # Pictures a gallery
_EACH_DRAWN = 6


class Card(NamedTuple):
    """One picture of a gallery, with its heat maps or drawings if there are any."""

    key: str
    said: Sequence[Piece]
    small: bool
    panels: Sequence[tuple[str, str]]  # caption and `data:` URI of each image


class Gallery(NamedTuple):
    """A titled row of pictures."""

    title: str
    explains: str
    cards: Sequence[Card]
    wide: bool = False  # whether its panels need space


def build(evaluation: Evaluation, predictor: Predictor, pictures: Mapping[str, Picture]) -> list[Gallery]:
    """Build the galleries; a gallery with no picture is left out.

    Args:
        predictor: answers the chosen pictures again, with every output.
        pictures: by the key of their sample.
    """
    report = part_of(evaluation.kind, "report")
    wide = hasattr(report, "drawn")
    picks = report.picks(evaluation, _EACH_DRAWN if wide else _EACH)
    if not picks:
        return []
    order = np.unique(np.concatenate([pick.samples_N for pick in picks])).tolist()
    chosen = {sample: pictures[evaluation.keys[sample]] for sample in order}
    cards = _drawn_cards(evaluation, chosen) if wide else _cards(evaluation, predictor, chosen)
    galleries = [
        _gallery(pick, [cards[at] for at in pick.samples_N.tolist() if at in cards], wide=wide) for pick in picks
    ]
    return [gallery for gallery in galleries if gallery.cards]


def _gallery(pick: Pick, cards: Sequence[Card], *, wide: bool) -> Gallery:
    drawn = any(len(card.panels) > 1 for card in cards)
    return Gallery(pick.title, f"{pick.explains} {pick.heats}".strip() if drawn else pick.explains, cards, wide)


def _drawn_cards(evaluation: Evaluation, chosen: Mapping[int, Picture]) -> dict[int, Card]:
    """Return the card of each chosen sample, with the truth and the answer, which are known, over its picture."""
    report = part_of(evaluation.kind, "report")
    return {
        sample: Card(
            evaluation.keys[sample],
            report.said(evaluation, sample),
            False,
            [
                (caption, data_uri(draw(picture, shapes, most=_DRAWN)))
                for caption, shapes in report.drawn(evaluation, sample)
            ],
        )
        for sample, picture in chosen.items()
    }


def _cards(evaluation: Evaluation, predictor: Predictor, chosen: Mapping[int, Picture]) -> dict[int, Card]:
    """Return the card of each chosen sample that the model answers again."""
    outcomes = predictor.predict([*chosen.values()], outputs=predictor.outputs)
    return {
        sample: _card(evaluation, sample, picture, outcome.prediction, predictor.definition)
        for (sample, picture), outcome in zip(chosen.items(), outcomes, strict=True)
        if outcome.prediction is not None
    }


def _card(evaluation: Evaluation, sample: int, picture: Picture, answer: Any, definition: Definition) -> Card:
    report = part_of(evaluation.kind, "report")
    source = INPUTS.module(items_of(definition.input))
    side = _DRAWN if getattr(source, "SHEET", False) else _SIDE
    thumbnail = source.face(picture, near=side)
    thumbnail.thumbnail((side, side), Image.Resampling.LANCZOS)
    times = max(1, side // max(thumbnail.size))
    # A heat map is smooth: drawn at 28×28 it would look like blocks.
    enlarged = thumbnail.resize((thumbnail.width * times, thumbnail.height * times), Image.Resampling.NEAREST)
    heats = report.heats(answer, evaluation, sample, definition.input_settings, enlarged.size)
    panels = [(f"heat: {caption}", data_uri(overlay(enlarged, heat_HW))) for caption, heat_HW in heats]
    panels.insert(0, (source.NOUNS[0], data_uri(thumbnail)))
    return Card(evaluation.keys[sample], report.said(evaluation, sample), is_small(thumbnail), panels)
