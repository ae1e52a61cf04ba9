"""Which frames of a clip an answer depends on: occlusion in time; any backend.

Paper: Mänttäri et al., "Interpreting Video Features: A Comparison of 3D Convolutional Networks and Convolutional LSTM
Networks", ACCV 2020, arXiv:2002.00367: its "freeze" replaces frames by the last one before them. So the movement is
missing, but every frame is one that a camera could have taken; a frame of the clip's mean colours is one that the net
never saw, and the answer to it says little.
Deviations: each frame is frozen by itself instead of a mask that is optimised, and the first frame, which has none
before it, is replaced by the second.
Shapes: T frames, H W C the input's height, width and channels.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sightsmith.explanation.subject import Subject
from sightsmith.kinds.parts.answer import Aspect


def frame_falls(model: Subject, frames_THWC: NDArray[np.uint8], aspect: Aspect) -> NDArray[np.float32]:
    """Return by how much an aspect gets weaker, in the kind's strength, when each frame is frozen, (T,).

    Zero for the frame of a clip of one frame.
    """
    strengths_P = model.strengths(_frozen(frames_THWC), aspect)
    return strengths_P[0] - strengths_P[1:]


def _frozen(frames_THWC: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield the clip, and then the clip with each of its frames frozen."""
    yield frames_THWC
    last = len(frames_THWC) - 1
    for place in range(last + 1):
        frozen_THWC = frames_THWC.copy()
        frozen_THWC[place] = frames_THWC[place - 1 if place else min(1, last)]
        yield frozen_THWC
