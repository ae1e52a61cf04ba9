"""Training, from where the data lies to a bundle that others can trust."""

import math
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sightsmith.bundle.store import Bundle
from sightsmith.core.command import say
from sightsmith.core.errors import SettingsError, TrainingError
from sightsmith.core.machine import this_machine
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.core.progress import duration
from sightsmith.core.settings import from_mapping
from sightsmith.data.gate import GateReport
from sightsmith.data.splits import Splits
from sightsmith.nets.build import BuiltNet, build_net
from sightsmith.training.callbacks import Record, Steps
from sightsmith.training.checkpoint_writer import CheckpointWriter
from sightsmith.training.console import Console
from sightsmith.training.dataset import Dataset
from sightsmith.training.ema import RunningAverage
from sightsmith.training.finalize import TASKS, Finalized, finalize, task_of
from sightsmith.training.lr_find import find_lr
from sightsmith.training.optim import Schedule, make_optimizer, parameter_groups
from sightsmith.training.plan import Choice, Plan, choose_within_reach, preprocessing_for, trained_on
from sightsmith.training.settings import TrainSettings
from sightsmith.training.survey import mean_and_std, survey_pictures
from sightsmith.training.threads import Threads, compute_threads
from sightsmith.training.trainer import (
    Tell,
    autocast,
    fast_matmul,
    make_loaders,
    make_trainer,
    quiet_lightning,
    repeatable,
)
from sightsmith.training.work_folder import WorkFolder


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What training made.

    Attributes:
        path: of the bundle.
        bundle: the bundle, opened.
        metrics: on the validation pictures, as in the manifest.
        plan: what was chosen, with reasons.
        gate: what the check of the data found.
        splits: which picture is in which split.
        seconds: the check of the data and the training took, of this process.
    """

    path: Path
    bundle: Bundle
    metrics: dict[str, Any]
    plan: Plan
    gate: GateReport
    splits: Splits
    seconds: float


def check_task(settings: TrainSettings) -> Any:
    """Return the settings of the task that is trained.

    Raises:
        SettingsError: the task or one of its settings is unknown or out of range, or contradicts the others.
    """
    name, given = task_of(settings)
    task_settings = from_mapping(TASKS.module(name).Settings, given, where="task")
    if settings.balanced and getattr(task_settings, "class_weights", "none") != "none":
        raise SettingsError(
            "train: balanced shows every class equally often and task.class_weights weighs the rare ones more. "
            "Together they correct twice; give one of the two."
        )
    return task_settings


def fit(settings: TrainSettings, work: WorkFolder, dataset: Dataset, *, quiet: bool) -> TrainResult:
    """Train a classifier and write it as a bundle; `training/train.py` has what comes before.

    Args:
        settings: what to train on, what, how, and where to.
        work: the folder to work in, taken and started.
        dataset: the data of `settings`, checked and split.
        quiet: print nothing.

    Raises:
        SightsmithError: as `training.train.train`.
    """
    started = time.monotonic() - dataset.gate.seconds
    task_settings = check_task(settings)
    with quiet_lightning(), compute_threads(settings.threads):
        session = _Session(settings, work, dataset, task_settings, quiet=quiet)
        with fast_matmul(session.plan.device.value), closing(session.loaders):
            session.fit()
            finished = session.finalize(time.monotonic() - started)
    work.remove()
    seconds = time.monotonic() - started
    if not quiet:
        _tell_result(settings.bundle_path, finished, seconds)
    return TrainResult(
        path=settings.bundle_path,
        bundle=finished.bundle,
        metrics=finished.metrics,
        plan=session.plan,
        gate=dataset.gate,
        splits=dataset.splits,
        seconds=seconds,
    )


class _Session:
    """One training: what was chosen, the net, and the parts that work on it."""

    def __init__(
        self, settings: TrainSettings, work: WorkFolder, dataset: Dataset, task_settings: Any, *, quiet: bool
    ) -> None:
        self.settings, self.work, self.dataset, self.quiet = settings, work, dataset, quiet
        self.classes = dataset.source.classes
        self.train, self.val = dataset.part("train"), dataset.part("val")
        self.survey = survey_pictures(self.train.pictures, len(self.classes))
        before = self._recall()
        tell: Tell = (lambda _: None) if quiet else say
        asked = replace(settings, weights=before.get("weights", settings.weights))
        self.plan = _kept(choose_within_reach(asked, self.survey, this_machine(), tell), before, settings)
        self.preprocessing = self._preprocessing(before)
        self.built = self._build()
        self.task = self._make_task(task_settings)
        self.loaders = make_loaders(settings, self.plan, self.preprocessing, self.train, self.val, quiet=quiet)
        if self.loaders.in_memory:
            self.plan = replace(self.plan, workers=Choice(0, "the pictures are in memory"))
        if self.plan.lr.value == "find":
            self.plan = replace(self.plan, lr=self._find_lr())
        self._remember()
        if not quiet:
            say(self.plan.to_text())

    def _recall(self) -> dict[str, Any]:
        before = self.work.recall()
        if before and before["fingerprint"] != self.dataset.fingerprint:
            raise TrainingError(
                f"{self.dataset.source.location}: the pictures or labels changed since this training started. "
                "Put them back, or start again with --overwrite."
            )
        if before and before["splits"] != self.dataset.splits.digest():
            raise TrainingError(
                f"{self.dataset.source.location}: the pictures are split otherwise than when this training started, "
                "so validation would see what was trained on. Put the splits or groups back, or start again with "
                "--overwrite."
            )
        return before

    def _remember(self) -> None:
        self.work.remember(
            {
                "fingerprint": self.dataset.fingerprint,
                "splits": self.dataset.splits.digest(),
                "preprocessing": self.preprocessing.to_json(),
                **{name: getattr(self.plan, name).value for name in _KEPT},
            }
        )

    def _preprocessing(self, before: dict[str, Any]) -> Preprocessing:
        if before:
            return Preprocessing.from_json(before["preprocessing"])
        made = preprocessing_for(self.settings, self.plan)
        if trained_on(self.plan) is not None:
            return made
        mean, std = mean_and_std(self.train.pictures, made)
        return replace(made, mean=mean, std=std)

    def _build(self) -> BuiltNet:
        torch.manual_seed(self.settings.seed)
        built = build_net(
            self.plan.model.value,
            self.settings.net,
            channels=self.preprocessing.channels,
            classes=len(self.classes),
            height=self.preprocessing.height,
            width=self.preprocessing.width,
            weights=self.plan.weights.value,
        )
        if built.weights.origin != "none" and not built.weights.new_head:
            self.plan = replace(self.plan, head_scale=Choice(1.0, "the weights bring their head"))
        if not self.quiet:
            if built.weights.origin != "none":
                say(f"  weights of {built.weights.origin}, licence: {built.weights.licence}")
            for note in built.weights.notes:
                say(f"  {note}")
        return built

    def _make_task(self, task_settings: Any) -> Any:
        counts = np.bincount(self.train.targets_N, minlength=len(self.classes)).tolist()
        task = TASKS.module(task_of(self.settings)[0]).Task(
            self.built.module, self.classes, self.preprocessing, task_settings, class_counts=counts
        )
        if self.plan.channels_last.value:
            task.to(memory_format=torch.channels_last)
        task.optimiser_factory = self._optimizer
        return task

    def _optimizer(self, task: Any) -> torch.optim.Optimizer:
        plan, settings = self.plan, self.settings
        groups = parameter_groups(task.net, task.net.head_parameters(), plan.weight_decay.value, plan.head_scale.value)
        lr = 0.0 if plan.lr.value == "find" else plan.lr.value
        return make_optimizer(
            settings.optimizer,
            groups,
            lr=lr,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            fused=plan.fused.value,
        )

    def _find_lr(self) -> Choice:
        self.task.to(self.plan.device.value)

        def loss_of(batch: Any) -> torch.Tensor:
            with autocast(self.plan):
                return self.task.loss(batch)

        with repeatable(self.settings.deterministic):
            sweep = find_lr(
                self.task,
                loss_of,
                self.loaders.train,
                lambda: self._optimizer(self.task),
                self.settings.seed,
                clip=self.settings.clip,
            )
        self.work.write("lr_find.csv", sweep.to_csv())
        self.work.write("lr_find.svg", sweep.to_svg())
        return Choice(sweep.suggestion, "found by a sweep: report/lr_find.svg")

    def fit(self) -> None:
        schedule = self._schedule()
        average = RunningAverage(self.settings.ema) if self.settings.ema else None
        show = Console(self.plan.epochs.value, self.plan.batch_size.value, quiet=self.quiet)
        record = Record(
            self.work.path, self.task.METRIC, self.settings.patience, self.plan.batch_size.value, schedule, average
        )
        steps = Steps(
            self.settings.seed,
            self.loaders.train.order,
            schedule,
            list(self.task.net.backbone_parameters()),
            freeze_epochs=self.settings.freeze_epochs,
            clip=self.settings.clip,
        )
        tell: Tell = (lambda _: None) if self.quiet else say
        threads = Threads(self.settings.threads, self.plan.batch_size.value, tell, fixed=self.settings.deterministic)
        keep = CheckpointWriter(self.work.path, record, self.settings.accumulate, tell)
        callbacks = [steps, *([average] if average else []), record, show, threads, keep]
        trainer = make_trainer(self.settings, self.plan, self.work.path, callbacks)
        record.tell = lambda epoch: show.epoch(trainer, epoch)
        checkpoint = self.work.checkpoint()
        try:
            trainer.fit(self.task, self.loaders.train, self.loaders.val, ckpt_path=checkpoint, weights_only=False)
        except SystemExit:  # Lightning's answer to a KeyboardInterrupt
            raise KeyboardInterrupt from None
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise TrainingError(
                f"a process that decodes pictures was ended from outside, often for lack of memory ({error}). Go on "
                f"with --resume and fewer of them: --workers {max(0, self.plan.workers.value - 1)}."
            ) from error

    def _schedule(self) -> Schedule:
        steps = math.ceil(len(self.loaders.train) / self.settings.accumulate)
        return Schedule(
            peak=self.plan.lr.value,
            steps=steps * self.plan.epochs.value,
            warmup=round(steps * self.plan.warmup_epochs.value),
            kind=self.settings.schedule,
        )

    def finalize(self, seconds: float) -> Finalized:
        """Take the best weights, calibrate and write the bundle."""
        return finalize(
            settings=self.settings,
            plan=self.plan,
            work=self.work,
            dataset=self.dataset,
            preprocessing=self.preprocessing,
            built=self.built,
            task=self.task,
            val=self.val,
            val_loader=self.loaders.val,
            seconds=seconds,
        )


_KEPT = ("batch_size", "epochs", "lr", "size", "colour", "model", "weights", "warmup_epochs", "weight_decay")
"""Choices that the steps depend on: a resumed training keeps them, even where this machine would choose otherwise."""


def _kept(plan: Plan, before: dict[str, Any], settings: TrainSettings) -> Plan:
    names = [name for name in _KEPT if name in before and not (name == "lr" and isinstance(settings.lr, float))]
    return replace(plan, **{name: replace(getattr(plan, name), value=before[name]) for name in names})


def _tell_result(path: Path, finished: Finalized, seconds: float) -> None:
    val = finished.metrics["val"]
    say(
        f"Validation accuracy {val['accuracy']:.4f} after epoch {finished.metrics['best_epoch']}, "
        f"trained in {duration(seconds)}. The bundle is {path}."
    )
