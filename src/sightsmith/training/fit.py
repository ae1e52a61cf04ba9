"""Training, from checked and split data to a bundle.

A pipeline of values: data → plan → nets → learner → fitted → calibrated → bundle.
"""

import math
import time
from collections.abc import Mapping
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
from sightsmith.data.splits import Splits
from sightsmith.inputs import Reader
from sightsmith.nets.build import BuiltNet, build_net
from sightsmith.tasks.parts.learner import Facts
from sightsmith.training.callbacks import Record, Steps
from sightsmith.training.checkpoint_writer import CheckpointWriter
from sightsmith.training.console import Console
from sightsmith.training.dataset import Dataset, Subset
from sightsmith.training.estimate import estimate
from sightsmith.training.finalize import finalize
from sightsmith.training.lr_find import find_lr
from sightsmith.training.module import Descent
from sightsmith.training.optim import RunningAverage, Schedule, make_optimisers
from sightsmith.training.plan import Choice, Plan, Tell, choose_within_reach, wanted_input
from sightsmith.training.run import Run
from sightsmith.training.settings import TrainSettings
from sightsmith.training.task import TaskChoice, choose_task
from sightsmith.training.threads import Threads, compute_threads
from sightsmith.training.trainer import Loaders, arithmetic, autocast, make_loaders, make_trainer, quiet_lightning
from sightsmith.training.work_folder import WorkFolder


@dataclass(frozen=True, slots=True)
class TrainResult:
    path: Path  # of the bundle
    bundle: Bundle
    metrics: dict[str, Any]  # on the validation pictures, as in the manifest
    plan: Plan
    splits: Splits


def fit(settings: TrainSettings, work: WorkFolder, dataset: Dataset, *, quiet: bool) -> TrainResult:
    """Train and write a bundle; `training/train.py` has the steps before it.

    Args:
        work: the folder to work in, taken and started.
        dataset: the data of `settings`, checked and split.

    Raises SightsmithError: as `training.train.train`.
    """
    started = time.monotonic() - dataset.gate.seconds
    tell: Tell = (lambda _: None) if quiet else say
    task = choose_task(settings, dataset.source.kind)
    before = _recall(work, dataset)
    with quiet_lightning(), compute_threads(settings.threads):
        train, val, names = dataset.part("train"), dataset.part("val"), dataset.source.names
        plan = _plan(task, settings, train, before, tell)
        read = _reader(task, plan, train, before)
        nets = _build_nets(task, settings, plan, names, read)
        plan = _with_head(plan, nets, tell)
        facts = Facts(names=names, input_settings=read.settings, targets=train.targets)
        learner = task.file.learner({role: built.module for role, built in nets.items()}, facts, task.settings)
        if plan.channels_last.value:
            learner.to(memory_format=torch.channels_last)
        run = Run(settings, work, task, plan, read, nets, learner, tell, quiet)
        loaders = make_loaders(run, train, val, dataset.part("calibration"))
        with arithmetic(plan.device.value, deterministic=settings.deterministic), closing(loaders):
            if loaders.in_memory:
                plan = replace(plan, workers=Choice(0, "the pictures are in memory"))
            if plan.lr.value == "find":
                plan = replace(plan, lr=_find_lr(run, loaders))
            if task.calibration().share and not dataset.splits.counts().get("calibration"):
                tell("warning: too few samples, or groups too large, to hold some out for calibration.")
            work.remember(_chosen(plan, read, dataset))
            tell(plan.to_text())
            run = replace(run, plan=plan)
            (_descend if learner.OPTIMISERS else estimate)(run, loaders)
            bundle, metrics = finalize(run, dataset, val, loaders, started)
    work.remove()
    metric = task.kind.METRIC
    tell(
        f"Validation {metric.title} {metrics['val'][metric.name]:.4f} after epoch {metrics['best_epoch']}, trained in "
        f"{duration(time.monotonic() - started)}. The bundle is {settings.bundle_path}."
    )
    return TrainResult(settings.bundle_path, bundle, metrics, plan, dataset.splits)


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
    survey = replace(task.input.survey(train.pictures), whole=task.kind.WHOLE)
    plan = choose_within_reach(asked, survey, this_machine(), tell)
    names = [name for name in _KEPT if name in before and not (name == "lr" and isinstance(settings.lr, float))]
    return replace(plan, **{name: replace(getattr(plan, name), value=before[name]) for name in names})


def _reader(task: TaskChoice, plan: Plan, train: Subset, before: Mapping[str, Any]) -> Reader:
    if before:
        return Reader(task.file.INPUT, task.input.Settings.from_json(before["input_settings"]))
    return Reader(task.file.INPUT, task.input.choose(wanted_input(plan), train.pictures))


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


def _find_lr(run: Run, loaders: Loaders) -> Choice:
    learner, settings = run.learner, run.settings
    if len(learner.OPTIMISERS) != 1:
        raise SettingsError("train: lr=find needs a task with one optimiser. Give --lr a number, or leave it out.")
    learner.to(run.plan.device.value)

    def loss_of(batch: Any) -> torch.Tensor:
        with autocast(run.plan):
            return learner.loss(batch, next(iter(learner.OPTIMISERS)))

    (optimiser,) = make_optimisers(run)
    sweep = find_lr(learner, loss_of, loaders.train, optimiser, settings.seed, clip=settings.clip)
    run.work.write("lr_find.csv", sweep.to_csv())
    run.work.write("lr_find.svg", sweep.to_svg())
    return Choice(sweep.suggestion, "found by a sweep: report/lr_find.svg")


def _descend(run: Run, loaders: Loaders) -> None:
    """Train the learner by gradient descent, and write its best weights to the work folder."""
    settings, plan = run.settings, run.plan
    if settings.accumulate > 1 and len(run.learner.OPTIMISERS) > 1:
        raise SettingsError("train: accumulate must be 1 for a task with several optimisers; raise --batch-size.")
    epochs, batch_size = plan.epochs.value, plan.batch_size.value
    steps = math.ceil(len(loaders.train) / settings.accumulate)
    warmup = round(steps * plan.warmup_epochs.value)
    schedule = Schedule(peak=plan.lr.value, steps=steps * epochs, warmup=warmup, kind=settings.schedule)
    average = RunningAverage(settings.ema) if settings.ema else None
    record, console = Record(run, schedule, average), Console(epochs, batch_size, quiet=run.quiet)
    threads = Threads(settings.threads, batch_size, run.tell, fixed=settings.deterministic)
    callbacks = [
        Steps(run, loaders.train.order, schedule),
        average,
        record,
        console,
        threads,
        CheckpointWriter(run, record),
    ]
    trainer = make_trainer(run, [callback for callback in callbacks if callback])
    record.tell = lambda epoch: console.epoch(trainer, epoch)
    module = Descent(run, lambda: make_optimisers(run))
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
