"""The task that the settings name, with its own settings."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

from sightsmith.core.settings import from_mapping
from sightsmith.tasks import TASKS
from sightsmith.training.settings import TrainSettings

DEFAULT = "classify"  # The task that is trained where the settings name no other


@dataclass(frozen=True, slots=True)
class TaskChoice:
    """A task: its name, its file, and its settings."""

    name: str
    file: ModuleType
    settings: Any


def choose_task(settings: TrainSettings) -> TaskChoice:
    """Return the task that is trained.

    Raises SettingsError: the task or one of its settings is unknown or out of range, or contradicts the others.
    """
    given = dict(settings.task)
    name = str(given.pop("name", DEFAULT))
    file = TASKS.module(name)
    own = from_mapping(file.Settings, given, where="task")
    file.check(own, balanced=settings.balanced)
    return TaskChoice(name.replace("-", "_"), file, own)
