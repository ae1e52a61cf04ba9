"""Frame by frame: each step reads one frame, and the state that the frames before it left.

The graph `step` takes a frame and the state: its inputs for which it also has an output with the next value. Before the
first frame every state is zero.

Shapes: N clips, T frames, H W C height, width and channels of a frame.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence

import numpy as np

from sightsmith.core.ports import Arrays, next_of
from sightsmith.runtime.session import Session

GRAPH = "step"


def step(
    sessions: Mapping[str, Session], feeds: Arrays, outputs: Sequence[str] = (), state: Arrays | None = None
) -> tuple[Arrays, Arrays]:
    """Return the outputs after one more frame of each clip, and the state after it.

    Args:
        feeds: the frame, (N, H, W, C).
        outputs: which, as of a session; all if empty.
        state: that of the step before; None at the start of the clips.
    """
    session = sessions[GRAPH]
    carried = _states(session)
    if state is None:
        count = len(next(iter(feeds.values())))
        state = {name: np.zeros((count, *session.ports[name].shape), session.ports[name].dtype) for name in carried}
    after = [next_of(name) for name in carried]
    arrays = session.run(feeds | state, (*outputs, *after) if outputs else ())
    return arrays, {name: arrays.pop(next_of(name)) for name in carried}


def stream(
    sessions: Mapping[str, Session], batches: Iterable[Arrays], outputs: Sequence[str] = ()
) -> Generator[Arrays, None, None]:
    """Yield the outputs after the last frame of whole clips, (N, T, H, W, C) a batch."""
    for feeds in batches:
        state: Arrays | None = None
        arrays: Arrays = {}
        for frame_NHWC in np.moveaxis(next(iter(feeds.values())), 1, 0):
            arrays, state = step(sessions, {frame_input(sessions): frame_NHWC}, outputs, state)
        yield arrays


def frame_input(sessions: Mapping[str, Session]) -> str:
    """Return the name of the input that takes a frame."""
    session = sessions[GRAPH]
    return next(name for name in session.ports if next_of(name) not in session.outputs)


def _states(session: Session) -> list[str]:
    return [name for name in session.ports if next_of(name) in session.outputs]
