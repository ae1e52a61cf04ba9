"""Training, from checked and split data to a bundle.

A pipeline of values: data → plan → nets → learner → fitted → calibrated → bundle.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sightsmith.bundle.store import Bundle
from sightsmith.core.command import say
from sightsmith.core.errors import SettingsError, TrainingError
from sightsmith.core.machine import this_machine
from sightsmith.core.progress import duration
from sightsmith.data.gate import GateReport
from sightsmith.data.splits import Splits
from sightsmith.inputs import INPUTS, Reader
from sightsmith.kinds import KINDS
from sightsmith.kinds.parts.metric import Metric
from sightsmith.nets.build import build_net
from sightsmith.nets.parts.records import BuiltNet
from sightsmith.tasks.parts.learner import Facts, Learner
from sightsmith.training.callbacks import Record, Steps
from sightsmith.training.checkpoint_writer import CheckpointWriter
from sightsmith.training.console import Console
from sightsmith.training.dataset import Dataset, Subset
from sightsmith.training.ema import RunningAverage
from sightsmith.training.estimate import estimate
from sightsmith.training.finalize import Fitted, finalize
from sightsmith.training.lr_find import find_lr
from sightsmith.training.module import Descent, Validate
from sightsmith.training.optim import Schedule, make_optimizer, parameter_groups
from sightsmith.training.plan import Choice, Plan, choose_within_reach, wanted_input
from sightsmith.training.settings import TrainSettings
from sightsmith.training.task import TaskChoice, choose_task
from sightsmith.training.threads import Threads, compute_threads
from sightsmith.training.trainer import (
    Loaders,
    autocast,
    fast_matmul,
    make_loaders,
    make_trainer,
    quiet_lightning,
    repeatable,
)
from sightsmith.training.work_folder import WorkFolder

Tell = Callable[[str], None]  # Prints a line for people


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The result of a training.

    Attributes:
        path: of the bundle.
        bundle: the bundle, opened.
        metrics: on the validation pictures, as in the manifest.
        plan: the choices, with reasons.
        gate: the findings of the data check.
        splits: which picture is in which split.
        seconds: seconds that this process took for the data check and the training.
    """

    path: Path
    bundle: Bundle
    metrics: dict[str, Any]
    plan: Plan
    gate: GateReport
    splits: Splits
    seconds: float


def fit(settings: TrainSettings, work: WorkFolder, dataset: Dataset, *, quiet: bool) -> TrainResult:
    """Train and write a bundle; `training/train.py` has the steps before it.

    Args:
        settings: data, net, hyper-parameters and output folder.
        work: the folder to work in, taken and started.
        dataset: the data of `settings`, checked and split.

    Raises SightsmithError: as `training.train.train`.
    """
    started = time.monotonic() - dataset.gate.seconds
    tell: Tell = (lambda _: None) if quiet else say
    task = choose_task(settings, dataset.source.kind)
    before = _recall(work, dataset)
    with quiet_lightning(), compute_threads(settings.threads):
        train, val = dataset.part("train"), dataset.part("val")
        plan = _plan(task, settings, train, before, tell)
        read = _reader(task, plan, train, before)
        nets = _build_nets(task, settings, plan, dataset.source.names, read)
        plan = _with_head(plan, nets, tell)
        facts = Facts(names=dataset.source.names, input_settings=read.settings, targets=train.targets)
        learner = task.file.learner({role: built.module for role, built in nets.items()}, facts, task.settings)
        if plan.channels_last.value:
            learner.to(memory_format=torch.channels_last)
        loaders = make_loaders(
            settings,
            plan,
            read,
            train,
            val,
            dataset.part("calibration"),
            vary=bool(learner.OPTIMISERS),
            quiet=quiet,
        )
        with fast_matmul(plan.device.value), closing(loaders):
            if loaders.in_memory:
                plan = replace(plan, workers=Choice(0, "the pictures are in memory"))
            if plan.lr.value == "find":
                plan = replace(plan, lr=_find_lr(settings, plan, learner, loaders, work))
            if task.calibration().share and not dataset.splits.counts().get("calibration"):
                tell("warning: too few samples, or groups too large, to hold some out for calibration.")
            work.remember(_chosen(plan, read, dataset))
            tell(plan.to_text())
            _learn(task, settings, plan, learner, loaders, work, quiet=quiet)
            fitted = Fitted(task, plan, nets, learner, read)
            bundle, metrics = finalize(
                fitted, settings, work, dataset, val, loaders, seconds=time.monotonic() - started
            )
    work.remove()
    seconds = time.monotonic() - started
    metric = KINDS.module(task.file.KIND).METRIC
    headline = f"{metric.title} {metrics['val'][metric.name]:.4f}"
    tell(
        f"Validation {headline} after epoch {metrics['best_epoch']}, trained in {duration(seconds)}. The bundle is "
        f"{settings.bundle_path}."
    )
    return TrainResult(settings.bundle_path, bundle, metrics, plan, dataset.gate, dataset.splits, seconds)


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


_KEPT = ("batch_size", "epochs", "lr", "size", "colour", "model", "weights", "warmup_epochs", "weight_decay")
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
    survey = INPUTS.module(task.file.INPUT).survey(train.pictures)
    survey = replace(survey, whole=KINDS.module(task.file.KIND).WHOLE)
    plan = choose_within_reach(asked, survey, this_machine(), tell)
    names = [name for name in _KEPT if name in before and not (name == "lr" and isinstance(settings.lr, float))]
    return replace(plan, **{name: replace(getattr(plan, name), value=before[name]) for name in names})


