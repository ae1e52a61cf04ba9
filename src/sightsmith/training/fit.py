"""Training, from checked and split data to a bundle.

A pipeline of values: data → plan → nets → learner → fitted → calibrated → bundle.
"""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from sightsmith.bundle.location import baselines_folder
from sightsmith.bundle.store import Bundle
from sightsmith.core.command import say
from sightsmith.core.counts import many
from sightsmith.core.errors import DataError, SettingsError, SightsmithError, TrainingError
from sightsmith.core.machine import this_machine
from sightsmith.core.progress import duration
from sightsmith.data.augment import Augmentation
from sightsmith.inputs import Reader
from sightsmith.nets.build import build_net, describe_net, require_family
from sightsmith.nets.parts.layout import channels_last
from sightsmith.nets.parts.records import BuiltNet
from sightsmith.tasks.parts.learner import Facts, Learner
from sightsmith.training.augmenting import mixed_epochs, refuse_unfit
from sightsmith.training.callbacks import TrainingStoppedError
from sightsmith.training.choice import SMALL, Choice, is_open
from sightsmith.training.curves import Curves
from sightsmith.training.dataset import Dataset, Subset
from sightsmith.training.finalize import finalize
from sightsmith.training.fitted import alike_time, beside
from sightsmith.training.frozen import with_features
from sightsmith.training.learn import learn
from sightsmith.training.lr_find import find_lr
from sightsmith.training.mirror import Mirrored, compare_mirrored
from sightsmith.training.optim import make_optimisers
from sightsmith.training.pace import measure_pace
from sightsmith.training.plan import NEW_HEAD, Plan, Tell, choose_within_reach, paced, wanted_input
from sightsmith.training.run import Run
from sightsmith.training.settings import TrainSettings
from sightsmith.training.task import TaskChoice, choose_task, task_line
from sightsmith.training.threads import compute_threads
from sightsmith.training.trainer import Loaders, arithmetic, make_loaders, quiet_lightning
from sightsmith.training.work_folder import WorkFolder, refuse_baselines

_FAILURES = (SightsmithError, MemoryError, RuntimeError)
"""Of a net beside the trained one, which must not cost that one: RuntimeError is torch's for too little memory."""


@dataclass(frozen=True, slots=True)
class _Trained:
    """A net that has learned."""

    run: Run
    loaders: Loaders
    score: float  # on validation
    seconds: float  # that it took, the check of the data included


def fit(settings: TrainSettings, work: WorkFolder, dataset: Dataset, *, quiet: bool) -> Bundle:
    """Train and write a bundle, and return it opened; `training/train.py` has the steps before it.

    Args:
        work: the folder to work in, taken and started.
        dataset: the data of `settings`, checked and split.

    Raises SightsmithError: as `training.train.train`.
    """
    started = _start(work, dataset)
    tell = _silent if quiet else say
    task = choose_task(settings, dataset.source.kind, dataset.source.input)
    tell(task_line(settings, task, dataset.source.kind, dataset.source.input))
    baselines = _baselines(settings, task, dataset, tell)
    if settings.minutes:
        settings = replace(settings, minutes=settings.minutes / _descending(settings, task, baselines))
    with quiet_lightning(), compute_threads(settings.threads), ExitStack() as opened:
        run, loaders = opened.enter_context(_ready(settings, work, task, dataset, tell, quiet=quiet))
        trained = _Trained(run, loaders, learn(run, loaders), time.monotonic() - started)
        left_out: dict[str, str] = {}
        tried = run.plan.also_try.value
        if tried:
            trained, other = _better(trained, dataset, opened)
            if baselines.pop(tried, None) is not None:
                left_out = {tried: other} if isinstance(other, str) else _write_beside(other, settings, dataset, tell)
        left_out |= {name: _fit_baseline(run, name, net, dataset) for name, net in baselines.items()}
        bundle = finalize(trained.run, trained.loaders, dataset, trained.seconds, baselines=left_out)
    shutil.rmtree(work.path)
    metric, metrics = task.kind.METRIC, bundle.manifest.metrics
    tell(
        f"Validation {metric.title} {metrics['val'][metric.name]:.4f} after epoch {metrics['best_epoch']}, trained in "
        f"{duration(trained.seconds)}. The bundle is {settings.bundle_path}."
    )
    return bundle


