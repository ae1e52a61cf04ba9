"""One pass through one graph: a picture in, its answer out."""

from collections.abc import Generator, Iterable, Mapping, Sequence

from sightsmith.core.ports import Arrays
from sightsmith.runtime.session import Session

GRAPH = "model"


def step(
    sessions: Mapping[str, Session], feeds: Arrays, outputs: Sequence[str] = (), state: None = None
) -> tuple[Arrays, None]:
    return sessions[GRAPH].run(feeds, outputs), state


def stream(
    sessions: Mapping[str, Session], batches: Iterable[Arrays], outputs: Sequence[str] = ()
) -> Generator[Arrays, None, None]:
    return sessions[GRAPH].stream(batches, outputs)
