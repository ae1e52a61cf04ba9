"""Choosing how training pictures are varied, from the settings and the data."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sightsmith.core.errors import SettingsError
from sightsmith.data.augment import Augmentation
from sightsmith.inputs.parts.survey import Survey
from sightsmith.training.choice import FEW, Choice
from sightsmith.training.settings import TrainSettings

_UNASKED = ("auto", "none", None, 0.0)
_VARIATIONS = ("flip", "shift", "crop_share", "rotate", "zoom", "jitter", "hue", "decolour", "erase", "mosaic", "mixup")
_OF_COLOUR = {"hue": "turns the colours of", "decolour": "takes the colour from"}
_OF_SEVERAL = ("mosaic", "mixup")
_LAST, _LAST_SHARE = 10, 0.1  # Epochs at the end in which each picture is shown by itself


def mixed_epochs(epochs: int) -> int:
    """Return in how many epochs, the first ones, several pictures may be put together.

    The net ends on pictures like those that it will see, as in Ge et al., "YOLOX", arXiv:2107.08430.
    """
    return epochs - min(max(_LAST, math.ceil(_LAST_SHARE * epochs)), epochs // 2)


def refuse_unfit(settings: TrainSettings, fitting: Sequence[str], task: str) -> None:
    """Raise SettingsError if an augmentation is asked for that does not fit the task."""
    unfit = [name for name in _asked(settings) if name not in fitting]
    if unfit:
        raise SettingsError(
            f"train: {unfit[0]}: what the task {task!r} learns from varied pictures it gives back as its answers. "
            f"Leave it out; {' and '.join(fitting)} can be given."
        )


def choose_augmentation(settings: TrainSettings, survey: Survey, *, grey: bool, small: bool) -> Choice:
    """Choose the augmentation. Raises SettingsError: one is asked for that the input or the targets have no use for."""
    if not survey.varied:
        if asked := _asked(settings):
            raise SettingsError(f"train: {asked[0]} augments pictures, and the task has another input. Leave it out.")
        return Choice(Augmentation(), "the input is no picture")
    if grey and (asked := [name for name in _OF_COLOUR if getattr(settings, name)]):
        name = asked[0]
        raise SettingsError(f"train: {name} {_OF_COLOUR[name]} pictures, and the input is grey. Leave it out.")
    _refuse_by_places(settings, placed=survey.placed)
    unvaried = settings.frozen and settings.augment == "auto"
    settings = replace(settings, augment="none") if unvaried else settings
    few = settings.augment == "auto" and small and survey.count < FEW and not survey.placed
    still = grey or survey.moving or _off(settings)
    flip = settings.flip if settings.flip != "auto" else ("none" if still else "horizontal")
    chosen = _of_things(settings, grey=grey) if survey.placed else _of_wholes(settings, survey, grey, small, few)
    given = {name: value for name in (*chosen, "erase") if (value := getattr(settings, name)) is not None}
    policy: Any = settings.augment if settings.augment in {"trivial", "rand"} else "none"
    fixed = ("auto", "uniform") if settings.frozen else ("uniform",)
    moments = survey.moving and settings.sampling not in fixed
    plan = Augmentation(policy=policy, flip=flip, moments=moments, **(chosen | given))
    if unvaried:
        return Choice(plan, "the backbone is frozen: not varied unless asked for")
    return Choice(plan, "; ".join(_reasons(settings, survey, grey=grey, small=small, few=few)))


def _off(settings: TrainSettings) -> bool:
    return settings.augment == "none"


def _refuse_by_places(settings: TrainSettings, *, placed: bool) -> None:
    """Raise SettingsError for what would lose the places of things, or needs them."""
    if placed and settings.augment in {"trivial", "rand"}:
        raise SettingsError(
            f"train: augment {settings.augment!r} turns and shears pictures, which loses the places of objects. "
            "Give --augment light, and --zoom, --shift, --jitter, --mosaic for more."
        )
    if placed and settings.rotate:
        raise SettingsError(
            f"train: rotate must be 0 for objects, got {settings.rotate:g}: the upright rectangle around a turned one "
            "is too large. Leave it out."
        )
    if not placed and (asked := [name for name in _OF_SEVERAL if getattr(settings, name)]):
        way_out = "Give --task.mixup for labels, or leave it out" if asked[0] == "mixup" else "Leave it out"
        raise SettingsError(
            f"train: {asked[0]} puts pictures together whose targets have places, such as boxes; these have none. "
            f"{way_out}."
        )


def _of_things(settings: TrainSettings, *, grey: bool) -> dict[str, float]:
    """Return the variations of pictures with things in them, whose places are known."""
    off: dict[str, float] = {"crop_share": 1.0, "mixup": 0.0, "decolour": 0.0}
    if _off(settings):
        return {**off, "shift": 0.0, "zoom": 0.0, "jitter": 0.0, "hue": 0.0, "mosaic": 0.0}
    return {**off, "shift": 0.1, "zoom": 0.5, "jitter": 0.4, "hue": 0.0 if grey else 0.015, "mosaic": 0.5}


def _of_wholes(settings: TrainSettings, survey: Survey, grey: bool, small: bool, few: bool) -> dict[str, float]:
    """Return the variations of pictures whose targets are of the picture as a whole."""
    cut = not survey.whole and not _off(settings)
    return {
        "shift": 0.1 if small and cut else 0.0,
        "crop_share": (0.5 if survey.moving else 0.25) if cut and not small else 1.0,
        "rotate": 10.0 if few else 0.0,
        "zoom": 0.2 if few and cut else 0.0,
        "jitter": 1.0 if few else 0.0,
        "hue": 0.0,
        "decolour": 0.5 if few and cut and not grey else 0.0,
    }


def _reasons(settings: TrainSettings, survey: Survey, *, grey: bool, small: bool, few: bool) -> Iterator[str]:
    if few:
        yield f"{survey.count:,} small {survey.noun}s are few"
    if survey.whole and not survey.placed and not _off(settings):
        yield "not cropped: the whole picture counts"
    if survey.placed and settings.mosaic is None and not _off(settings):
        yield "the last epochs without mosaic"
    if settings.flip != "auto" or _off(settings):
        return
    if survey.moving:
        yield "a mirrored clip moves the other way: not mirrored"
    elif grey:
        yield "grey pictures may be letters: not mirrored"
    elif not small or survey.placed:  # of small ones `mirror.py` measures it
        yield "--flip none if left and right differ"


def _asked(settings: TrainSettings) -> list[str]:
    return [name for name in ("augment", *_VARIATIONS) if getattr(settings, name) not in _UNASKED]
