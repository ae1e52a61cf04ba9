"""The task that the settings name, with its own settings."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

from sightsmith.core.errors import SettingsError
from sightsmith.core.settings import from_mapping
from sightsmith.kinds import KINDS
from sightsmith.tasks import TASKS
from sightsmith.tasks.parts.learner import Calibration, Learner
from sightsmith.training.settings import TrainSettings


@dataclass(frozen=True, slots=True)
class TaskChoice:
    """A task: its name, its file, and its settings."""

    name: str
    file: ModuleType
    settings: Any

    def calibration(self, learner: Learner | None = None) -> Calibration:
        """Return how its answers are calibrated; before training the learner is None."""
        asked = getattr(self.file, "calibration", None)
        return Calibration() if asked is None else asked(self.settings, learner)


def choose_task(settings: TrainSettings, kind: str) -> TaskChoice:
    """Return the task that is trained: the named one, or the usual one of the data's kind of answer.

    Args:
        kind: kind of answer of the data.

    Raises SettingsError: the task or one of its settings is unknown or out of range, or contradicts the others; or it
        learns another kind of answer than the data has.
    """
    given = dict(settings.task)
    name = str(given.pop("name", KINDS.module(kind).TASK))
    file = TASKS.module(name)
    if kind != file.KIND:
        learned, known = (KINDS.module(one).NOUNS[1] for one in (file.KIND, kind))
        raise SettingsError(
            f"train: the task {name!r} learns {learned}, and the data tells {known}. Leave --task.name out, or name "
            f"data of {learned}."
        )
    own = from_mapping(file.Settings, given, where="task")
    if hasattr(file, "check"):
        file.check(own, balanced=settings.balanced)
    return TaskChoice(name.replace("-", "_"), file, own)
