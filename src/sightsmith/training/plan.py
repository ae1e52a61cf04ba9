"""Choosing unset settings from the data and the machine; every choice has a reason.

A given setting is never replaced: an absent GPU is an error.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from sightsmith.bundle.location import MANIFEST
from sightsmith.bundle.manifest import Manifest
from sightsmith.core.counts import many
from sightsmith.core.errors import BundleError, DataError, SettingsError
from sightsmith.core.machine import Machine
from sightsmith.core.names import did_you_mean
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.inputs.parts.survey import Survey, Wanted
from sightsmith.nets.build import describe_net, fetch_weights, published_net, usual_picture_net
from sightsmith.nets.parts.records import NativeInput, NetInfo
from sightsmith.training.augmenting import choose_augmentation
from sightsmith.training.choice import FEW, SMALL, Choice, given, is_open
from sightsmith.training.fitted import also_try, as_fitted
from sightsmith.training.settings import TrainSettings

_COMPUTED = 40  # Largest side for computed features; more pixels cost time and gave no better answers
_LARGE_SIDE = 224
_CLIP_SIDE = 112  # Each clip has as many pixels as several pictures
_STEP = 4  # Sizes of small inputs are multiples of this
_LEAST = 16

Tell = Callable[[str], None]  # Prints a line for people; does nothing if training is quiet
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every value that was open in the settings, resolved."""

    model: Choice
    also_try: Choice  # another net; the one with the better validation is kept
    weights: Choice
    size: Choice
    colour: Choice
    contrast: Choice
    resize: Choice
    frames: Choice  # of a clip; None for pictures, as the two below
    sampling: Choice
    spacing: Choice
    device: Choice
    precision: Choice
    channels_last: Choice
    fused: Choice
    workers: Choice
    cache: Choice
    batch_size: Choice
    epochs: Choice
    epoch_share: Choice  # of the training pictures that an epoch shows
    lr: Choice
    weight_decay: Choice
    warmup_epochs: Choice
    schedule: Choice
    clip: Choice
    ema: Choice
    augment: Choice
    head_scale: Choice

    def to_json(self) -> dict[str, Any]:
        """Return each value with its reason, as plain JSON."""
        choices = {name: {"value": choice.value, "why": choice.why} for name, choice in self._choices().items()}
        choices["augment"]["value"] = asdict(self.augment.value)
        return choices

    def to_text(self) -> str:
        """Return the short table that is printed when training starts."""
        rows = {name.replace("_", " "): one for name, one in self._choices().items() if one.value is not None}
        width = max(map(len, rows))
        return "\n".join(f"  {name:<{width}}  {choice}" for name, choice in rows.items())

    def autocast(self) -> torch.autocast:
        """Return its precision as a context, for work outside of Lightning's Trainer."""
        kind = self.device.value.partition(":")[0]
        return torch.autocast(kind, torch.bfloat16, enabled=self.precision.value == "bf16")

    def _choices(self) -> dict[str, Choice]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def choose_within_reach(
    settings: TrainSettings,
    survey: Survey,
    machine: Machine,
    tell: Tell,
    other: str | None = None,
    usual: Mapping[str, Any] = _NOTHING,
) -> Plan:
    """As `choose`, but with random weights, and a warning, if the default published ones cannot be fetched."""
    plan = choose(settings, survey, machine, other, usual)
    if settings.weights != "auto" or plan.weights.value == "none":
        return plan
    try:
        fetch_weights(published_net(plan.model.value, settings.net, plan.size.value).name)
    except DataError as error:
        tell(f"warning: {error} They were not asked for, so this training starts from random weights.")
        plan = choose(replace(settings, weights="none"), survey, machine, other, usual)
        return replace(plan, weights=Choice("none", "the published ones cannot be fetched"))
    return plan


