"""From trained weights to a bundle: the best weights, calibration, witnesses and documentation."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
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
from sightsmith.core.ports import Signature
from sightsmith.core.settings import to_mapping
from sightsmith.data.settings import READING
from sightsmith.inputs import Reader
from sightsmith.nets.parts.records import BuiltNet
from sightsmith.runtime.programs import PROGRAMS
from sightsmith.runtime.runner import Runner
from sightsmith.runtime.torch_session import TorchSession
from sightsmith.training.checkpoints import load_tree
from sightsmith.training.dataset import Dataset, Subset
from sightsmith.training.run import Run
from sightsmith.training.settings import TrainSettings
from sightsmith.training.trainer import Loaders, outputs_of
from sightsmith.training.work_folder import WorkFolder

_NONE: Mapping[str, str] = {}


def finalize(
    run: Run, loaders: Loaders, dataset: Dataset, seconds: float, *, baselines: Mapping[str, str] = _NONE
) -> Bundle:
    """Take the best weights, calibrate, make the witnesses, write the bundle and return it opened.

    Args:
        seconds: that training took.
        baselines: of the nets that were fitted beside it, by name, why one was left out, else an empty text.

    Raises TrainingError: the disk is full; the work folder stays.
    """
    settings, work, task, read, learner = run.settings, run.work, run.task, run.read, run.learner
    best = load_tree(work.best)
    learner.load_state_dict({name.removeprefix("learner."): tensor for name, tensor in best["weights"].items()})
    answers, targets = outputs_of(run, loaders.val)
    figures = task.validation(answers, targets)
    held_out = loaders.calibration is not loaders.val
    shown = outputs_of(run, loaders.calibration) if held_out else (answers, targets)
    calibration = task.calibration(learner)
    if calibration.held_out and not held_out:
        shown = answers[:0], targets[:0]  # validation picked the epoch, so its errors are too small
    calibrated, after = task.kind.calibrate(*shown, **calibration.options)
    learner.cpu().eval()
    names = task.names(dataset.source.names, dataset.source.kind)
    nets = {role: run.nets[role] for role in getattr(task.file, "KEPT", run.nets)}
    takes = task.reader(read, names, {role: built.module for role, built in nets.items()})
    graphs = graphs_of(task.file, nets, takes, learner.graph_settings)
    definition = Definition(
        input=takes.name,
        input_settings=takes.settings,
        kind=task.file.KIND,
        names=names,
        calibrated={**dataset.source.details, **calibrated},
        programs=programs_of(task.file, graphs),
        graphs=graphs,
    )
    manifest = Manifest(
        name=name_of(settings.bundle_path),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=TaskRecord(name=task.name, settings=to_mapping(task.settings)),
        nets={role: _net_record(role, built) for role, built in nets.items()},
        definition=definition,
        definition_digest=definition.digest(),
        papers={name: text for name in PAPERS if (text := getattr(settings, name))},
        data={**dataset.to_json(), **{name: getattr(settings, name) for name in READING}},
        metrics={
            "val": {**figures, **after, "count": len(targets), **_measured_with(task.kind)},
            "best_epoch": best["epoch"],
        },
        training={
            "settings": to_mapping(settings),
            "plan": run.plan.to_json(),
            "seconds": round(seconds, 1),
            "machine": str(this_machine()),
            **({"baselines": dict(baselines)} if baselines else {}),
        },
        versions=versions(),
    )
    try:
        return write_bundle(
            settings.bundle_path,
            manifest,
            weights={role: _arrays(built.module) for role, built in nets.items()},
            witnesses=_witnesses(
                run, {role: built.module for role, built in nets.items()}, dataset.part("val"), definition
            ),
            splits=dataset.splits.to_json(),
            files=_report(work, _repeatable(run), dataset),
            overwrite=settings.overwrite,
        )
    except BundleError as error:
        raise TrainingError(
            f"{error} The trained weights are in {work.path}; once that is put right, the same command with --resume "
            "writes the bundle."
        ) from error


def _measured_with(kind: Any) -> dict[str, Any]:
    """Return what the figures of a kind are measured with, if that must stand beside them."""
    return {"measured_with": kind.MEASURED_WITH} if hasattr(kind, "MEASURED_WITH") else {}


def graphs_of(
    task: ModuleType, nets: Mapping[str, BuiltNet], takes: Reader, settings: Mapping[str, Any]
) -> dict[str, Graph]:
    """Return the graphs of a trained model by name: `model`, and those that its task has besides.

    Args:
        nets: that the model keeps, by role.
        takes: the model's input.
        settings: of the graphs, from the learner.
    """
    signatures: dict[str, Signature] = {"model": (takes.ports(), tuple(task.OUTPUTS))}
    if hasattr(task, "further"):
        signatures |= task.further({role: built.module for role, built in nets.items()}, takes.settings)
    return {
        name: Graph(inputs=ports, outputs=outputs, settings=dict(settings))
        for name, (ports, outputs) in signatures.items()
    }


def programs_of(task: ModuleType, graphs: Mapping[str, Graph]) -> tuple[str, ...]:
    """Return the programs of a task whose graph a model has."""
    return tuple(name for name in task.PROGRAMS if PROGRAMS.module(name).GRAPH in graphs)


def _net_record(role: str, built: BuiltNet) -> NetRecord:
    start = built.weights
    return NetRecord(
        name=built.name,
        settings=dict(built.settings),
        paper=built.paper,
        licence=built.licence,
        parameters=sum(parameter.numel() for parameter in built.module.parameters()),
        file=weights_file(role),
        fitted=built.fitted,
        holds=built.holds,
        weights=OriginRecord(origin=start.origin, licence=start.licence, sha256=start.sha256),
    )


def _arrays(net: torch.nn.Module) -> dict[str, NDArray[Any]]:
    return {name: tensor.detach().contiguous().numpy() for name, tensor in net.state_dict().items()}


def _witnesses(run: Run, nets: Mapping[str, torch.nn.Module], val: Subset, definition: Definition) -> Witnesses:
    """Run the nets as they are served, in fp32, on a few validation pictures of as many classes as possible."""
    if hasattr(run.task.file, "witnesses"):
        chosen = run.task.file.witnesses(run.settings.witnesses, definition.names)
    else:
        chosen = [val.pictures[place] for place in _one_of_each(val.strata_N, run.settings.witnesses)]
    items, inputs = encode_items(chosen, definition)
    session = TorchSession(run.task.name, nets, definition, "fp32", graph="model")
    return Witnesses(items, inputs, Runner(definition, {"model": session}).run(inputs))


def _one_of_each(strata_N: NDArray[np.int64], count: int) -> list[int]:
    """Return up to `count` positions: the first picture of each class, then the second ones, and so on."""
    turn_N = np.zeros(len(strata_N), dtype=np.int64)
    for one in np.unique(strata_N):
        places = np.flatnonzero(strata_N == one)
        turn_N[places] = np.arange(len(places))
    return np.lexsort((strata_N, turn_N))[:count].tolist()


def _repeatable(run: Run) -> TrainSettings:
    """Return the settings with the epochs that the minutes came to: another machine's would be others."""
    if run.settings.minutes is None:
        return run.settings
    plan = run.plan
    return replace(run.settings, minutes=None, epochs=plan.epochs.value, epoch_share=plan.epoch_share.value)


def _report(work: WorkFolder, settings: TrainSettings, dataset: Dataset) -> dict[str, bytes | str | Path]:
    written = [
        path
        for pattern in ("*.csv", "*.svg", "rules.txt", "tensorboard/**/*")
        for path in sorted(work.path.glob(pattern))
    ]
    return {
        **{f"report/{path.relative_to(work.path).as_posix()}": path for path in written if path.is_file()},
        "report/run.toml": work.rerun(settings),
        "report/gate.txt": dataset.gate.to_text(),
    }
