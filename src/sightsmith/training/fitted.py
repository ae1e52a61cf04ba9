"""Other nets beside the trained one: the settings that each takes, and when one is tried too."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from sightsmith.core.errors import SettingsError
from sightsmith.inputs.parts.survey import Survey
from sightsmith.nets.build import describe_net
from sightsmith.training.choice import FEW, SMALL, Choice, is_open
from sightsmith.training.settings import TrainSettings

_NOT_FITTED = (
    *("epochs", "epoch_share", "minutes", "optimizer", "lr", "weight_decay", "momentum", "nesterov", "schedule"),
    *("warmup_epochs", "augment", "flip", "shift", "crop_share", "rotate", "zoom", "jitter", "hue"),
    *("decolour", "erase", "mosaic", "mixup"),
    *("ema", "clip", "head_scale", "accumulate", "freeze_epochs", "patience", "balanced"),
)
_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(TrainSettings)}


def _descent_given(settings: TrainSettings) -> list[str]:
    """Return which settings that only gradient descent follows are not at their defaults."""
    return [name for name in _NOT_FITTED if getattr(settings, name) != _DEFAULTS[name]]


def as_fitted(settings: TrainSettings, net: str) -> TrainSettings:
    """Return the settings for a net that is fitted in one step.

    Raises SettingsError: one is given that it has no use for.
    """
    asked = _descent_given(settings)
    if settings.precision == "bf16":
        asked.append("precision")  # thresholds and distances lose their meaning in 8 bits
    if settings.contrast == "picture":
        asked.append("contrast")  # computed features are of pixels in 0…1
    if asked:
        raise SettingsError(f"train: {net} is fitted in one step, in fp32, and takes no {asked[0]}. Leave it out.")
    return replace(settings, epochs=1, augment="none", flip="none", precision="fp32")


def beside(settings: TrainSettings, net: str, out: Path) -> TrainSettings:
    """Return the settings of another net for the same data, split alike.

    A net that learns by gradient descent takes those of the first net, and of its `net.*` those that it has too: one of
    clips describes the frames by the same backbone. First weights of a named net without such settings are not for it.
    """
    info = describe_net(net)
    if not info.fitted:
        known = {one.name for one in info.settings}
        own = {name: value for name, value in settings.net.items() if name in known}
        alone = not is_open(settings.model) and known.isdisjoint(
            one.name for one in describe_net(settings.model).settings
        )
        weights = "auto" if alone else settings.weights
        return replace(settings, model=net, net=own, weights=weights, baselines=False, out=out)
    open_again: dict[str, Any] = {
        name: _DEFAULTS[name] for name in (*_NOT_FITTED, "weights", "precision", "contrast", "logger", "baselines")
    }
    return replace(
        settings,
        **open_again,
        model=net,
        net={},
        task={name: settings.task[name] for name in ("name",) if name in settings.task},
        size=None if (settings.size or 0) > SMALL else settings.size,
        out=out,
        resume=False,
    )


def alike_time(settings: TrainSettings) -> str:
    """Return in words how long two nets take that are trained alike."""
    return "sharing the minutes" if settings.minutes else "so about twice the time"


def also_try(settings: TrainSettings, survey: Survey, other: str | None, *, pretrained: bool) -> Choice:
    """Choose the net that is tried too, if the first one was not named.

    One that is fitted in one step is for few pictures, and unless anything was said about the net or its training. One
    that learns by gradient descent follows the same settings; `--no-baselines` turns it off.
    """
    if other is None or settings.model != "auto":
        return Choice(None, "")
    if not describe_net(other).fitted:
        if settings.baselines is False:
            return Choice(None, "")
        return Choice(other, f"trained alike, {alike_time(settings)}; the better one on validation is kept")
    said = (
        settings.net or settings.task or settings.baselines or _descent_given(settings),
        settings.contrast != "auto" or settings.precision == "bf16" or settings.logger != "csv",
        (settings.size or 0) > SMALL,  # computed features take fewer pixels than that
    )
    if pretrained or any(said) or survey.count >= FEW:
        return Choice(None, "")
    return Choice(other, f"{survey.count:,} {survey.noun}s are few; the better one on validation is kept")
