"""Settings of `train`; each field is a flag, a TOML key and a Python argument, and its text the help.

A number left at None, or a word left at "auto", is chosen from the data and the machine, and the choice is printed
with its reason before training starts (training/plan.py). This module imports no torch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sightsmith.bundle.settings import CardSettings
from sightsmith.core.errors import SettingsError
from sightsmith.data.settings import SourceOptions


@dataclass(frozen=True, kw_only=True)
class TrainSettings(SourceOptions, CardSettings):
    # Data
    data: str
    """The pictures: a folder, a table, an archive of arrays, or the name of a known data set (digits)."""
    val_fraction: float = 0.1
    """Share of the pictures for validation, if the data has no such split, in (0, 0.5]."""
    test_fraction: float = 0.2
    """Share of the pictures for the final test, if the data has no such split, in [0, 0.5]."""
    folds: int = 0
    """Cross-validation: cut the data into this many folds (0 = off, else 2…100) and validate on fold `fold`."""
    fold: int = 0
    """Which of the `folds` validates, from 0."""
    max_bad: float = 0.01
    """Share of unusable pictures above which training stops instead of skipping them, in [0, 1]."""
    near_duplicates: bool = True
    """Look for nearly equal pictures and keep each set of them in one split. Turn it off for scenes that hardly
    differ, such as parts under a fixed camera."""
    balanced: bool = False
    """Show every class equally often, however many pictures it has."""

    # Output, net and task
    out: Path | None = None
    """Folder that the bundle is written to; default: runs/NAME from the data's name, or the next free runs/NAME-2 …."""
    model: str = "auto"
    """Net to train, see `models`. auto: smallresnet for pictures up to 64 pixels, resnet18 for larger ones, yolo for
    objects. Fewer than 10,000 pictures without published weights are also tried with hog_ridge, and the better one on
    validation is kept; not if a setting is given that hog_ridge could not follow: of the net, the task or gradient
    descent, contrast, a size above 64, bf16, a logger. Clips: lstm and frames, and the better one is kept."""
    net: dict[str, Any] = field(default_factory=dict)
    """Settings of the net, by name."""
    task: dict[str, Any] = field(default_factory=dict)
    """Settings of the task: label smoothing, mixing, class weights; `name` trains another task than the
    usual one of the data, and a word alone, as in `--task gan`, is the name."""
    baselines: bool | None = None
    """Also fit the task's baselines to the same data. Of pictures: the most frequent class, nearest neighbours, HOG
    with ridge and with an SVM, a forest. Of clips: frames, which ignores their order. They go to OUT.baselines;
    `evaluate` then says whether the net is better. auto: for clips, if there is a test split."""
    weights: str = "auto"
    """Weights to start from: pretrained, none, or a .safetensors file. auto: pretrained if they are published and
    can be fetched."""
    size: int | None = None
    """Side of the net's input in pixels, 4…4096; auto: the native size of the net; for a net without one, the
    pictures' own size up to 64, else 224. Objects: 416, less for small pictures and for published weights that were
    made for less."""
    resize: Literal["auto", "crop", "squash", "letterbox"] = "auto"
    """How a picture is fitted to the input. crop: fill and cut; squash: ignore the aspect; letterbox: fit and pad;
    auto: crop for labels, squash for tags and numbers, which depend on the whole picture, letterbox for objects."""
    frames: int | None = None
    """Frames of a clip that the net sees, 1…256; auto: 16."""
    sampling: Literal["auto", "uniform", "segments", "dense"] = "auto"
    """How the frames of a clip are chosen. uniform: evenly over the clip; segments: likewise, but in training a random
    one of each part; dense: at a fixed spacing from the middle of the clip, in training from a random place; auto:
    dense if a spacing is given, else segments."""
    spacing: float | None = None
    """Seconds between the frames of a clip, in (0, 60], with dense sampling; auto: 0.1."""
    colour: Literal["auto", "rgb", "grey"] = "auto"
    """Channels of the input. auto: grey if all sampled pictures are grey and the weights are not pretrained."""

    contrast: Literal["auto", "data", "picture"] = "auto"
    """How brightness and contrast are normalised. data: by the mean and deviation of the training pictures; picture:
    then also by those of each channel of the picture itself, so that the light hardly matters; auto: picture for fewer
    than 10,000 small pictures with labels, as in the bundle of the weights if they are from one, else data."""

    # How to train
    epochs: int | None = None
    """Passes over the training pictures, 1…100,000; auto: from their number."""
    epoch_share: float = 1.0
    """Share of the training pictures that an epoch shows, in (0, 1]; each epoch draws others. Validation comes after
    each epoch, so a smaller share validates more often."""
    minutes: float | None = None
    """Length of the training in minutes instead of `epochs`, in (0, 100,000]: the speed is measured on a few steps, and
    the number of epochs, at least 1, their `epoch_share` and the schedule follow from it. Checking and decoding the
    data come on top."""
    batch_size: int | None = None
    """Pictures in a step, 2…65,536; auto: from the number of pictures and their size."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """Optimiser."""
    lr: float | Literal["find"] | None = None
    """Peak learning rate, > 0; find: sweep for it first; auto: as the net or the task chooses, else from the
    optimiser, batch and weights."""
    head_scale: float | None = None
    """How many times faster than the rest the head learns, in (0, 1000]; auto: as the task chooses, else 10 for a new
    head on trained weights, and 1."""
    weight_decay: float | None = None
    """Weight decay of weights (biases and norms have none), ≥ 0; auto: as the net or the task chooses, else 0.05
    for adamw, 5e-4 for sgd."""
    momentum: float = 0.9
    """Momentum of sgd, in [0, 1)."""
    nesterov: bool = True
    """Nesterov's form of the momentum of sgd."""
    schedule: Literal["auto", "cosine", "flat", "constant"] = "auto"
    """How the learning rate falls after the warm-up. cosine: to 0 along a cosine; flat: not in the first half of the
    training, then along a cosine to a twentieth; constant: not at all; auto: as the task chooses, else cosine."""
    warmup_epochs: float | None = None
    """Epochs during which the learning rate rises from 0, at most `epochs`; auto: a tenth of them, or 3% with the
    schedule flat, and at most 5."""
    augment: Literal["auto", "none", "light", "trivial", "rand"] = "auto"
    """How training pictures are augmented. none: only by flip, shift and the others below; light: flip, and shift (up
    to 64 pixels) or random crop; trivial, rand: light and TrivialAugment or RandAugment; auto: light, and for fewer
    than 10,000 small pictures rotate, zoom, jitter and decolour. Pictures with objects: auto and light are flip, shift,
    zoom, jitter, hue and mosaic; there is no trivial, rand or rotate, which lose the objects' places."""
    flip: Literal["auto", "none", "horizontal", "both"] = "auto"
    """Mirror pictures at random. auto: none for grey pictures (letters, digits); horizontal for colour pictures, but
    of up to 64 pixels only if mirrored validation pictures are recognised as well as the others."""
    shift: float | None = None
    """Move small pictures by up to this share of their side, in [0, 0.5]; auto: 0.1 up to 64 pixels and for objects,
    else 0."""
    crop_share: float | None = None
    """Cut random parts of at least this share of the picture's area, in (0, 1]; auto: 1 (off) up to 64 pixels and
    for tags, numbers and objects, 0.25 for larger pictures with labels."""
    rotate: float | None = None
    """Turn pictures by up to this many degrees either way, in [0, 180]; auto: 10 for few small pictures, else 0."""
    zoom: float | None = None
    """Scale pictures by a factor of up to 1 + this, up or down, in [0, 4]; auto: 0.2 for few small pictures, 0.5 for
    objects, else 0."""
    jitter: float | None = None
    """Change brightness, contrast and saturation, each by a factor of up to 1 + this, up or down, in [0, 4]; auto: 1
    for few small pictures, 0.4 for objects, else 0."""
    hue: float | None = None
    """Turn all colours of a picture about the grey axis by up to this part of a whole turn either way, in [0, 0.5];
    auto: 0.015 for objects, else 0."""
    decolour: float | None = None
    """Probability of taking the colour from a training picture, in [0, 1]; auto: 0.5 for few small pictures with
    labels, else 0."""
    erase: float = 0.0
    """Probability of erasing a random rectangle of a training picture, in [0, 1]."""
    mosaic: float | None = None
    """Probability of a training picture put together of parts of four, in [0, 1], for objects; the last epochs, ten or
    a tenth of them, at most half, have none. auto: 0.5 for objects."""
    mixup: float | None = None
    """Probability of blending two training pictures, in [0, 1], for objects, in the same epochs as mosaic; of labels it
    is a setting of the task. auto: 0."""
    ema: float | None = None
    """Decay of the running average of the weights that is validated and kept, in [0, 1); 0 turns it off; auto: as the
    task chooses, else 0.999."""
    clip: float | None = None
    """Largest norm of the gradient; larger ones are scaled down; 0 turns it off; auto: as the net or the task
    chooses, else 1."""
    accumulate: int = 1
    """Batches for each optimiser step, 1…10,000."""
    freeze_epochs: int | Literal["all"] = 0
    """Epochs that train only the head, the backbone in evaluation mode, before the whole net is trained, ≥ 0. all: the
    head alone in every epoch, on trained weights; the features that it is given are then computed once (see cache), and
    augment auto is none, sampling auto uniform."""
    patience: int = 0
    """Stop after this many epochs without a better validation score; 0 turns it off."""
    seed: int = 0
    """Seed of the splits, the weights, the order and every variation, 0…2³²−1."""
    deterministic: bool = False
    """Use only operations that give the same bits every time, some of them slower."""

    # Device
    device: str = "auto"
    """Device: auto, cpu, cuda, cuda:1, mps. A named device that is absent is an error."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of the net. auto: bf16 (autocast) if the device multiplies it in hardware, else fp32."""
    threads: int | None = None
    """Threads that compute on a processor, 1…4,096. auto: tried at the start and again when the rate changes, so that
    other processes cost little; a resumed or deterministic training keeps its number."""
    workers: int | None = None
    """Processes that decode pictures, 0…256; auto: half of the cores on a processor, all but one beside an
    accelerator, none if the pictures are in memory."""
    cache: Literal["auto", "off", "ram"] = "auto"
    """ram: decode every training picture once, a little larger than needed, and keep it in memory; an error if it does
    not fit. auto: ram for clips, and for pictures with objects, if it fits, else off. Both also keep the features of a
    backbone that is frozen in all epochs, if they fit."""

    # Records
    logger: Literal["csv", "tensorboard", "mlflow"] = "csv"
    """Logger of curves besides metrics.csv, which is always written."""
    witnesses: int = 8
    """Real pictures stored in the bundle with the answers they must give, 1…64."""
    overwrite: bool = False
    """Replace an existing bundle at `out`."""
    resume: bool = False
    """Go on from the last checkpoint of an interrupted training into the same `out`."""

    def __post_init__(self) -> None:
        for (low, high), names in _RANGES.items():
            for name in names:
                value = getattr(self, name)
                if value is not None and not low <= value <= high:
                    raise SettingsError(f"train: {name} must be in {low:g}…{high:g}, got {value!r}")
        for name, rule, wrong in self._wrong():
            if wrong:
                raise SettingsError(f"train: {name} must be {rule}, got {getattr(self, name)!r}")

    @property
    def bundle_path(self) -> Path:
        """`out`, once it is known. Raises SettingsError: it is None, and no name has been chosen yet."""
        if self.out is None:
            raise SettingsError("train: out must be given here, the folder that the bundle is written to.")
        return Path(self.out)

    @property
    def frozen(self) -> bool:
        """Whether every epoch trains the head alone."""
        return self.freeze_epochs == "all"

    def freezes(self, epoch: int) -> bool:
        """Tell whether an epoch, counted from 0, trains the head alone."""
        return self.freeze_epochs == "all" or epoch < self.freeze_epochs

    @property
    def fewest_epochs(self) -> int:
        """Epochs that a training needs: one more than those with a frozen backbone, unless all are."""
        return 1 if self.freeze_epochs == "all" else self.freeze_epochs + 1

    def _wrong(self) -> Iterable[tuple[str, str, bool]]:
        """Yield (setting, rule, whether it is broken) for the rules that are not plain ranges."""
        yield "folds", "0 (off) or 2…100", self.folds == 1
        yield "fold", "less than folds", self.fold >= max(1, self.folds)
        yield "val_fraction", "> 0: validation picks the weights that are kept", self.val_fraction == 0
        yield "crop_share", "> 0", self.crop_share == 0
        yield "epoch_share", "> 0", self.epoch_share == 0
        yield "epoch_share", "left out if minutes are given", self.epoch_share != 1 and self.minutes is not None
        yield "ema", "< 1", self.ema == 1
        yield "head_scale", "> 0", self.head_scale == 0
        yield "momentum", "< 1", self.momentum == 1
        yield "nesterov", "off if momentum is 0", self.nesterov and self.momentum == 0
        yield "lr", "> 0, or find", isinstance(self.lr, (int, float)) and not 0 < self.lr < float("inf")
        yield "spacing", "> 0", self.spacing == 0
        yield "spacing", "left out unless sampling is dense", self.spacing is not None and self.sampling not in _SPACED
        yield "model", "a name; `models` lists them", not self.model
        yield "minutes", "> 0", self.minutes is not None and self.minutes <= 0
        yield "minutes", "left out if epochs are given", self.minutes is not None and self.epochs is not None
        yield "freeze_epochs", "0…100,000, or all", not 1 <= self.fewest_epochs <= 100_001
        yield "freeze_epochs", "less than epochs, or all", self.epochs is not None and self.epochs < self.fewest_epochs