def _start(work: WorkFolder, dataset: Dataset) -> float:
    """Return the start of a net's training on the monotonic clock, as if it had not been stopped or waited."""
    before = Curves(work.path).seconds() if work.checkpoint() else 0.0
    return time.monotonic() - dataset.gate.seconds - before


@contextmanager
def _ready(
    settings: TrainSettings, work: WorkFolder, task: TaskChoice, dataset: Dataset, tell: Tell, *, quiet: bool
) -> Iterator[tuple[Run, Loaders]]:
    """Yield a training that is ready to learn, and its loaders, which are closed when the block ends."""
    train, val = dataset.part("train"), _validated(task, dataset)
    names = task.names(dataset.source.names, dataset.source.kind)
    before = _recall(work, dataset)
    plan = _plan(task, settings, train, before, tell)
    read = _reader(task, plan, settings.net, train, before)
    small = plan.size.value <= SMALL and not hasattr(task.kind, "GEOMETRY")
    if plan.augment.value.flip == "horizontal" and settings.flip == "auto" and small:
        plan = _mirroring(plan, compare_mirrored(task, train, val, read))
    torch.manual_seed(settings.seed)
    net, weights, sizes = plan.model.value, plan.weights.value, task.file.sizes(names, read.settings)
    nets = {role: build_net(net, settings.net, role=role, weights=weights, **sizes) for role in task.file.NETS}
    plan = _with_head(plan, nets, tell)
    facts = Facts(names=names, input_settings=read.settings, targets=train.targets)
    learner = task.file.learner({role: built.module for role, built in nets.items()}, facts, task.settings)
    if learner.OPTIMISERS and describe_net(net).fitted:
        raise SettingsError(
            f"train: {net} is fitted in one step, and the task {task.name!r} trains by gradient descent. Name "
            "another --model."
        )
    if settings.freeze_epochs:
        _freeze(settings, task, learner, nets)
    if plan.channels_last.value:
        channels_last(learner)
    run = Run(settings, work, task, plan, read, nets, learner, tell, quiet)
    loaders = make_loaders(run, train, val, dataset.part("calibration"))
    with arithmetic(plan.device.value, deterministic=settings.deterministic), closing(loaders):
        plan = _in_memory(plan, loaders, task.nouns)
        if settings.frozen:
            loaders, plan = with_features(replace(run, plan=plan), loaders)
        if plan.lr.value == "find":
            plan = replace(plan, lr=_find_lr(run, loaders))
        if settings.minutes and not before:
            plan = _paced(replace(run, plan=plan), loaders, settings.minutes)
        if task.calibration().share and not dataset.splits.counts().get("calibration"):
            tell("warning: too few samples, or groups too large, to hold some out for calibration.")
        work.remember(_chosen(plan, read, dataset))
        tell(plan.to_text())
        if plan.epoch_share.value is not None:
            loaders.train.order.share = plan.epoch_share.value
        loaders.train.order.mixed_epochs = mixed_epochs(plan.epochs.value)
        yield replace(run, plan=plan), loaders


def _validated(task: TaskChoice, dataset: Dataset) -> Subset:
    """Return the validation pictures that an epoch measures. Raises DataError: there are too few."""
    val, metric, (one, several) = dataset.part("val"), task.kind.METRIC, dataset.nouns
    if len(val) < metric.fewest:
        raise DataError(
            f"{dataset.source.location}: {many(len(val), one)} for validation, and the {metric.title} needs at "
            f"least {metric.fewest}. Add {several}, or give --val-fraction a larger share."
        )
    return val.spread(getattr(task.file, "VALIDATED", len(val)))


def _silent(_: str) -> None:
    """Print nothing."""


