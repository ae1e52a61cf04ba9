"""Running a model on items, the same way in every backend.

Threads read the next items while the backend computes; only a bounded number is in memory.
Importing this file imports no torch.

Shapes: N items of a batch.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from sightsmith.bundle.definition import Definition
from sightsmith.bundle.witnesses import Proof, Witnesses, compare_answers, input_difference, worst
from sightsmith.core.errors import BundleError, PictureError, SettingsError
from sightsmith.core.images import describe
from sightsmith.core.machine import usable_cores
from sightsmith.core.placement import UNBOUNDED, Bounds, Placement
from sightsmith.core.ports import Arrays, count, part, stack
from sightsmith.inputs import INPUTS
from sightsmith.kinds import KINDS
from sightsmith.runtime.programs import PROGRAMS
from sightsmith.runtime.session import Session, default_batch

Item = Any  # An item of the model's input; of `picture` a path, encoded bytes, an array or a PIL image
Value = Any  # An answer of the model's kind, such as `Labels`

_REPLAYED = 16


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """The result of one item: its answer, or why there is none.

    Attributes:
        index: its place among the items given, from 0.
        name: for messages: its path if it has one.
        prediction: the answer, or None.
        error: why it could not be read, or None.
    """

    index: int
    name: str
    prediction: Value | None = None
    error: PictureError | None = None


@dataclass(slots=True)
class _Group:
    """Items of one batch, with the unreadable items between them."""

    rows: list[tuple[int, str, PictureError | None]] = field(default_factory=list)
    feeds: list[Arrays] = field(default_factory=list)


class Runner:
    """The graphs of a model in one backend; safe to use from several threads.

    Attributes:
        definition: everything but the weights that determines the answers.
        sessions: its graphs by name, loaded.
        kind: the module of its kind of answer.
        tolerance: by part of an answer, how far it may be from the trained model's.
    """

    def __init__(
        self, definition: Definition, sessions: Mapping[str, Session], tolerance: Mapping[str, float] | None = None
    ) -> None:
        self.definition, self.sessions = definition, sessions
        self.kind = KINDS.module(definition.kind)
        self.tolerance = tolerance or self.kind.TOLERANCES[self.precision]
        self._input = INPUTS.module(definition.input)
        self._program = PROGRAMS.module(definition.programs[0])

    @property
    def _first(self) -> Session:
        return next(iter(self.sessions.values()))

    @property
    def precision(self) -> str:
        return self._first.precision

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs; every answer needs at least the first."""
        return self.definition.outputs

    def describe(self) -> str:
        """Name the backend, its version and its precision."""
        return self._first.describe()

    def feeds(self, item: Item, bounds: Bounds = UNBOUNDED) -> Arrays:
        """Return the inputs that one item becomes, by name, without the batch's axis.

        Raises PictureError: it cannot be read within the bounds.
        """
        made: Arrays = self._input.feeds(item, self.definition.input_settings, bounds)
        return made

    def placement(self, item: Item) -> Placement:
        """Return which part of the upright original the inputs of an item show."""
        shown: Placement = self._input.placement(item, self.definition.input_settings)
        return shown

    def predict(
        self, items: Iterable[Item], batch: int | None = None, outputs: Sequence[str] = ()
    ) -> Iterator[Outcome]:
        """Answer items lazily and in order; an unreadable item does not stop the rest.

        Args:
            items: read only a few batches ahead.
            batch: items a step; None chooses by the size of the input.
            outputs: further outputs, such as `("class_map",)`.
        """
        if batch is not None and batch < 1:
            raise SettingsError(f"batch must be ≥ 1, got {batch}")
        return self._predict(iter(items), batch or default_batch(self._first.ports), self._with_first(outputs))

    def predict_one(self, item: Item, outputs: Sequence[str] = ()) -> Value:
        """Answer one item. Raises PictureError: it cannot be read."""
        return self.decode(self.run(stack([self.feeds(item)]), self._with_first(outputs)))[0]

    def run(self, feeds: Arrays, outputs: Sequence[str] = ()) -> Arrays:
        """Return the outputs for one batch of inputs; all outputs if none is asked.

        Returns:
            float32 by name, first axis N.
        """
        arrays: Arrays = self._program.step(self.sessions, feeds, outputs, None)[0]
        return arrays

    def stream(self, batches: Iterable[Arrays], outputs: Sequence[str] = ()) -> Generator[Arrays, None, None]:
        """Return the outputs for many batches, in order, as `run` for each."""
        arrays: Generator[Arrays, None, None] = self._program.stream(self.sessions, batches, outputs)
        return arrays

    def decode(self, outputs: Arrays) -> list[Value]:
        """Return the answers of a batch from its outputs."""
        made: list[Value] = self.kind.decode(outputs, self.definition.names, self.definition.calibrated)
        return made

    def replay(self, witnesses: Witnesses, *, reread: bool = True) -> Proof:
        """Answer the witnesses with every output, and with the first alone, which backends may compile separately.

        Args:
            reread: read the items again too, and compare the inputs that they become.

        Returns:
            The worse of the two results, figure by figure.
        """
        pixels = input_difference(witnesses, self.definition) if reread else None
        forms = dict.fromkeys((self.outputs, self.outputs[:1]))
        answers = [self._answers(witnesses.inputs, form) for form in forms]
        for arrays in answers:
            _check_shapes(witnesses.outputs, arrays)
        expected = self.decode(witnesses.outputs)
        return worst(
            [
                compare_answers(expected, self.decode(arrays), self.tolerance, self.kind, pixels=pixels)
                for arrays in answers
            ]
        )

    def _answers(self, feeds: Arrays, outputs: tuple[str, ...]) -> Arrays:
        starts = range(0, count(feeds), _REPLAYED)
        parts = [self.run(part(feeds, start, start + _REPLAYED), outputs) for start in starts]
        return {name: np.concatenate([one[name] for one in parts]) for name in outputs}

    def _with_first(self, outputs: Sequence[str]) -> tuple[str, ...]:
        return self._first.chosen((self.outputs[0], *outputs))

    def _predict(self, items: Iterator[Item], batch: int, outputs: tuple[str, ...]) -> Iterator[Outcome]:
        waiting: deque[_Group] = deque()
        with ThreadPoolExecutor(usable_cores(), thread_name_prefix="decode") as pool:
            groups = _grouped(self._read(items, pool, ahead=2 * batch), batch)
            for arrays in self.stream(_stacked(groups, waiting), outputs):
                yield from self._outcomes(waiting, arrays)
            yield from self._outcomes(waiting, None)

    def _outcomes(self, waiting: deque[_Group], arrays: Arrays | None) -> Iterator[Outcome]:
        """Yield the results of the oldest group from its outputs `arrays`; None if the group has no inputs."""
        while waiting and (arrays is None or not waiting[0].feeds):
            yield from _told(waiting.popleft(), iter(()))
        if arrays is not None:
            yield from _told(waiting.popleft(), iter(self.decode(arrays)))

    def _read(
        self, items: Iterator[Item], pool: ThreadPoolExecutor, ahead: int
    ) -> Iterator[tuple[int, str, Arrays | PictureError]]:
        """Read items in the pool, in order, at most `ahead` of the consumer."""
        under_way: deque[tuple[int, str, Future[Arrays | PictureError]]] = deque()
        numbered = enumerate(items)
        try:
            while True:
                for index, item in islice(numbered, ahead - len(under_way)):
                    under_way.append((index, describe(item), pool.submit(self._read_one, item)))
                if not under_way:
                    return
                index, name, future = under_way.popleft()
                yield index, name, future.result()
        finally:
            for _, _, future in under_way:
                future.cancel()

    def _read_one(self, item: Item) -> Arrays | PictureError:
        try:
            return self.feeds(item)
        except PictureError as error:
            return error


def _check_shapes(expected: Arrays, got: Arrays) -> None:
    """Raise BundleError if an output has another shape than recorded."""
    for name, array in got.items():
        if name not in expected or array.shape != expected[name].shape:
            shape = expected[name].shape if name in expected else "none"
            raise BundleError(f"witnesses: output {name!r} has shape {array.shape}, recorded is {shape}")


def _told(group: _Group, predictions: Iterator[Value]) -> Iterator[Outcome]:
    for index, name, error in group.rows:
        yield Outcome(index, name, error=error) if error else Outcome(index, name, next(predictions))


def _stacked(groups: Iterator[_Group], waiting: deque[_Group]) -> Iterator[Arrays]:
    for group in groups:
        waiting.append(group)
        if group.feeds:
            yield stack(group.feeds)


def _grouped(read: Iterator[tuple[int, str, Arrays | PictureError]], batch: int) -> Iterator[_Group]:
    group = _Group()
    for index, name, found in read:
        if isinstance(found, PictureError):
            group.rows.append((index, name, found))
        else:
            group.rows.append((index, name, None))
            group.feeds.append(found)
        if len(group.feeds) == batch or len(group.rows) == 4 * batch:
            yield group
            group = _Group()
    if group.rows:
        yield group
