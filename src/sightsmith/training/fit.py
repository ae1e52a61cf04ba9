"""Training, from checked and split data to a bundle.

A pipeline of values: data → plan → nets → learner → fitted → calibrated → bundle.
"""

import math
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
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
from sightsmith.tasks.parts.learner import Facts
from sightsmith.training.augmenting import mixed_epochs, refuse_unfit
from sightsmith.training.callbacks import CheckpointWriter, Record, Steps
from sightsmith.training.checkpoints import load_tree, save_tree
from sightsmith.training.choice import SMALL, Choice, is_open
from sightsmith.training.console import Console
from sightsmith.training.curves import Curves, Epoch
from sightsmith.training.dataset import Dataset, Subset
from sightsmith.training.finalize import finalize
from sightsmith.training.fitted import beside
from sightsmith.training.lr_find import find_lr
from sightsmith.training.mirror import Mirrored, compare_mirrored
from sightsmith.training.module import Descent
from sightsmith.training.optim import RunningAverage, Schedule, make_optimisers
from sightsmith.training.pace import measure_pace
from sightsmith.training.plan import NEW_HEAD, Plan, Tell, choose_within_reach, paced, wanted_input
from sightsmith.training.run import Run
from sightsmith.training.settings import TrainSettings
from sightsmith.training.task import TaskChoice, choose_task, task_line
from sightsmith.training.threads import Threads, compute_threads
from sightsmith.training.trainer import (
    Loaders,
    arithmetic,
    make_loaders,
    make_trainer,
    outputs_of,
    prepare,
    quiet_lightning,
)
from sightsmith.training.work_folder import WorkFolder

_FAILURES = (SightsmithError, MemoryError, RuntimeError)
"""Of a net beside the trained one, which must not cost that one: RuntimeError is torch's for too little memory."""


def fit(settings: TrainSettings, work: WorkFolder, dataset: Dataset, *, quiet: bool) -> Bundle:
    """Train and write a bundle, and return it opened; `training/train.py` has the steps before it.

    Args:
        work: the folder to work in, taken and started.
        dataset: the data of `settings`, checked and split.

    Raises SightsmithError: as `training.train.train`.
    """
    before = Curves(work.path).seconds() if work.checkpoint() else 0.0
    started = time.monotonic() - dataset.gate.seconds - before
    tell = _teller(quiet)
    task = choose_task(settings, dataset.source.kind)
    tell(task_line(settings, task, dataset.source.kind))
    baselines = _baselines(settings, task, dataset)
    with quiet_lightning(), compute_threads(settings.threads), ExitStack() as opened:
        run, loaders = opened.enter_context(_ready(settings, work, task, dataset, quiet=quiet))
        score = _learn(run, loaders)
        if run.plan.also_try.value:
            run, loaders = _better(run, loaders, score, dataset, opened)
        seconds = time.monotonic() - started
        left_out = {name: _fit_baseline(run, name, net, dataset) for name, net in baselines.items()}
        bundle = finalize(run, loaders, dataset, seconds, baselines=left_out)
    shutil.rmtree(work.path)
    metric, metrics = task.kind.METRIC, bundle.manifest.metrics
    tell(
        f"Validation {metric.title} {metrics['val'][metric.name]:.4f} after epoch {metrics['best_epoch']}, trained in "
        f"{duration(seconds)}. The bundle is {settings.bundle_path}."
    )
    return bundle


@contextmanager
def _ready(
    settings: TrainSettings, work: WorkFolder, task: TaskChoice, dataset: Dataset, *, quiet: bool
) -> Iterator[tuple[Run, Loaders]]:
    """Yield a training that is ready to learn, and its loaders, which are closed when the block ends."""
    tell = _teller(quiet)
    train, val = dataset.part("train"), _validated(task, dataset)
    names = task.names(dataset.source.names, dataset.source.kind)
    before = _recall(work, dataset)
    plan = _plan(task, settings, train, before, tell)
    read = _reader(task, plan, train, before)
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
    if settings.freeze_epochs and not any(True for _ in learner.backbone_parameters()):
        raise SettingsError(f"train: freeze_epochs must be 0 for the task {task.name!r}, whose nets have no head.")
    if plan.channels_last.value:
        channels_last(learner)
    run = Run(settings, work, task, plan, read, nets, learner, tell, quiet)
    loaders = make_loaders(run, train, val, dataset.part("calibration"))
    with arithmetic(plan.device.value, deterministic=settings.deterministic), closing(loaders):
        plan = _in_memory(plan, loaders)
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
    val, metric = dataset.part("val"), task.kind.METRIC
    if len(val) < metric.fewest:
        raise DataError(
            f"{dataset.source.location}: {many(len(val), 'picture')} for validation, and the {metric.title} needs at "
            f"least {metric.fewest}. Add pictures, or give --val-fraction a larger share."
        )
    return val.spread(getattr(task.file, "VALIDATED", len(val)))