def _better(trained: _Trained, dataset: Dataset, opened: ExitStack) -> tuple[_Trained, _Trained | str]:
    """Train the net that the plan also tries, and return both, that with the better validation first; a tie keeps both.

    The second is a reason if that net could not be trained. What is entered into `opened` stays open until the bundles
    are written.
    """
    first, score = trained.run, trained.score
    name, model, metric = first.plan.also_try.value, first.plan.model, first.task.kind.METRIC
    try:
        settings = beside(first.settings, name, first.settings.bundle_path)
        work = first.work.inside(settings)
        started = _start(work, dataset)
        if not describe_net(name).fitted:
            first.tell(f"also trying {name}:")
        run, loaders = opened.enter_context(_beside(first, settings, work, dataset))
        other = _Trained(run, loaders, learn(run, loaders), time.monotonic() - started)
    except TrainingStoppedError:
        raise
    except _FAILURES as error:
        first.tell(f"{name} was to be tried too, but: {_reason(error)}")
        return trained, _reason(error)
    figures = f"val {metric.title} {other.score:.4f} by {name}, {score:.4f} by {model.value}"
    if not metric.better(other.score, score):
        first.tell(f"also tried: {figures}")
        plan = replace(first.plan, model=replace(model, why=f"{model.why}; {figures}"))
        return replace(trained, run=replace(first, plan=plan)), other
    first.tell(f"also tried: {figures}. The better one is kept; --model {model.value} keeps the other.")
    for sentence in run.learner.sentences():
        first.tell(f"  {sentence}")
    kept = replace(run, plan=replace(run.plan, model=Choice(name, figures)), tell=first.tell, quiet=first.quiet)
    return replace(other, run=kept), trained


def _beside(
    first: Run, settings: TrainSettings, work: WorkFolder, dataset: Dataset
) -> AbstractContextManager[tuple[Run, Loaders]]:
    """Return another net ready to learn, as `_ready`; the epochs of gradient descent are printed."""
    fitted = describe_net(settings.model).fitted
    return _ready(settings, work, first.task, dataset, _silent, quiet=first.quiet or fitted)


def _baselines(settings: TrainSettings, task: TaskChoice, dataset: Dataset, tell: Tell) -> dict[str, Mapping[str, Any]]:
    """Return the settings of the nets that are fitted as baselines, by name; empty if there are none to fit.

    Raises:
        SettingsError: they were asked for, and the task has none, or the data has no test split to compare them on.
        OutputExistsError: there are others in their place.
    """
    asked = settings.baselines
    if asked is False or (asked is None and not getattr(task.file, "COMPARED", False)):
        return {}
    if not hasattr(task.file, "baselines"):
        raise SettingsError(f"train: the task {task.name!r} has no baselines. Leave --baselines out.")
    found = task.file.baselines(dataset.splits.counts()["train"])
    found = {name: net for name, net in found.items() if name != settings.model}
    if not dataset.splits.counts()["test"]:
        way_out = "Leave --folds out" if settings.folds else "Give --test-fraction a share"
        rule = "baselines are compared on the test split, and there is none"
        if asked:
            raise SettingsError(f"train: {rule}. {way_out}, or leave --baselines out.")
        tell(f"No baselines are fitted: {rule.removeprefix('baselines ')}.")
        return {}
    refuse_baselines(settings)
    if found and not asked and not is_open(settings.model):
        tell(
            f"Baselines: {', '.join(found)}, trained alike, {alike_time(settings)}; --no-baselines leaves "
            f"{'it' if len(found) == 1 else 'them'} out."
        )
    return found


def _descending(settings: TrainSettings, task: TaskChoice, baselines: Mapping[str, Any]) -> int:
    """Return how many nets are trained by gradient descent: they share the minutes."""
    tried = getattr(task.file, "ALSO_TRY", None)
    others = {*baselines, *([tried] if tried and is_open(settings.model) and settings.baselines is not False else [])}
    return 1 + sum(not describe_net(name).fitted for name in others)


