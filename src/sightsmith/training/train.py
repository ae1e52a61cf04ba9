"""The verb `train`: errors in the data are found before torch is imported."""

from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from sightsmith.bundle.store import Bundle
from sightsmith.core.command import say
from sightsmith.core.errors import OutputExistsError, SettingsError
from sightsmith.data.settings import SourceOptions
from sightsmith.data.source import require_data
from sightsmith.training.dataset import load_dataset, report_dataset
from sightsmith.training.settings import TrainSettings
from sightsmith.training.work_folder import WorkFolder


def train(settings: TrainSettings, *, quiet: bool = False) -> Bundle:
    """Train a model, write it as a bundle and return that, opened.

    Args:
        settings: data, net, hyper-parameters and output folder.

    Raises:
        OutputExistsError: `settings.out` exists and `overwrite` is false, or a training is running there.
        SettingsError: a setting that the net, the task or the machine cannot follow.
        DataError: the data cannot be used.
        TrainingError: the loss is not a number, the disk is full, or it was stopped; the work folder
            `OUT.train` then holds the last good checkpoint, and `resume` goes on from it.
    """
    require_data(settings.data, SourceOptions(format=settings.format))
    named = settings.out is not None
    settings, work = taken(settings)
    with closing(work):
        if not named and not quiet:
            say(f"The bundle goes to {settings.out}; --out names another place.")
        if not work.locked and not quiet:
            say(f"warning: this system cannot lock {work.path}; start no second training there while this one runs.")
        with work.gone_on_error():
            work.start(settings)
            dataset = load_dataset(settings, quiet=quiet)
            if not quiet:
                report_dataset(dataset, settings)
            from sightsmith.training.fit import fit

            return fit(settings, work, dataset, quiet=quiet)


def taken(settings: TrainSettings) -> tuple[TrainSettings, WorkFolder]:
    """Return the settings with a path for the bundle, and its locked work folder.

    Without `out` the first free name is used; the lock gives simultaneous trainings different names.
    """
    if settings.out is not None:
        work = WorkFolder(Path(settings.out))
        work.take(settings)
        return settings, work
    if settings.resume or settings.overwrite:
        asked = "resume" if settings.resume else "overwrite"
        raise SettingsError(f"train: --{asked} needs --out, the folder of the training that it is about.")
    name = Path(settings.data).resolve()
    stem = (name.stem if name.is_file() else name.name).strip(".") or "model"
    number = 0
    while True:
        number += 1
        placed = replace(settings, out=Path("runs", stem if number == 1 else f"{stem}-{number}"))
        work = WorkFolder(placed.bundle_path)
        with suppress(OutputExistsError):
            work.take(placed)
            return placed, work