def _teller(quiet: bool) -> Tell:
    return (lambda _: None) if quiet else say


def _learn(run: Run, loaders: Loaders) -> float:
    """Train or fit, write the best weights to the work folder, and return their score on validation."""
    if run.learner.OPTIMISERS:
        _descend(run, loaders)
    else:
        _estimate(run, loaders)
    score: float = load_tree(run.work.best)["score"]
    return score


def _better(run: Run, loaders: Loaders, score: float, dataset: Dataset, opened: ExitStack) -> tuple[Run, Loaders]:
    """Fit the net that the plan also tries, and return the training with the better validation; with a tie the first.

    What is entered into `opened` stays open until the bundle is written.
    """
    name, model, metric = run.plan.also_try.value, run.plan.model, run.task.kind.METRIC
    settings = beside(run.settings, name, run.settings.bundle_path)
    try:
        other, others_loaders = opened.enter_context(
            _ready(settings, run.work.inside(settings), run.task, dataset, quiet=True)
        )
        others = _learn(other, others_loaders)
    except _FAILURES as error:
        run.tell(f"{name} was to be tried too, but: {f'{error}' or type(error).__name__}")
        return run, loaders
    figures = f"val {metric.title} {others:.4f} by {name}, {score:.4f} by {model.value}"
    if not metric.better(others, score):
        run.tell(f"also tried: {figures}")
        return replace(run, plan=replace(run.plan, model=replace(model, why=f"{model.why}; {figures}"))), loaders
    run.tell(f"also tried: {figures}. The better one is kept; --model {model.value} keeps the other.")
    for sentence in other.learner.sentences():
        run.tell(f"  {sentence}")
    plan = replace(other.plan, model=Choice(name, figures))
    return replace(other, plan=plan, tell=run.tell, quiet=run.quiet), others_loaders


def _baselines(settings: TrainSettings, task: TaskChoice, dataset: Dataset) -> Mapping[str, Mapping[str, Any]]:
    """Return the settings of the nets that are fitted as baselines, by name; empty unless they were asked for.

    Raises SettingsError: the task has none, or the data has no test split to compare them on.
    """
    if not settings.baselines:
        return {}
    if not hasattr(task.file, "baselines"):
        raise SettingsError(f"train: the task {task.name!r} has no baselines. Leave --baselines out.")
    if not dataset.splits.counts()["test"]:
        way_out = "Leave --folds out" if settings.folds else "Give --test-fraction a share"
        raise SettingsError(
            f"train: baselines are compared on the test split, and there is none. {way_out}, or leave --baselines out."
        )
    found = task.file.baselines(dataset.splits.counts()["train"])
    return {name: net for name, net in found.items() if name != settings.model}


def _fit_baseline(run: Run, name: str, net: Mapping[str, Any], dataset: Dataset) -> str:
    """Fit a baseline and write its bundle; return why it is left out, empty if it is not."""
    started = time.monotonic() - dataset.gate.seconds  # each is told as if it were trained by itself
    out = baselines_folder(run.settings.bundle_path) / name
    if run.work.has_fitted(name) and out.exists():
        return ""
    # Without --overwrite there was none at the start, so one that is there now is of the training that is resumed
    overwrite = run.settings.overwrite or run.settings.resume
    settings = replace(beside(run.settings, name, out), net=dict(net), overwrite=overwrite)
    run.tell(f"baseline {name}: fitting")
    try:
        with _ready(settings, run.work.inside(settings), run.task, dataset, quiet=True) as (one, loaders):
            score = _learn(one, loaders)
            finalize(one, loaders, dataset, time.monotonic() - started)
        run.work.mark_fitted(name)
    except _FAILURES as error:
        why = f"{error}" or type(error).__name__
        run.tell(f"warning: baseline {name} is left out: {why}")
        return why
    run.tell(f"baseline {name}: val {run.task.kind.METRIC.title} {score:.4f}, {duration(time.monotonic() - started)}")
    return ""


