"""Choosing how training pictures are varied, from the settings and the data."""

from collections.abc import Sequence
from typing import Any

from sightsmith.core.errors import SettingsError
from sightsmith.data.augment import Augmentation
from sightsmith.inputs.parts.survey import Survey
from sightsmith.training.choice import FEW, Choice
from sightsmith.training.settings import TrainSettings

_UNASKED = ("auto", "none", None, 0.0)
_VARIATIONS = ("flip", "shift", "crop_share", "rotate", "zoom", "jitter", "decolour", "erase")


def refuse_unfit(settings: TrainSettings, fitting: Sequence[str], task: str) -> None:
    """Raise SettingsError if an augmentation is asked for that does not fit the task."""
    unfit = [name for name in _asked(settings) if name not in fitting]
    if unfit:
        raise SettingsError(
            f"train: {unfit[0]}: what the task {task!r} learns from varied pictures it gives back as its answers. "
            f"Leave it out; {' and '.join(fitting)} can be given."
        )


def choose_augmentation(settings: TrainSettings, survey: Survey, *, grey: bool, small: bool) -> Choice:
    """Choose the augmentation. Raises SettingsError: one is asked for that the input has no use for."""
    if not survey.varied:
        if asked := _asked(settings):
            raise SettingsError(f"train: {asked[0]} augments pictures, and the task has another input. Leave it out.")
        return Choice(Augmentation(), "the input is no picture")
    if grey and settings.decolour:
        raise SettingsError("train: decolour takes the colour from pictures, and the input is grey. Leave it out.")
    off, count = settings.augment == "none", survey.count
    flip = settings.flip if settings.flip != "auto" else ("none" if grey or off else "horizontal")
    few = settings.augment == "auto" and small and count < FEW
    cut = not survey.whole and not off
    chosen = {
        "shift": 0.1 if small and cut else 0.0,
        "crop_share": 0.25 if cut and not small else 1.0,
        "rotate": 10.0 if few else 0.0,
        "zoom": 0.2 if few and cut else 0.0,
        "jitter": 1.0 if few else 0.0,
        "decolour": 0.5 if few and cut and not grey else 0.0,
    }
    given = {name: value for name in (*chosen, "erase") if (value := getattr(settings, name)) is not None}
    policy: Any = settings.augment if settings.augment in {"trivial", "rand"} else "none"
    plan = Augmentation(policy=policy, flip=flip, **(chosen | given))
    reasons = [f"{count:,} small pictures are few"] if few else []
    if survey.whole and not off:
        reasons.append("not cropped: the whole picture counts")
    if settings.flip == "auto" and not off and grey:
        reasons.append("grey pictures may be letters: not mirrored")
    elif settings.flip == "auto" and not off and not small:  # of small ones `mirror.py` measures it
        reasons.append("--flip none if left and right differ")
    return Choice(plan, "; ".join(reasons))


def _asked(settings: TrainSettings) -> list[str]:
    return [name for name in ("augment", *_VARIATIONS) if getattr(settings, name) not in _UNASKED]
