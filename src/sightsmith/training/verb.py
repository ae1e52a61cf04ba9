"""Training, as the command line and Python call it: what can be refused at once is, before torch is imported."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sightsmith.core.command import say
from sightsmith.data.settings import SourceOptions
from sightsmith.data.source import require_data
from sightsmith.training.settings import TrainSettings
from sightsmith.training.work import WorkFolder

if TYPE_CHECKING:
    from sightsmith.training.fit import TrainResult


def train(settings: TrainSettings, *, quiet: bool = False) -> "TrainResult":
    """Train a classifier and write it as a bundle.

    Args:
        settings: what to train on, what, how, and where to.
        quiet: print nothing.

    Raises:
        OutputExistsError: `settings.out` is taken and nobody said that it may go, or a training is running there.
        SettingsError: a setting that the net, the task or the machine cannot follow.
        DataError: the data cannot be used.
        TrainingError: the loss is not a number, the disk is full, or somebody asked to stop; the work folder
            `OUT.train` then holds the last good checkpoint, and `resume` goes on from it.
    """
    settings = replace(settings, out=Path(settings.out))
    require_data(settings.data, SourceOptions(format=settings.format))
    with closing(WorkFolder(settings.out)) as work:
        work.take(settings)
        if not work.locked and not quiet:
            say(f"warning: this system cannot lock {work.path}; start no second training there while this one runs.")
        from sightsmith.training.fit import fit

        return fit(settings, work, quiet=quiet)