def choose(
    settings: TrainSettings,
    survey: Survey,
    machine: Machine,
    other: str | None = None,
    usual: Mapping[str, Any] = _NOTHING,
) -> Plan:
    """Resolve open settings.

    Args:
        other: the net that the task also tries, None for none.
        usual: what the task chooses for open settings, by name; what the net chooses comes before it.

    Raises SettingsError: a device that is absent, an unknown net, or weights that it does not have.
    """
    asked = settings.model
    model = (
        given(settings.model)
        or given(usual.get("model"))
        or Choice(usual_picture_net(survey.side), f"the median shorter side is {survey.side} pixels")
    )
    info = describe_net(model.value)
    if info.fitted:
        settings = as_fitted(settings, info.name)
    published = published_net(info.name, settings.net, settings.size or survey.side)
    weights = given(settings.weights) or _weights(published)
    pretrained = weights.value != "none"
    recipe = {name: one for name, one in _recipe(usual, info, weights.value).items() if _wanted(settings, name)}
    settings = replace(settings, **{name: one.value for name, one in recipe.items()})
    size = given(settings.size) or _size(survey, info)
    small = size.value <= SMALL
    device = _device(settings.device)
    batch = given(settings.batch_size) or _batch(survey, size.value, device.value)
    if survey.moving and is_open(settings.batch_size):
        batch = Choice(min(batch.value, _CLIPS), "clips have many frames")
    fed = _fed_with(weights.value, info, published) if pretrained else None
    colour = given(settings.colour) or _colour(survey, fed)
    grey = colour.value == "grey"
    epochs = given(settings.epochs) or _epochs(
        survey, settings.fewest_epochs, pretrained=pretrained, small=small, grey=grey
    )
    if survey.placed:
        fitted_by = Choice("letterbox", "objects keep their shape")
    else:
        fitted_by = Choice("squash", "the whole picture counts") if survey.whole else Choice("crop", "")
    plan = Plan(
        model=model,
        also_try=also_try(replace(settings, model=asked), survey, other, pretrained=pretrained),
        weights=weights,
        size=size,
        colour=colour,
        contrast=given(settings.contrast) or _contrast(survey, info, fed, random=not pretrained, small=small),
        resize=given(settings.resize) or fitted_by,
        **_moments(settings, survey),
        device=device,
        precision=given(settings.precision) or Choice(*best_precision(device.value, machine)),
        channels_last=Choice(device.value != "mps", "the layout that convolutions are fastest in"),
        fused=Choice(device.value != "mps", "one pass over the weights"),
        workers=given(settings.workers) or _workers(survey, machine, device.value),
        cache=_cache(settings, survey),
        batch_size=batch,
        epochs=epochs,
        epoch_share=Choice(
            settings.epoch_share, f"each {survey.noun} once" if settings.epoch_share == 1 else "asked for"
        ),
        lr=given(settings.lr) or _lr(settings.optimizer, batch.value * settings.accumulate, pretrained=pretrained),
        weight_decay=given(settings.weight_decay) or Choice(0.05 if settings.optimizer == "adamw" else 5e-4, ""),
        warmup_epochs=given(settings.warmup_epochs) or Choice(0.0, _SHARE_OF_EPOCHS),
        schedule=given(settings.schedule) or Choice("cosine", ""),
        clip=given(settings.clip) or Choice(1.0, ""),
        ema=given(settings.ema) or Choice(0.999, ""),
        augment=choose_augmentation(settings, survey, grey=grey, small=small),
        head_scale=given(settings.head_scale) or (Choice(10.0, NEW_HEAD) if pretrained else Choice(1.0, "")),
    )
    if info.fitted:
        return replace(plan, **dict.fromkeys(_OF_DESCENT, Choice(None, "")))
    plan = replace(plan, **{name: one for name, one in recipe.items() if getattr(plan, name, None) == given(one.value)})
    return plan if settings.minutes else paced(plan, plan.epochs)


def _recipe(usual: Mapping[str, Any], info: NetInfo, weights: str) -> dict[str, Choice]:
    """Return what a task (`usual`) and a net choose for open settings, each with its reason."""
    recipe = {name: Choice(value, "usual for the task") for name, value in usual.items()}
    if weights == "pretrained":  # a task's choices are for random weights
        recipe.pop("epochs", None)
        if info.native is not None and info.native.height < usual.get("size", 0):
            del recipe["size"]
    recipe |= {name: Choice(value, f"usual for {info.name}") for name, value in info.recipe.items()}
    if weights != "none":
        recipe |= {name: Choice(one, f"usual for trained {info.name}") for name, one in info.fine_tuning.items()}
    return recipe


def _wanted(settings: TrainSettings, name: str) -> bool:
    """Tell whether a setting is left to be chosen by its value in a recipe, whose learning rate is that of AdamW."""
    elsewhere = {"epochs": settings.minutes is not None, "lr": settings.optimizer != "adamw"}
    return is_open(getattr(settings, name)) and not elsewhere.get(name, False)


def paced(plan: Plan, epochs: Choice) -> Plan:
    """Return the plan with a number of epochs, and the warm-up that goes with it.

    Raises SettingsError: the warm-up that was asked for is longer.
    """
    warmup = plan.warmup_epochs
    if warmup.why == _SHARE_OF_EPOCHS:
        share = _WARMUP["flat" if plan.schedule.value == "flat" else "cosine"]
        warmup = Choice(min(_LONGEST_WARMUP, epochs.value * share), f"{share:.0%} of the epochs")
    if warmup.value > epochs.value:
        raise SettingsError(
            f"train: warmup_epochs must be at most the epochs ({epochs.value}), got {warmup.value!r}: the "
            "learning rate would never reach its peak."
        )
    return replace(plan, epochs=epochs, warmup_epochs=warmup)


