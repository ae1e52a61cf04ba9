"""The pictures that a kind of answer selects: thumbnails and heat maps."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from sightsmith.core.images import Picture, decode
from sightsmith.core.overlay import overlay
from sightsmith.core.pages import data_uri, is_small
from sightsmith.evaluation.record import Evaluation
from sightsmith.kinds import part_of
from sightsmith.kinds.parts.sections import Piece

SIDE = 168  # Longest side of a thumbnail, in pixels
EACH = 12  # Pictures a gallery

LookAgain = Callable[[Sequence[Picture]], Iterable[Any]]
"""Answers pictures with every output, in order; None if one can no longer be decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One image of a card, as a data: URI."""

    caption: str
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One picture of a gallery, with its heat maps if the model gives them."""

    key: str
    said: Sequence[Piece]
    small: bool
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """A titled row of pictures."""

    title: str
    explains: str
    cards: tuple[Card, ...]


def build(
    evaluation: Evaluation,
    picture_of: Callable[[str], Picture],
    look_again: LookAgain,
    input_settings: Any,
    each: int = EACH,
) -> list[Gallery]:
    """Build the galleries; a gallery with no picture is left out.

    Args:
        picture_of: from a sample's key to its picture.
        look_again: answers the chosen pictures with every output.
        input_settings: how pictures became the net's input.
    """
    picks = part_of(evaluation.kind, "report").picks(evaluation, each)
    order = np.unique(np.concatenate([pick.samples_N for pick in picks])).tolist()
    pictures = [picture_of(evaluation.keys[sample]) for sample in order]
    cards = {
        sample: _card(evaluation, sample, picture, answer, input_settings)
        for sample, picture, answer in zip(order, pictures, look_again(pictures), strict=True)
        if answer is not None
    }
    galleries = [
        Gallery(
            title=pick.title,
            explains=pick.explains,
            cards=tuple(cards[sample] for sample in pick.samples_N.tolist() if sample in cards),
        )
        for pick in picks
    ]
    return [gallery for gallery in galleries if gallery.cards]


def _card(evaluation: Evaluation, sample: int, picture: Picture, answer: Any, input_settings: Any) -> Card:
    report = part_of(evaluation.kind, "report")
    thumbnail = decode(picture, near=SIDE)
    thumbnail.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    panels = [Panel(caption="picture", uri=data_uri(thumbnail))]
    enlarged = _enlarge(thumbnail)  # a heat map is smooth: drawn at 28×28 it would look like blocks
    for caption, heat_HW in report.heats(answer, evaluation, sample, input_settings, enlarged.size):
        panels.append(Panel(caption=caption, uri=data_uri(overlay(enlarged, heat_HW))))
    return Card(
        key=evaluation.keys[sample],
        said=report.said(evaluation, sample),
        small=is_small(thumbnail),
        panels=tuple(panels),
    )


def _enlarge(image: Image.Image) -> Image.Image:
    times = max(1, SIDE // max(image.size))
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
