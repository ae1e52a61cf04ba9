"""From trained weights to a bundle: the best weights, calibration, witnesses and documentation."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sightsmith.bundle.definition import Definition, Graph
from sightsmith.bundle.location import name_of
from sightsmith.bundle.manifest import Manifest, NetRecord, OriginRecord, TaskRecord, versions, weights_file
from sightsmith.bundle.settings import PAPERS
from sightsmith.bundle.store import Bundle, write_bundle
from sightsmith.bundle.witnesses import Witnesses, encode_items
from sightsmith.core.errors import BundleError, TrainingError
from sightsmith.core.machine import this_machine
from sightsmith.core.settings import to_mapping
from sightsmith.data.settings import READING
from sightsmith.inputs import Reader
from sightsmith.kinds import KINDS
from sightsmith.nets.build import BuiltNet
from sightsmith.runtime.runner import Runner
from sightsmith.runtime.torch_session import TorchSession
from sightsmith.tasks.parts.learner import Learner
from sightsmith.training.checkpoints import load_tree
from sightsmith.training.dataset import Dataset, Subset
from sightsmith.training.plan import Plan
from sightsmith.training.settings import TrainSettings
from sightsmith.training.task import TaskChoice
from sightsmith.training.trainer import Loaders, outputs_of
from sightsmith.training.work_folder import WorkFolder


@dataclass(frozen=True, slots=True)
class Fitted:
    """A learner that has learned; its best weights are in the work folder."""

    task: TaskChoice
    plan: Plan
    nets: Mapping[str, BuiltNet]  # its nets by role, as they were built
    learner: Learner  # the learner
    read: Reader  # how items become its input


def finalize(
    fitted: Fitted,
    settings: TrainSettings,
    work: WorkFolder,
    dataset: Dataset,
    val: Subset,
    loaders: Loaders,
    *,
    seconds: float,
) -> tuple[Bundle, dict[str, Any]]:
    """Take the best weights, calibrate, make the witnesses and write the bundle.

    Returns:
        The bundle, opened, and its metrics.

    Raises TrainingError: the disk is full; the work folder stays.
    """
    best = load_tree(work.best)
    learner, task = fitted.learner, fitted.task
    weights = {name.removeprefix("learner."): tensor for name, tensor in best["weights"].items()}
    learner.load_state_dict(weights)
    answers, targets = outputs_of(learner, loaders.val, fitted.plan)
    figures = task.file.validation(answers, targets, task.settings)
    held_out = loaders.calibration is not loaders.val
    shown = outputs_of(learner, loaders.calibration, fitted.plan) if held_out else (answers, targets)
    calibration = task.calibration(learner)
    if calibration.held_out and not held_out:
        shown = answers[:0], targets[:0]  # validation picked the epoch, so its errors are too small
    calibrated, after = KINDS.module(task.file.KIND).calibrate(*shown, **calibration.options)
    calibrated = {**dataset.source.details, **calibrated}
    metrics = {"val": {**figures, **after, "count": len(targets)}, "best_epoch": best["epoch"]}
    learner.cpu().eval()
    definition = _definition(fitted, dataset.source.names, calibrated)
    manifest = Manifest(
        name=name_of(settings.bundle_path),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=TaskRecord(name=task.name, settings=to_mapping(task.settings)),
        nets={role: _net_record(role, built) for role, built in fitted.nets.items()},
        definition=definition,
        definition_digest=definition.digest(),
        papers={name: text for name in PAPERS if (text := getattr(settings, name))},
        data={**dataset.to_json(), **{name: getattr(settings, name) for name in READING}},
        metrics=metrics,
        training={
            "settings": to_mapping(settings),
            "plan": fitted.plan.to_json(),
            "seconds": round(seconds, 1),
            "machine": str(this_machine()),
        },
        versions=versions(),
    )
    try:
        written = write_bundle(
            settings.bundle_path,
            manifest,
            weights={role: _arrays(built.module) for role, built in fitted.nets.items()},
            witnesses=_witnesses(settings.witnesses, val, fitted, definition),
            splits=dataset.splits.to_json(),
            files=_report(work, settings, dataset),
            overwrite=settings.overwrite,
        )
    except BundleError as error:
        raise TrainingError(
            f"{error} The trained weights are in {work.path}; once that is put right, the same command with --resume "
            "writes the bundle."
        ) from error
    return written, metrics


def _net_record(role: str, built: BuiltNet) -> NetRecord:
    start = built.weights
    return NetRecord(
        name=built.name,
        settings=dict(built.settings),
        paper=built.paper,
        licence=built.licence,
        parameters=sum(parameter.numel() for parameter in built.module.parameters()),
        file=weights_file(role),
        weights=OriginRecord(origin=start.origin, licence=start.licence, sha256=start.sha256),
    )


def _definition(fitted: Fitted, names: tuple[str, ...], calibrated: dict[str, Any]) -> Definition:
    read, task = fitted.read, fitted.task
    graph = Graph(inputs=read.ports(), outputs=tuple(task.file.OUTPUTS), settings=fitted.learner.graph_settings)
    return Definition(
        input=read.name,
        input_settings=read.settings,
        kind=task.file.KIND,
        names=names,
        calibrated=calibrated,
        programs=task.file.PROGRAMS,
        graphs={"model": graph},
    )


def _arrays(net: torch.nn.Module) -> dict[str, NDArray[Any]]:
    return {name: tensor.detach().contiguous().numpy() for name, tensor in net.state_dict().items()}


def _witnesses(count: int, val: Subset, fitted: Fitted, definition: Definition) -> Witnesses:
    """Run the nets as they are served, in fp32, on a few validation pictures of as many classes as possible."""
    chosen = _one_of_each(val.strata_N, count)
    items, inputs = encode_items([val.pictures[place] for place in chosen], definition)
    nets = {role: built.module for role, built in fitted.nets.items()}
    session = TorchSession(fitted.task.name, nets, definition, "fp32", graph="model")
    return Witnesses(items, inputs, Runner(definition, {"model": session}).run(inputs))


def _one_of_each(strata_N: NDArray[np.int64], count: int) -> list[int]:
    """Return up to `count` positions: the first picture of each class, then the second ones, and so on."""
    turn_N = np.zeros(len(strata_N), dtype=np.int64)
    for one in np.unique(strata_N):
        places = np.flatnonzero(strata_N == one)
        turn_N[places] = np.arange(len(places))
    return np.lexsort((strata_N, turn_N))[:count].tolist()


def _report(work: WorkFolder, settings: TrainSettings, dataset: Dataset) -> dict[str, bytes | str | Path]:
    files: dict[str, bytes | str | Path] = {
        "report/metrics.csv": work.metrics,
        "report/steps.csv": work.steps,
        "report/run.toml": work.rerun(settings),
        "report/gate.txt": dataset.gate.to_text(),
    }
    extra = [*work.path.glob("lr_find.*"), *(path for path in work.path.glob("tensorboard/**/*") if path.is_file())]
    files |= {f"report/{path.relative_to(work.path).as_posix()}": path for path in sorted(extra)}
    return files