NEW_HEAD = "a new head on trained weights"  # Why the head learns faster
_SHARE_OF_EPOCHS = "a share of the epochs"
_WARMUP, _LONGEST_WARMUP = {"cosine": 0.1, "flat": 0.03}, 5.0  # By schedule, and in epochs
_OF_DESCENT = (
    *("epoch_share", "lr", "weight_decay", "warmup_epochs", "schedule", "clip", "ema", "head_scale", "fused"),
)


def wanted_input(plan: Plan, net: Mapping[str, Any] = _NOTHING) -> Wanted:
    """Return the input that the plan asks for, with the net's settings `net`."""
    published = published_net(plan.model.value, net, plan.size.value)
    like = _fed_with(plan.weights.value, describe_net(plan.model.value), published)
    if isinstance(like, NativeInput):
        like = Preprocessing(
            height=like.height,
            width=like.width,
            colour="rgb" if len(like.mean) == 3 else "grey",
            mean=like.mean,
            std=like.std,
            crop_fraction=like.crop_fraction,
            interpolation="bicubic" if like.interpolation == "bicubic" else "bilinear",
        )
    return Wanted(
        side=plan.size.value,
        colour=plan.colour.value,
        resize=plan.resize.value,
        contrast=plan.contrast.value,
        **{name: choice.value for name in MOMENTS if (choice := getattr(plan, name)).value is not None},
        like=like,
    )


MOMENTS = ("frames", "sampling", "spacing")  # Settings of clips alone
_FRAMES, _SPACING, _CLIPS = 16, 0.1, 8  # Frames of a clip, seconds between them, clips of a batch


def _moments(settings: TrainSettings, survey: Survey) -> dict[str, Choice]:
    """Return which frames of a clip the net sees. Raises SettingsError: that is asked for, and the data is pictures."""
    if not survey.moving:
        if asked := [name for name in MOMENTS if not is_open(getattr(settings, name))]:
            raise SettingsError(f"train: {asked[0]} is for clips, and the data is of pictures. Leave it out.")
        return dict.fromkeys(MOMENTS, Choice(None, ""))
    usual = Choice("segments", "random moments in training")
    if settings.frozen:
        usual = Choice("uniform", "the backbone is frozen: the same frames in each epoch")
    sampling = given(settings.sampling) or (usual if settings.spacing is None else Choice("dense", ""))
    spaced = given(settings.spacing) or Choice(_SPACING, "seconds between frames")
    return {
        "frames": given(settings.frames) or Choice(_FRAMES, ""),
        "sampling": sampling,
        "spacing": spaced if sampling.value == "dense" else Choice(None, ""),
    }


def _weights(info: NetInfo) -> Choice:
    if not info.pretrained:
        return Choice("none", f"{info.name} has no published weights")
    name, licence = info.pretrained[0]
    return Choice("pretrained", f"published as {name}, licence: {licence}")


