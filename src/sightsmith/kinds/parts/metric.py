"""The headline metric of a kind of answer."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric, and how two values of it are compared."""

    name: str  # key in JSON and in the record of a training
    title: str  # for people
    higher: bool = True  # whether higher values are better
    relative: bool = False  # whether a drop is relative to the earlier value, because the metric has a unit
    fewest: int = 1  # samples that it can be computed on
    most_drop: float = 0.005  # by which it may be worse after an export, in 0…1; a share of it if it is relative
    least_alike: float = 0.99  # share of the items that must have the same answer after an export

    @property
    def worst(self) -> float:
        """The worst possible value, ±infinity."""
        return -math.inf if self.higher else math.inf

    def better(self, value: float, than: float) -> bool:
        return value > than if self.higher else value < than

    def drop(self, before: float, after: float) -> float:
        """Return how much worse a value became, negative if it became better."""
        lost = before - after if self.higher else after - before
        return lost / max(abs(before), 1e-12) if self.relative else lost