def with_task_named(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which a task that is a word, `task = "gan"`, is a table with that name."""
    return {**raw, "task": {"name": raw["task"]}} if isinstance(raw.get("task"), str) else dict(raw)


_SPACED = ("auto", "dense")
_RANGES: dict[tuple[float, float], tuple[str, ...]] = {
    (0, 0.5): ("val_fraction", "test_fraction", "shift", "hue"),
    (0, 1): ("max_bad", "momentum", "crop_share", "epoch_share", "decolour", "erase", "mosaic", "mixup", "ema"),
    (0, 4): ("zoom", "jitter"),
    (0, 60): ("spacing",),
    (0, 99): ("fold",),
    (0, 100): ("folds", "weight_decay"),
    (0, 180): ("rotate",),
    (0, 256): ("workers",),
    (0, 1000): ("warmup_epochs", "head_scale"),
    (0, 100_000): ("patience", "minutes"),
    (0, 1e6): ("clip",),
    (0, 2**32 - 1): ("seed",),
    (1, 64): ("witnesses",),
    (1, 256): ("frames",),
    (1, 4096): ("threads",),
    (1, 10_000): ("accumulate",),
    (1, 100_000): ("epochs",),
    (2, 65_536): ("batch_size",),
    (4, 4096): ("size",),
}