def _write_beside(other: _Trained, settings: TrainSettings, dataset: Dataset, tell: Tell) -> dict[str, str]:
    """Write the bundle of a net that was tried and is not kept; return by its name why it is left out, else nothing."""
    run, name = other.run, other.run.plan.model.value
    out = baselines_folder(settings.bundle_path) / name
    own = replace(run.settings, model=name, baselines=False, out=out, overwrite=settings.overwrite or settings.resume)
    try:
        finalize(replace(run, settings=own), other.loaders, dataset, other.seconds)
    except _FAILURES as error:
        return {name: _left_out(name, error, tell)}
    return {name: ""}


def _fit_baseline(run: Run, name: str, net: Mapping[str, Any], dataset: Dataset) -> str:
    """Fit a baseline and write its bundle; return why it is left out, empty if it is not."""
    out = baselines_folder(run.settings.bundle_path) / name
    if run.work.has_fitted(name) and out.exists():
        return ""
    # Without --overwrite there was none at the start, so one that is there now is of the training that is resumed
    overwrite = run.settings.overwrite or run.settings.resume
    settings = beside(run.settings, name, out)
    settings = replace(settings, net={**settings.net, **net}, overwrite=overwrite)
    run.tell(f"baseline {name}: fitting")
    try:
        work = run.work.inside(settings)
        started = _start(work, dataset)  # each is told as if it were trained by itself
        with _beside(run, settings, work, dataset) as (one, loaders):
            score = learn(one, loaders)
            finalize(one, loaders, dataset, time.monotonic() - started)
        run.work.mark_fitted(name)
    except TrainingStoppedError:
        raise
    except _FAILURES as error:
        return _left_out(name, error, run.tell)
    run.tell(f"baseline {name}: val {run.task.kind.METRIC.title} {score:.4f}, {duration(time.monotonic() - started)}")
    return ""


def _left_out(name: str, error: BaseException, tell: Tell) -> str:
    """Say that a baseline is left out, and return the reason."""
    tell(f"warning: baseline {name} is left out: {_reason(error)}")
    return _reason(error)


def _reason(error: BaseException) -> str:
    return f"{error}" or type(error).__name__


def _recall(work: WorkFolder, dataset: Dataset) -> dict[str, Any]:
    """Return the choices of an interrupted training; empty for a new one.

    Raises TrainingError: it was another dataset, or split otherwise.
    """
    before, several = work.recall(), dataset.nouns[1]
    if before and before["fingerprint"] != dataset.fingerprint:
        raise TrainingError(
            f"{dataset.source.location}: the {several} or labels changed since this training started. "
            "Put them back, or start again with --overwrite."
        )
    if before and before["splits"] != dataset.splits.digest():
        raise TrainingError(
            f"{dataset.source.location}: the {several} are split otherwise than when this training started, "
            f"so validation would contain training {several}. Put the splits or groups back, or start again with "
            "--overwrite."
        )
    return before


_KEPT = (
    *("batch_size", "epochs", "epoch_share", "lr", "size", "colour", "model", "weights"),
    *("warmup_epochs", "weight_decay", "schedule", "clip", "ema"),
)
"""Choices that the steps depend on: a resumed training keeps them, even if this machine would choose otherwise."""


def _chosen(plan: Plan, read: Reader, dataset: Dataset) -> dict[str, Any]:
    """Return the choices that `_recall` reads."""
    return {
        "fingerprint": dataset.fingerprint,
        "splits": dataset.splits.digest(),
        "input_settings": read.settings.to_json(),
        **{name: getattr(plan, name).value for name in _KEPT},
    }


def _plan(task: TaskChoice, settings: TrainSettings, train: Subset, before: Mapping[str, Any], tell: Tell) -> Plan:
    asked = replace(settings, weights=before.get("weights", settings.weights))
    placed = hasattr(task.kind, "GEOMETRY")
    survey = replace(task.input.survey(train.pictures), whole=task.kind.WHOLE, placed=placed)
    if hasattr(task.file, "VARIED"):
        refuse_unfit(settings, task.file.VARIED, task.name)
    usual = task.file.defaults(survey) if hasattr(task.file, "defaults") else {}
    if not is_open(asked.model):
        for family in task.file.NETS.values():
            require_family(asked.model, family, task.name)
    plan = choose_within_reach(asked, survey, this_machine(), tell, getattr(task.file, "ALSO_TRY", None), usual)
    names = [name for name in _KEPT if name in before and not (name == "lr" and isinstance(settings.lr, float))]
    return replace(plan, **{name: replace(getattr(plan, name), value=before[name]) for name in names})