def _recall(work: WorkFolder, dataset: Dataset) -> dict[str, Any]:
    """Return the choices of an interrupted training; empty for a new one.

    Raises TrainingError: it was another dataset, or split otherwise.
    """
    before = work.recall()
    if before and before["fingerprint"] != dataset.fingerprint:
        raise TrainingError(
            f"{dataset.source.location}: the pictures or labels changed since this training started. "
            "Put them back, or start again with --overwrite."
        )
    if before and before["splits"] != dataset.splits.digest():
        raise TrainingError(
            f"{dataset.source.location}: the pictures are split otherwise than when this training started, "
            "so validation would contain training pictures. Put the splits or groups back, or start again with "
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


def _in_memory(plan: Plan, loaders: Loaders) -> Plan:
    """Return the plan with what follows from the pictures in memory."""
    if loaders.in_memory:
        plan = replace(plan, workers=Choice(0, "the pictures are in memory"))
    if loaders.cached and plan.cache.value != "ram":
        plan = replace(plan, cache=Choice("ram", "the decoded pictures fit in memory"))
    return plan


def _reader(task: TaskChoice, plan: Plan, train: Subset, before: Mapping[str, Any]) -> Reader:
    if before:
        return Reader(task.reads, task.input.Settings.from_json(before["input_settings"]))
    return Reader(task.reads, task.input.choose(wanted_input(plan), train.pictures))


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
    epochs, share = measure_pace(run, loaders, minutes).length(minutes, run.settings.freeze_epochs + 1)
    return replace(paced(run.plan, epochs), epoch_share=share)


def _estimate(run: Run, loaders: Loaders) -> None:
    """Fit the learner to all training pictures, each once and unvaried, and save its weights as the best ones."""
    started, learner, metric = time.monotonic(), run.learner, run.task.kind.METRIC
    learner.require_memory(loaders.train.order.count)
    batches, targets_of = zip(*loaders.train, strict=True)
    feeds = {name: torch.cat([batch[name] for batch in batches]).cpu() for name in batches[0]}
    targets = torch.cat(targets_of).cpu()
    with torch.no_grad():
        learner.eval().fit(feeds, targets)
    figures = run.task.validation(*outputs_of(run, loaders.val))
    seconds = time.monotonic() - started
    curves = Curves(run.work.path)
    curves.keep_until(0)
    rate = len(targets) / max(seconds, 1e-9)
    epoch = Epoch(number=1, step=1, figures=figures, metric=metric.name, best=True, seconds=seconds, rate=rate)
    curves.add(epoch, [])
    weights = {f"learner.{name}": tensor for name, tensor in learner.state_dict().items()}
    save_tree({"epoch": 1, "score": epoch.score, "weights": weights}, run.work.best)
    sentences = learner.sentences()
    if sentences:
        run.work.write("rules.txt", "\n".join(sentences) + "\n")
        run.tell("\n".join(f"  {sentence}" for sentence in sentences))
    run.tell(f"fitted to {len(targets):,} pictures in {duration(seconds)}: val {metric.title} {epoch.score:.4f}")


def _descend(run: Run, loaders: Loaders) -> None:
    """Train the learner by gradient descent, and write its best weights to the work folder."""
    settings, plan = run.settings, run.plan
    if settings.accumulate > 1 and len(run.learner.OPTIMISERS) > 1:
        raise SettingsError("train: accumulate must be 1 for a task with several optimisers; raise --batch-size.")
    epochs, batch_size = plan.epochs.value, plan.batch_size.value
    steps = math.ceil(len(loaders.train) / settings.accumulate)
    warmup = round(steps * plan.warmup_epochs.value)
    schedule = Schedule(peak=plan.lr.value, steps=steps * epochs, warmup=warmup, kind=plan.schedule.value)
    average = RunningAverage(plan.ema.value) if plan.ema.value else None
    console = Console(epochs, batch_size, quiet=run.quiet)
    record = Record(run, schedule, average, console)
    threads = Threads(settings.threads, batch_size, run.tell, fixed=settings.deterministic)
    steps_callback, writer = Steps(run, loaders.train.order, schedule), CheckpointWriter(run, record)
    callbacks = [steps_callback, average, record, console, threads, writer]
    trainer = make_trainer(run, [callback for callback in callbacks if callback])
    module = Descent(run, lambda: make_optimisers(run), lambda: prepare(run, loaders))
    try:
        with closing(console):
            trainer.fit(module, loaders.train, loaders.val, ckpt_path=run.work.checkpoint(), weights_only=False)
    except SystemExit:  # Lightning's answer to a KeyboardInterrupt
        raise KeyboardInterrupt from None
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingError(
            f"a process that decodes pictures was killed, often for lack of memory ({error}). Go on "
            f"with --resume and fewer of them: --workers {max(0, plan.workers.value - 1)}."
        ) from error
