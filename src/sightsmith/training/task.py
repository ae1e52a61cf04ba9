"""The task that the settings name, with its own settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from numpy.typing import NDArray
from torch import nn

from sightsmith.core.errors import SettingsError
from sightsmith.core.settings import from_mapping
from sightsmith.inputs import INPUTS, Reader, items_of
from sightsmith.kinds import KINDS
from sightsmith.tasks import TASKS
from sightsmith.tasks.parts.learner import Calibration, Learner
from sightsmith.training.settings import TrainSettings


@dataclass(frozen=True, slots=True)
class TaskChoice:
    name: str
    file: ModuleType
    settings: Any

    @property
    def reads(self) -> str:
        """The input that the items of training are; what is learned may have another one."""
        return getattr(self.file, "READS", self.file.INPUT)

    @property
    def reads_other_input(self) -> bool:
        """Whether training reads another input than the trained model takes, and so data of any kind."""
        return hasattr(self.file, "READS")

    @property
    def input(self) -> ModuleType:
        return INPUTS.module(self.reads)

    @property
    def rate(self) -> str:
        """The unit of the speed of training, for people."""
        return getattr(INPUTS.module(items_of(self.reads)), "RATE", f"{self.nouns}/s")

    @property
    def nouns(self) -> str:
        """The items of training, plural, for messages."""
        nouns: str = INPUTS.module(items_of(self.reads)).NOUNS[1]
        return nouns

    @property
    def kind(self) -> ModuleType:
        return KINDS.module(self.file.KIND)

    def validation(self, answers: NDArray[Any], targets: NDArray[Any]) -> dict[str, float]:
        """Return the figures of an epoch by name, from the answers and the targets of all validation items."""
        figures: dict[str, float] = self.file.validation(answers, targets, self.settings)
        return figures

    def warning(self, answers: NDArray[Any], targets: NDArray[Any]) -> str:
        """Return what is wrong with the model by the same arrays; empty if nothing is."""
        asked = getattr(self.file, "warning", None)
        return "" if asked is None else asked(answers, targets)

    def names(self, names: tuple[str, ...], kind: str) -> tuple[str, ...]:
        """Return the names that the model knows, of those of data with truths of a kind."""
        asked = getattr(self.file, "names", None)
        return names if asked is None else asked(self.settings, names, kind)

    def reader(self, read: Reader, names: tuple[str, ...], nets: Mapping[str, nn.Module]) -> Reader:
        """Return how the items of the trained model become arrays; `read` is how those of training do."""
        if not self.reads_other_input:
            return read
        return Reader(self.file.INPUT, self.file.deployed(read.settings, names, nets))

    def calibration(self, learner: Learner | None = None) -> Calibration:
        """Return how its answers are calibrated; before training the learner is None."""
        asked = getattr(self.file, "calibration", None)
        return Calibration() if asked is None else asked(self.settings, learner)


def task_line(settings: TrainSettings, task: TaskChoice, kind: str, reads: str) -> str:
    """Return the line that says which task is trained, and why."""
    if "name" in settings.task:
        return f"Task: {task.name}, as --task says."
    truths, items = KINDS.module(kind).NOUNS[1], INPUTS.module(reads).NOUNS[1]
    return f"Task: {task.name}, because the truths are {truths} of {items}; --task names another."


def choose_task(settings: TrainSettings, kind: str, reads: str = "picture") -> TaskChoice:
    """Return the task that is trained: the named one, or the usual one of the data's kind of answer and input.

    Args:
        kind: of answer, of which the data has truths.
        reads: the input that the data's items are.

    Raises SettingsError: the task or one of its settings is unknown or out of range, or contradicts the others; or it
        learns another kind of answer than the data has, or from another input.
    """
    given = dict(settings.task)
    usual = KINDS.module(kind).TASKS
    if "name" not in given and reads not in usual:
        raise SettingsError(
            f"train: no task learns {KINDS.module(kind).NOUNS[1]} from {INPUTS.module(reads).NOUNS[1]}, only from "
            f"{' and '.join(INPUTS.module(one).NOUNS[1] for one in usual)}. Name other data, or --task."
        )
    name = str(given.pop("name", usual.get(reads)))
    file = TASKS.module(name)
    taken = items_of(getattr(file, "READS", file.INPUT))
    if taken != reads:
        wanted, known = (INPUTS.module(one).NOUNS[1] for one in (taken, reads))
        raise SettingsError(
            f"train: the task {name!r} learns from {wanted}, and the data is of {known}. Leave --task out, or "
            f"name data of {wanted}."
        )
    if kind != file.KIND and not hasattr(file, "READS"):
        learned, known = (KINDS.module(one).NOUNS[1] for one in (file.KIND, kind))
        raise SettingsError(
            f"train: the task {name!r} learns {learned}, and the data tells {known}. Leave --task out, or name "
            f"data of {learned}."
        )
    own = from_mapping(file.Settings, given, where="task")
    if hasattr(file, "check"):
        file.check(own, balanced=settings.balanced)
    return TaskChoice(name.replace("-", "_"), file, own)
