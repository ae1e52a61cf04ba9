"""The answers of a classifier over time: a track for each class, as high as its score.

Shapes: R ranges of time, K classes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sightsmith.kinds.labels.value import Labels
from sightsmith.kinds.parts.timeline import Ranges, Stretch, Track, stretches

EXPLAINS = "A bar is as high as the score of its class, up to 100 %, and in full colour when that is the best one."
_MOST = 6  # Tracks; of more classes those with the highest scores


def levels(answer: Labels) -> NDArray[np.float32]:
    """Return the levels of an answer, (K,) in 0…1: its scores."""
    return answer.scores_K


def chosen(answer: Labels) -> NDArray[np.bool_]:
    """Return which tracks are the answer, (K,): the best class alone."""
    return np.arange(len(answer.names)) == answer.index


def tracks(ranges: Ranges, names: Sequence[str]) -> list[Track]:
    """Return a track for each class, in the model's order, or for those that are ever surest."""
    best_R = ranges.shares_RK.argmax(axis=1)
    surest = np.argsort(-ranges.most_RK.max(axis=0), kind="stable")[:_MOST]
    return [
        Track(name=names[index], index=index, on_R=best_R == index, position=index) for index in sorted(surest.tolist())
    ]


def runs(ranges: Ranges, names: Sequence[str]) -> list[Stretch]:
    """Return the times in which one class is the best, each with its mean score."""
    best_R = ranges.shares_RK.argmax(axis=1)
    return stretches(ranges, [names[index] for index in best_R], ranges.means_RK[np.arange(len(best_R)), best_R])
