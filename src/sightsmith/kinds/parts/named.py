"""What kinds share whose answers have a score for each of some names.

Shapes: K names.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.errors import SettingsError
from sightsmith.core.names import did_you_mean, shortened
from sightsmith.kinds.parts.answer import Answer, Aspect

STRENGTH = "log-probability, nats"  # Unit of `strength_of`
_TINY = 1e-7


class NamedScores(Answer):
    """An answer with a score for each name, and their evidence."""

    __slots__ = ()
    NOUN: ClassVar[str]
    names: tuple[str, ...]
    scores_K: NDArray[np.float32]  # in the order of the names

    @property
    def index(self) -> int:
        """Index of the best score."""
        return int(self.scores_K.argmax())

    def order(self) -> list[int]:
        """Return the indices of the names, best score first; equal scores in the order of the names."""
        return np.argsort(-self.scores_K, kind="stable").tolist()

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the names and scores of the `k` best, best first."""
        return [(self.names[at], float(self.scores_K[at])) for at in self.order()[: max(0, k)]]

    def aspect(self, name: str | None = None) -> Aspect:
        """Return the aspect to explain: that of the name, or the best.

        Raises SettingsError: there is no such name.
        """
        if name is not None and name not in self.names:
            raise SettingsError(f"the model has no {self.NOUN} {shortened(name)!r}. {did_you_mean(name, self.names)}")
        index = self.index if name is None else self.names.index(name)
        return Aspect(index, self.names[index], float(self.scores_K[index]))

    def score_of(self, aspect: Aspect) -> float:
        """Return the score of an aspect of another answer, 0…1."""
        return float(self.scores_K[aspect.index])

    def strength_of(self, aspect: Aspect) -> float:
        """Return its logarithm, in nats, which still moves if the model is sure."""
        return float(np.log(max(self.score_of(aspect), _TINY)))


def spread(truths: Sequence[Any], details: Mapping[str, Any]) -> tuple[str, list[tuple[str, int]]]:
    """Return nothing: how many samples each name has is counted by name."""
    return "", []


def unlike(details: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Return an empty text: names have no unit that could differ."""
    return ""
