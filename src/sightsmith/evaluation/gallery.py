"""The pictures worth looking at: the surest right answers, the least sure ones, and the most confident mistakes.

Shapes: N samples.
"""

import base64
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.images import Picture, decode
from sightsmith.core.overlay import overlay
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.evaluation.record import Answers
from sightsmith.evaluation.uncertainty import group_indices
from sightsmith.predictions.labels import Labels

SIDE = 168
"""Longest side of a thumbnail, in pixels."""
EACH = 12
"""Pictures a gallery."""
_SMALL = 64
"""A picture up to this side is stored as PNG and shown enlarged with hard pixels."""
_QUALITY = 82

LookAgain = Callable[[Sequence[Picture]], Iterable[Labels | None]]
"""Predicts pictures with their class maps, in order; None where one can no longer be decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One image of a card: what it shows, as a data: URI."""

    caption: str
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One picture of a gallery, with its heat maps where the model gives them."""

    key: str
    target: str
    answer: str
    score: float
    target_score: float
    right: bool
    small: bool
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """A titled row of pictures."""

    title: str
    explains: str
    cards: tuple[Card, ...]


def pick_samples(answers: Answers, each: int = EACH) -> dict[str, NDArray[np.intp]]:
    """Return which samples to show, by gallery: `wrong`, `unsure` and `best`.

    `wrong`: mistakes, most confident first. `unsure`: right answers, least confident first; both one of each group
    in turn, so that the frames of one video do not fill the row. `best`: right answers, the surest of each class in
    turn, so that one easy class does not.
    """
    scores_N, right_N = answers.scores_NT[:, 0], answers.right_N
    groups_N = np.arange(len(right_N)) if answers.groups is None else group_indices(answers.groups)
    surest_first = np.argsort(-scores_N, kind="stable")
    right = surest_first[right_N[surest_first]]
    return {
        "wrong": _in_turn(surest_first[~right_N[surest_first]], groups_N)[:each],
        "unsure": _in_turn(right[::-1], groups_N)[:each],
        "best": _in_turn(right, answers.targets_N)[:each],
    }


def build(
    answers: Answers,
    classes: Sequence[str],
    picture_of: Callable[[str], Picture],
    look_again: LookAgain,
    preprocessing: Preprocessing,
    each: int = EACH,
) -> list[Gallery]:
    """Build the galleries; a gallery with no picture is left out.

    Args:
        answers: what the model answered.
        classes: names of the classes.
        picture_of: from a sample's key to its picture.
        look_again: predicts the chosen pictures with class maps.
        preprocessing: how pictures became the net's input.
        each: pictures a gallery.
    """
    chosen = pick_samples(answers, each)
    order = np.unique(np.concatenate(list(chosen.values())))
    pictures = [picture_of(answers.keys[at]) for at in order]
    cards = {
        at: _card(answers, at, classes, picture, labels, preprocessing)
        for at, picture, labels in zip(order, pictures, look_again(pictures), strict=True)
        if labels is not None
    }
    shown = {name: tuple(cards[at] for at in samples if at in cards) for name, samples in chosen.items()}
    return [
        Gallery(title=title, explains=explains, cards=shown[name]) for name, title, explains in _TITLES if shown[name]
    ]


_TITLES = (
    (
        "wrong",
        "Most confidently wrong",
        (
            "Look here first: wrong labels, classes that look alike, or a model that looks at the wrong place. "
            "The heat maps show what speaks for the answer given and for the right one."
        ),
    ),
    ("unsure", "Right, but least sure", "One step from a mistake."),
    ("best", "Right and surest", "The surest of each class in turn: what the model takes the class to be."),
)


def _card(
    answers: Answers, at: int, classes: Sequence[str], picture: Picture, labels: Labels, preprocessing: Preprocessing
) -> Card:
    target, answer = int(answers.targets_N[at]), int(answers.predicted_N[at])
    thumbnail = decode(picture, near=SIDE)
    thumbnail.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    panels = [Panel(caption="picture", uri=data_uri(thumbnail))]
    if labels.class_map_Khw is not None:
        enlarged = _enlarge(thumbnail)  # a heat map is smooth: drawn at 28×28 it would look like blocks
        for index in dict.fromkeys((answer, target)):
            heat_HW = labels.heat(index, preprocessing, enlarged.size)
            panels.append(Panel(caption=classes[index], uri=data_uri(overlay(enlarged, heat_HW))))
    return Card(
        key=answers.keys[at],
        target=classes[target],
        answer=classes[answer],
        score=float(answers.scores_NT[at, 0]),
        target_score=float(answers.target_scores_N[at]),
        right=target == answer,
        small=_is_small(thumbnail),
        panels=tuple(panels),
    )


def data_uri(image: Image.Image) -> str:
    """Return an image as a `data:` URI: PNG where it is small, else JPEG."""
    kind, options = ("PNG", {"optimize": True}) if _is_small(image) else ("JPEG", {"quality": _QUALITY})
    file = io.BytesIO()
    image.save(file, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def _is_small(image: Image.Image) -> bool:
    return max(image.size) <= _SMALL


def _enlarge(image: Image.Image) -> Image.Image:
    times = max(1, SIDE // max(image.size))
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)


def _in_turn(samples: NDArray[np.intp], kinds_N: NDArray[np.integer]) -> NDArray[np.intp]:
    """Reorder so that the first of each kind come first, then the second of each, and so on."""
    seen: dict[int, int] = {}
    turn = np.empty(len(samples), dtype=int)
    for place, kind in enumerate(kinds_N[samples].tolist()):
        turn[place] = seen.get(kind, 0)
        seen[kind] = turn[place] + 1
    return samples[np.argsort(turn, kind="stable")]