def _reader(task: TaskChoice, plan: Plan, train: Subset, before: Mapping[str, Any]) -> Reader:
    file = INPUTS.module(task.file.INPUT)
    if before:
        return Reader(task.file.INPUT, file.Settings.from_json(before["input_settings"]))
    return Reader(task.file.INPUT, file.choose(wanted_input(plan), train.pictures))


def _build_nets(
    task: TaskChoice, settings: TrainSettings, plan: Plan, names: tuple[str, ...], read: Reader
) -> dict[str, BuiltNet]:
    torch.manual_seed(settings.seed)
    sizes = task.file.sizes(names, read.settings)
    return {
        role: build_net(plan.model.value, settings.net, weights=plan.weights.value, **sizes) for role in task.file.NETS
    }


def _with_head(plan: Plan, nets: Mapping[str, BuiltNet], tell: Tell) -> Plan:
    """Return the plan with the head's learning rate, and print the origin of the weights."""
    for built in nets.values():
        if built.weights.origin != "none":
            tell(f"  weights of {built.weights.origin}, licence: {built.weights.licence}")
        for note in built.weights.notes:
            tell(f"  {note}")
        if built.weights.origin != "none" and not built.weights.new_head:
            plan = replace(plan, head_scale=Choice(1.0, "the weights bring their head"))
    return plan


def _optimisers(settings: TrainSettings, plan: Plan, learner: Learner) -> list[torch.optim.Optimizer]:
    return [
        make_optimizer(
            settings.optimizer,
            parameter_groups(
                learner.nets_of(name), learner.head_parameters(name), plan.weight_decay.value, plan.head_scale.value
            ),
            lr=0.0 if plan.lr.value == "find" else plan.lr.value,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            fused=plan.fused.value,
        )
        for name in learner.OPTIMISERS
    ]


def _find_lr(settings: TrainSettings, plan: Plan, learner: Learner, loaders: Loaders, work: WorkFolder) -> Choice:
    if len(learner.OPTIMISERS) != 1:
        raise SettingsError("train: lr=find needs a task with one optimiser. Give --lr a number, or leave it out.")
    learner.to(plan.device.value)

    def loss_of(batch: Any) -> torch.Tensor:
        with autocast(plan):
            return learner.loss(batch, next(iter(learner.OPTIMISERS)))

    with repeatable(settings.deterministic):
        sweep = find_lr(
            learner,
            loss_of,
            loaders.train,
            lambda: _optimisers(settings, plan, learner)[0],
            settings.seed,
            clip=settings.clip,
        )
    work.write("lr_find.csv", sweep.to_csv())
    work.write("lr_find.svg", sweep.to_svg())
    return Choice(sweep.suggestion, "found by a sweep: report/lr_find.svg")


def _learn(
    task: TaskChoice,
    settings: TrainSettings,
    plan: Plan,
    learner: Learner,
    loaders: Loaders,
    work: WorkFolder,
    *,
    quiet: bool,
) -> None:
    """Train the learner, by descent or in one step, and write its best weights to the work folder."""

    def validate(answers: Any, targets: Any) -> dict[str, float]:
        figures: dict[str, float] = task.file.validation(answers, targets, task.settings)
        return figures

    metric = KINDS.module(task.file.KIND).METRIC
    if learner.OPTIMISERS:
        _descend(settings, plan, learner, loaders, work, validate, metric, quiet=quiet)
    else:
        estimate(learner, loaders.train, loaders.val, validate, metric, work, quiet=quiet)


def _descend(
    settings: TrainSettings,
    plan: Plan,
    learner: Learner,
    loaders: Loaders,
    work: WorkFolder,
    validate: Validate,
    metric: Metric,
    *,
    quiet: bool,
) -> None:
    if settings.accumulate > 1 and len(learner.OPTIMISERS) > 1:
        raise SettingsError("train: accumulate must be 1 for a task with several optimisers; raise --batch-size.")
    tell: Tell = (lambda _: None) if quiet else say
    schedule = _schedule(settings, plan, loaders)
    average = RunningAverage(settings.ema) if settings.ema else None
    console = Console(plan.epochs.value, plan.batch_size.value, quiet=quiet)
    record = Record(work.path, metric, settings.patience, plan.batch_size.value, schedule, average)
    steps = Steps(
        settings.seed,
        loaders.train.order,
        schedule,
        list(learner.backbone_parameters()),
        freeze_epochs=settings.freeze_epochs,
        clip=settings.clip,
    )
    threads = Threads(settings.threads, plan.batch_size.value, tell, fixed=settings.deterministic)
    writer = CheckpointWriter(work.path, record, settings.accumulate, tell)
    callbacks = [steps, *([average] if average else []), record, console, threads, writer]
    trainer = make_trainer(settings, plan, work.path, callbacks)
    record.tell = lambda epoch: console.epoch(trainer, epoch)
    module = Descent(learner, lambda: _optimisers(settings, plan, learner), validate)
    try:
        trainer.fit(module, loaders.train, loaders.val, ckpt_path=work.checkpoint(), weights_only=False)
    except SystemExit:  # Lightning's answer to a KeyboardInterrupt
        raise KeyboardInterrupt from None
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingError(
            f"a process that decodes pictures was killed, often for lack of memory ({error}). Go on "
            f"with --resume and fewer of them: --workers {max(0, plan.workers.value - 1)}."
        ) from error


def _schedule(settings: TrainSettings, plan: Plan, loaders: Loaders) -> Schedule:
    steps = math.ceil(len(loaders.train) / settings.accumulate)
    return Schedule(
        peak=plan.lr.value,
        steps=steps * plan.epochs.value,
        warmup=round(steps * plan.warmup_epochs.value),
        kind=settings.schedule,
    )
