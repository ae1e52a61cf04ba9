"""A model loaded by a backend and ready to answer."""

import os
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.bundle.witnesses import Proof, Witnesses, compare_outputs, worst
from sightsmith.core.errors import BackendError, SettingsError

INPUT = "pixels"
"""Name of the exported graph's one input, (N, H, W, C) uint8."""

Arrays = dict[str, NDArray[Any]]

_BATCH_BYTES = 8 * 224 * 224 * 3
_BATCHES = (8, 64)
_REPLAYED = 16


def default_batch(shape: tuple[int, int, int]) -> int:
    """Return how many pictures of (H, W, C) a step takes where nobody says: 8 of 224×224, more of smaller ones."""
    return int(np.clip(_BATCH_BYTES // int(np.prod(shape)), *_BATCHES))


class Session(ABC):
    """A loaded model; safe to use from several threads.

    Attributes:
        precision: what it computes in, such as "bf16".
        shape: (H, W, C) of its input.
        outputs: names of what it can answer, in the graph's order.
    """

    def __init__(self, precision: str, shape: tuple[int, int, int], outputs: tuple[str, ...]) -> None:
        self.precision, self.shape, self.outputs = precision, shape, outputs
        self._process = os.getpid()

    def run(self, pixels_NHWC: NDArray[np.uint8], outputs: Sequence[str] = ()) -> Arrays:
        """Answer one batch.

        Args:
            pixels_NHWC: (N, H, W, C) uint8, N ≥ 1 as the caller likes.
            outputs: which outputs; all where empty. Only these are computed where the backend can.

        Returns:
            float32 by name, first axis N.

        Raises:
            SettingsError: the pixels have another shape or type, or there is no such output.
        """
        self.check(pixels_NHWC)
        return self._run(pixels_NHWC, self.chosen(outputs))

    def stream(
        self, batches: Iterable[NDArray[np.uint8]], outputs: Sequence[str] = ()
    ) -> Generator[Arrays, None, None]:
        """Answer many batches, in order, keeping the device busy while the next ones are made.

        Args:
            batches: as `run` takes; read only a few ahead of what was answered.
            outputs: as `run` takes.
        """
        names = self.chosen(outputs)
        for pixels_NHWC in batches:
            self.check(pixels_NHWC)
            yield self._run(pixels_NHWC, names)

    def replay(
        self, witnesses: Witnesses, limits: Mapping[str, float], *, kind: str, pixels: float | None = None
    ) -> Proof:
        """Answer the witnesses with every output and with the first alone, which backends may compile apart.

        Args:
            witnesses: of the bundle.
            limits: largest allowed difference of each output.
            kind: kind of prediction, a file's name in predictions/.
            pixels: what `pixel_difference` found, to be judged along.

        Returns:
            The worse of both in each respect.
        """
        forms = dict.fromkeys((self.outputs, self.outputs[:1]))
        answers = (self._answers(witnesses.pixels_NHWC, form) for form in forms)
        return worst([compare_outputs(witnesses.outputs, got, limits, kind=kind, pixels=pixels) for got in answers])

    def _answers(self, pixels_NHWC: NDArray[np.uint8], outputs: tuple[str, ...]) -> Arrays:
        starts = range(0, len(pixels_NHWC), _REPLAYED)
        parts = [self.run(pixels_NHWC[at : at + _REPLAYED], outputs) for at in starts]
        return {name: np.concatenate([part[name] for part in parts]) for name in outputs}

    @abstractmethod
    def describe(self) -> str:
        """Say in a few words what computes, such as `OpenVINO 2026.4, bf16, 2 threads`."""

    @abstractmethod
    def _run(self, pixels_NHWC: NDArray[np.uint8], outputs: tuple[str, ...]) -> Arrays:
        """Answer one checked batch."""

    def check(self, pixels_NHWC: NDArray[np.uint8]) -> None:
        """Raise SettingsError where an array cannot be this model's input."""
        if pixels_NHWC.dtype != np.uint8 or pixels_NHWC.shape[1:] != self.shape or len(pixels_NHWC) == 0:
            wanted = ", ".join(map(str, self.shape))
            raise SettingsError(
                f"pixels must be (N, {wanted}) uint8 with N ≥ 1, got {pixels_NHWC.shape} {pixels_NHWC.dtype}. "
                "Preprocessing.apply makes one picture's; numpy.stack makes a batch."
            )

    def chosen(self, outputs: Sequence[str]) -> tuple[str, ...]:
        """Return the asked outputs in the graph's order, all if none is asked; every answer begins here.

        Raises:
            SettingsError: there is no such output.
            BackendError: this process was forked from the one that loaded the model. A fork copies no threads, so a
                backend would wait for its own for ever.
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
