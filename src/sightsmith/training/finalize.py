"""From trained weights to a bundle: the best weights, the temperature, the witnesses, the papers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sightsmith.bundle.definition import Definition, Graph
from sightsmith.bundle.draft import BundleDraft
from sightsmith.bundle.location import name_of
from sightsmith.bundle.manifest import NetRecord, OriginRecord, TaskRecord
from sightsmith.bundle.store import Bundle, write_bundle
from sightsmith.bundle.witnesses import Witnesses, encode_items
from sightsmith.core.catalogue import Catalogue
from sightsmith.core.errors import BundleError, TrainingError
from sightsmith.core.machine import this_machine
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.core.settings import to_mapping
from sightsmith.data.loading import Loader
from sightsmith.inputs import INPUTS
from sightsmith.nets.build import BuiltNet
from sightsmith.predictions import KINDS
from sightsmith.predictions.parts.temperature import cross_entropy
from sightsmith.runtime.runner import Runner
from sightsmith.runtime.torch_session import TorchSession
from sightsmith.training.checkpoints import load_tree
from sightsmith.training.dataset import Dataset, Subset
from sightsmith.training.plan import Plan
from sightsmith.training.settings import TrainSettings
from sightsmith.training.trainer import outputs_of
from sightsmith.training.work_folder import WorkFolder

TASKS = Catalogue("sightsmith.tasks", "task")
TASK = "classify"
"""The task that is trained where the settings name no other."""


@dataclass(frozen=True, slots=True)
class Finalized:
    """The bundle, opened, and its metrics."""

    bundle: Bundle
    metrics: dict[str, Any]


def task_of(settings: TrainSettings) -> tuple[str, dict[str, Any]]:
    given = dict(settings.task)
    return str(given.pop("name", TASK)), given


def finalize(
    *,
    settings: TrainSettings,
    plan: Plan,
    work: WorkFolder,
    dataset: Dataset,
    preprocessing: Preprocessing,
    built: BuiltNet,
    task: Any,
    val: Subset,
    val_loader: Loader,
    seconds: float,
) -> Finalized:
    """Write the bundle.

    Raises:
        TrainingError: the disk is full; the work folder stays.
    """
    best = load_tree(work.best)
    task.load_state_dict(best["weights"])
    logits_NK, targets_N = outputs_of(task, val_loader, plan)
    calibrated = KINDS.module(task.KIND).calibrate(logits_NK, targets_N)
    metrics = {"val": _metrics(logits_NK, targets_N, calibrated["temperature"]), "best_epoch": best["epoch"]}
    task.cpu().eval()
    record = TaskRecord(name=task_of(settings)[0], settings=to_mapping(task.settings))
    definition = _definition(preprocessing, dataset.source.classes, task, calibrated)
    draft = BundleDraft(
        name=name_of(settings.bundle_path),
        task=record,
        nets={"net": _net_record(built)},
        definition=definition,
        weights={"net": _arrays(task.net)},
        witnesses=_witnesses(settings.witnesses, val, record.name, task.net, definition),
        splits=dataset.splits.to_json(),
        data={**dataset.to_json(), "group_by": settings.group_by, "label_by": settings.label_by},
        metrics=metrics,
        training={
            "settings": to_mapping(settings),
            "plan": plan.to_json(),
            "seconds": round(seconds, 1),
            "machine": str(this_machine()),
        },
        files=_report(work, settings, dataset),
    )
    try:
        bundle = write_bundle(settings.bundle_path, draft, overwrite=settings.overwrite)
    except BundleError as error:
        raise TrainingError(
            f"{error} The trained weights are in {work.path}; once that is put right, the same command with --resume "
            "writes the bundle."
        ) from error
    return Finalized(bundle, metrics)


def _net_record(built: BuiltNet) -> NetRecord:
    start = built.weights
    return NetRecord(
        name=built.name,
        settings=dict(built.settings),
        paper=built.paper,
        licence=built.licence,
        parameters=sum(parameter.numel() for parameter in built.module.parameters()),
        weights=OriginRecord(origin=start.origin, licence=start.licence, sha256=start.sha256),
    )


def _definition(
    preprocessing: Preprocessing, names: tuple[str, ...], task: Any, calibrated: dict[str, Any]
) -> Definition:
    ports = INPUTS.module(task.INPUT).ports(preprocessing)
    return Definition(
        input=task.INPUT,
        input_settings=preprocessing,
        kind=task.KIND,
        names=names,
        calibrated=calibrated,
        programs=("once",),
        graphs={"model": Graph(inputs=ports, outputs=tuple(task.OUTPUTS))},
    )


def _metrics(logits_NK: NDArray[np.float32], targets_N: NDArray[np.int64], temperature: float) -> dict[str, Any]:
    return {
        "accuracy": float((logits_NK.argmax(axis=1) == targets_N).mean()),
        "loss": cross_entropy(logits_NK, targets_N),
        "loss_at_temperature": cross_entropy(logits_NK, targets_N, temperature),
        "count": len(targets_N),
    }


def _arrays(net: torch.nn.Module) -> dict[str, NDArray[Any]]:
    return {name: tensor.detach().contiguous().numpy() for name, tensor in net.state_dict().items()}


def _witnesses(count: int, val: Subset, task: str, net: torch.nn.Module, definition: Definition) -> Witnesses:
    """Run the net as it is served, in fp32, on a few validation pictures of as many classes as possible."""
    chosen = _one_of_each(val.targets_N, count)
    items, inputs = encode_items([val.pictures[place] for place in chosen], definition)
    session = TorchSession(task, {"net": net}, definition, "fp32", graph="model")
    return Witnesses(items, inputs, Runner(definition, {"model": session}).run(inputs))


def _one_of_each(targets_N: NDArray[np.int64], count: int) -> list[int]:
    """Return up to `count` positions: the first picture of each class, then the second ones, and so on."""
    turn_N = np.zeros(len(targets_N), dtype=np.int64)
    for one in np.unique(targets_N):
        places = np.flatnonzero(targets_N == one)
        turn_N[places] = np.arange(len(places))
    return np.lexsort((targets_N, turn_N))[:count].tolist()


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
