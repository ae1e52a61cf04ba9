"""A training that is ready to learn: everything that was decided before."""

from collections.abc import Mapping
from dataclasses import dataclass

from sightsmith.inputs import Reader
from sightsmith.nets.parts.records import BuiltNet
from sightsmith.tasks.parts.learner import Learner
from sightsmith.training.plan import Plan, Tell
from sightsmith.training.settings import TrainSettings
from sightsmith.training.task import TaskChoice
from sightsmith.training.work_folder import WorkFolder


@dataclass(frozen=True, slots=True)
class Run:
    settings: TrainSettings
    work: WorkFolder
    task: TaskChoice
    plan: Plan
    read: Reader  # how items become the learner's input
    nets: Mapping[str, BuiltNet]  # by role, as they were built
    learner: Learner
    tell: Tell
    quiet: bool