def _mirroring(plan: Plan, found: Mirrored | None) -> Plan:
    """Return the plan without mirroring if mirrored pictures were found to be other things."""
    if found is None:
        return plan
    augment: Augmentation = plan.augment.value
    flip = augment.flip if found.alike else "none"
    why = "; ".join(filter(None, (plan.augment.why, str(found))))
    return replace(plan, augment=Choice(replace(augment, flip=flip), why))


def _in_memory(plan: Plan, loaders: Loaders, nouns: str) -> Plan:
    """Return the plan with what follows from the items in memory."""
    if loaders.in_memory:
        plan = replace(plan, workers=Choice(0, f"the {nouns} are in memory"))
    if loaders.cached and plan.cache.value != "ram":
        plan = replace(plan, cache=Choice("ram", f"the decoded {nouns} fit in memory"))
    return plan


def _reader(task: TaskChoice, plan: Plan, net: Mapping[str, Any], train: Subset, before: Mapping[str, Any]) -> Reader:
    if before:
        return Reader(task.reads, task.input.Settings.from_json(before["input_settings"]))
    return Reader(task.reads, task.input.choose(wanted_input(plan, net), train.pictures))


def _with_head(plan: Plan, nets: Mapping[str, BuiltNet], tell: Tell) -> Plan:
    """Return the plan with the head's learning rate, and print the origin of the weights."""
    for built in nets.values():
        if built.weights.origin != "none":
            tell(f"  weights of {built.weights.origin}, licence: {built.weights.licence}")
        for note in built.weights.notes:
            tell(f"  {note}")
        if built.holds:
            tell(f"  the bundle will hold {built.holds}")
        if built.weights.origin != "none" and not built.weights.new_head and plan.head_scale.why == NEW_HEAD:
            plan = replace(plan, head_scale=Choice(1.0, "the weights bring their head"))
    return plan


def _freeze(settings: TrainSettings, task: TaskChoice, learner: Learner, nets: Mapping[str, BuiltNet]) -> None:
    """Freeze the backbone, if it is to be frozen in all epochs.

    Raises SettingsError: there is none, or parts of it would be random numbers for ever.
    """
    if not any(True for _ in learner.backbone_parameters()):
        raise SettingsError(f"train: freeze_epochs must be 0 for the task {task.name!r}, whose nets have no head.")
    if not settings.frozen:
        return
    if any(built.weights.random_backbone for built in nets.values()):
        raise SettingsError(
            "train: freeze_epochs must not be all if parts of the backbone start from random numbers, which would "
            "never learn. Give --weights pretrained or a file that has all of it (of clips: of --net.backbone), or a "
            "number of epochs."
        )
    learner.freeze(frozen=True)


def _find_lr(run: Run, loaders: Loaders) -> Choice:
    learner, settings = run.learner, run.settings
    if len(learner.OPTIMISERS) != 1:
        raise SettingsError("train: lr=find needs a task with one optimiser. Give --lr a number, or leave it out.")
    learner.to(run.plan.device.value)

    def loss_of(batch: Any) -> torch.Tensor:
        with run.plan.autocast():
            return learner.loss(batch, next(iter(learner.OPTIMISERS)))

    (optimiser,) = make_optimisers(run)
    sweep = find_lr(learner, loss_of, loaders.train, optimiser, settings.seed, clip=run.plan.clip.value)
    run.work.write("lr_find.csv", sweep.to_csv())
    run.work.write("lr_find.svg", sweep.to_svg())
    return Choice(sweep.suggestion, "found by a sweep: report/lr_find.svg")


def _paced(run: Run, loaders: Loaders, minutes: float) -> Plan:
    """Return the plan with the epochs that fill the minutes."""
    epochs, share = measure_pace(run, loaders, minutes).length(minutes, run.settings.fewest_epochs)
    return replace(paced(run.plan, epochs), epoch_share=share)
