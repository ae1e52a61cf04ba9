"""One graph loaded by a backend and ready to answer."""

import os
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping, Sequence

import numpy as np

from sightsmith.core.errors import BackendError, SettingsError
from sightsmith.core.ports import Arrays, Port, check_feeds

_BATCH_BYTES = 8 * 224 * 224 * 3
_BATCHES = (8, 64)


def default_batch(ports: Mapping[str, Port]) -> int:
    """Return how many items a step takes by default: 8 pictures of 224×224, more of smaller ones."""
    return int(np.clip(_BATCH_BYTES // sum(port.bytes for port in ports.values()), *_BATCHES))


class Session(ABC):
    """A loaded graph; safe to use from several threads.

    Attributes:
        precision: of its arithmetic, such as "bf16".
        ports: its inputs by name.
        outputs: names of its outputs, in the graph's order.
    """

    def __init__(self, precision: str, ports: Mapping[str, Port], outputs: tuple[str, ...]) -> None:
        self.precision, self.ports, self.outputs = precision, ports, outputs
        self._process = os.getpid()

    def run(self, feeds: Arrays, outputs: Sequence[str] = ()) -> Arrays:
        """Answer one batch.

        Args:
            feeds: the inputs by name, N ≥ 1 items.
            outputs: which outputs; all if empty. Only these are computed if the backend can.

        Returns float32 by name, first axis N.

        Raises SettingsError: an input has another shape or type, or there is no such output.
        """
        check_feeds(self.ports, feeds)
        return self._run(feeds, self.chosen(outputs))

    def stream(self, batches: Iterable[Arrays], outputs: Sequence[str] = ()) -> Generator[Arrays, None, None]:
        """Answer many batches, in order, computing while the next ones are prepared; only a few are read ahead."""
        names = self.chosen(outputs)
        for feeds in batches:
            check_feeds(self.ports, feeds)
            yield self._run(feeds, names)

    @abstractmethod
    def describe(self) -> str:
        """Name the backend, precision and threads, such as `OpenVINO 2026.4, bf16, 2 threads`."""

    @abstractmethod
    def _run(self, feeds: Arrays, outputs: tuple[str, ...]) -> Arrays:
        """Answer one checked batch."""

    def chosen(self, outputs: Sequence[str]) -> tuple[str, ...]:
        """Return the requested outputs in the graph's order, all if none is requested.

        Raises:
            SettingsError: there is no such output.
            BackendError: this process was forked after the model was loaded. A fork copies no threads, so the
                backend would wait for its threads forever.
        """
        if os.getpid() != self._process:
            raise BackendError(
                "this model was loaded before the process was forked, and its threads stayed in the parent. Load it in "
                "the child, or start processes with multiprocessing's spawn method."
            )
        unknown = [name for name in outputs if name not in self.outputs]
        if unknown:
            raise SettingsError(f"this model has no output {unknown[0]!r}; it has {', '.join(self.outputs)}")
        return tuple(name for name in self.outputs if name in outputs or not outputs)