def _size(survey: Survey, info: NetInfo) -> Choice:
    if survey.moving and survey.side > SMALL:
        return Choice(_CLIP_SIDE, "the usual size for clips")
    computed = info.fitted and not info.pretrained  # such features, as histograms, need few pixels
    if info.native is not None and not computed:
        return Choice(info.native.height, f"native size of {info.name}")
    if survey.side > SMALL and not computed:
        return Choice(_LARGE_SIDE, "the usual size for photographs")
    most = _COMPUTED if computed else SMALL
    side = min(most, max(_LEAST, -(-survey.side // _STEP) * _STEP))
    return Choice(side, f"{survey.side} rounded up to a multiple of {_STEP}, in {_LEAST}…{most}")


def _fed_with(weights: str, info: NetInfo, published: NetInfo) -> Preprocessing | NativeInput | None:
    """Return the preprocessing of weights: of the bundle that the file is in, else of the net's published weights.

    It is that of a picture, or of each frame of a clip.
    """
    if weights == "none":
        return info.native if info.fitted else None
    beside = Path(weights).with_name(MANIFEST)
    if beside.is_file():
        with suppress(BundleError, UnicodeDecodeError):  # another program's manifest
            manifest = Manifest.from_text(beside.read_text(encoding="utf-8"))
            settings = manifest.definition.input_settings
            settings = getattr(settings, "picture", settings)  # of each frame, if the bundle is of clips
            files = {one.file for one in manifest.nets.values()}
            if Path(weights).name in files and isinstance(settings, Preprocessing):
                return settings
    return published.native


def _colour(survey: Survey, fed: Preprocessing | NativeInput | None) -> Choice:
    if isinstance(fed, Preprocessing):
        return Choice(fed.colour, "as in the bundle of the weights")
    if fed is not None:
        return Choice("rgb", "as the net's published weights")
    return Choice("grey", f"all {survey.noun}s looked at are grey") if survey.grey else Choice("rgb", "there is colour")


def _contrast(
    survey: Survey, info: NetInfo, fed: Preprocessing | NativeInput | None, *, random: bool, small: bool
) -> Choice:
    if isinstance(fed, Preprocessing):
        return Choice(fed.contrast, "as in the bundle of the weights")
    few = small and survey.varied and survey.count < FEW
    if few and random and not (info.fitted or survey.whole):
        return Choice(
            "picture", f"few {survey.noun}s hardly show every light; --contrast data if the light tells the classes"
        )
    return Choice("data", "")


def _device(asked: str) -> Choice:
    if asked == "auto":
        return Choice(*best_device())
    kind, _, number = asked.partition(":")
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if kind not in counts or (number and not number.isdigit()):
        raise SettingsError(f"unknown device {asked!r}. {did_you_mean(kind, ['auto', *counts])}")
    if int(number or 0) >= counts[kind]:
        raise SettingsError(
            f"device {asked!r} was asked for, and this machine has {counts[kind]} of {kind}. "
            "Leave --device out to take the best there is, or check the driver with `sightsmith doctor`."
        )
    return Choice(asked, "")


def _workers(survey: Survey, machine: Machine, device: str) -> Choice:
    if survey.in_memory and survey.side <= SMALL:
        return Choice(0, f"the {survey.noun}s are in memory")
    if device == "cpu":
        return Choice(max(1, machine.cores // 2), "half of the cores; the rest trains")
    return Choice(max(1, min(16, machine.cores - 1)), "the cores but one")


def _cache(settings: TrainSettings, survey: Survey) -> Choice:
    """Return the choice as it is unless the decoded items fit, which is known once they are read."""
    if settings.cache == "ram":
        return Choice("ram", "asked for")
    if survey.moving and settings.cache == "auto":
        return Choice("off", f"the decoded {survey.noun}s do not fit in memory")
    return Choice("off", "ask for it with --cache ram")


def _batch(survey: Survey, size: int, device: str) -> Choice:
    if size <= SMALL:
        wanted = 32 if survey.count < FEW else 128 if device == "cpu" else 256
    else:
        wanted = 32 if device == "cpu" else 64
    while wanted > 4 and wanted * 8 > survey.count:
        wanted //= 2
    return Choice(wanted, f"{many(survey.count, survey.noun)} of {size}×{size}")


def _epochs(survey: Survey, least: int, *, pretrained: bool, small: bool, grey: bool) -> Choice:
    """Fewer epochs for more pictures, for pretrained weights and for grey pictures; more for small pictures."""
    if pretrained:
        base, low, high = 15, 4, 30
    elif small:
        base, low, high = 24 if grey else 48, 12, 120
    else:
        base, low, high = 20, 12, 30
    epochs = round(base * (5000 / survey.count) ** 0.5)
    kind = "grey " if small and grey else ""
    why = f"{survey.count:,} {kind}{survey.noun}s{', weights are trained already' if pretrained else ''}"
    return Choice(max(low, min(high, epochs), least), why)


def _lr(optimizer: str, batch: int, *, pretrained: bool) -> Choice:
    if optimizer == "sgd":
        base = 0.01 if pretrained else 0.05
        rate, why = base * batch / 64, f"{base:g} for each 64 pictures in a step"
    else:
        base = 1e-4 if pretrained else 3e-3
        rate, why = base * (batch / 64) ** 0.5, f"{base:g} × √(batch / 64)"
    return Choice(float(f"{rate:.2g}"), why)


def best_device() -> tuple[str, str]:
    """Return the fastest device that torch can use here: cuda, mps or cpu."""
    if torch.cuda.is_available():
        return "cuda", torch.cuda.get_device_name()
    if torch.backends.mps.is_available():
        return "mps", "the graphics of this machine"
    return "cpu", "no GPU found"


def best_precision(device: str, machine: Machine) -> tuple[str, str]:
    """Return bf16 if a device multiplies it in hardware, else fp32."""
    if device.startswith("cuda"):
        able = torch.cuda.is_bf16_supported(including_emulation=False)
        return ("bf16", "the GPU supports it") if able else ("fp32", "the GPU has no bf16")
    if device == "cpu" and machine.bf16:
        return "bf16", f"the processor supports it ({'AMX' if machine.amx else 'AVX512-BF16'})"
    return "fp32", "no bf16 in hardware"
