"""Running a model on items, the same way in every backend.

Threads read the next items while the backend computes; only a bounded number is in memory.
Importing this file imports no torch.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, pairwise
from types import ModuleType
from typing import Any

import numpy as np

from sightsmith.bundle.definition import Definition
from sightsmith.bundle.witnesses import Proof, Witnesses, compare_answers, input_difference, worst
from sightsmith.core.errors import BundleError, PictureError, SettingsError
from sightsmith.core.images import describe
from sightsmith.core.machine import usable_cores
from sightsmith.core.placement import UNBOUNDED, Bounds, Placement
from sightsmith.core.ports import Arrays, part, stack
from sightsmith.inputs import INPUTS
from sightsmith.kinds import KINDS
from sightsmith.runtime.programs import PROGRAMS
from sightsmith.runtime.session import Session, default_batch

Item = Any  # An item of the model's input; of `picture` a path, encoded bytes, an array or a PIL image
Value = Any  # An answer of the model's kind, such as `Labels`

_REPLAYED = 16


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """The result of one item: its answer, or why there is none."""

    index: int  # its place among the items given, from 0
    name: str  # for messages: its path if it has one
    prediction: Value | None = None
    error: PictureError | None = None  # why it could not be read


Placed = tuple[Arrays, Placement | None]  # The inputs of an item, and its placement if answers have places
_Read = tuple[Outcome, Future[Placed]]
_Run = Callable[[Arrays, Sequence[str]], Arrays]


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
        return self._input.feeds(item, self.definition.input_settings, bounds)

    def placement(self, item: Item) -> Placement:
        """Return which part of the upright original the inputs of an item show."""
        return self._input.placement(item, self.definition.input_settings)

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
        feeds, placement = self.placed(item)
        return self.to_original(self.decode(self.run(stack([feeds]), self._with_first(outputs)))[0], placement)

    def run(self, feeds: Arrays, outputs: Sequence[str] = ()) -> Arrays:
        """Return the outputs for one batch of inputs, float32 by name, first axis N; all outputs if none is asked."""
        return self._program.step(self.sessions, feeds, outputs, None)[0]

    def stream(self, batches: Iterable[Arrays], outputs: Sequence[str] = ()) -> Generator[Arrays, None, None]:
        """Return the outputs for many batches, in order, as `run` for each."""
        return self._program.stream(self.sessions, batches, outputs)

    def decode(self, outputs: Arrays) -> list[Value]:
        """Return the answers of a batch from its outputs."""
        return self.kind.decode(outputs, self.definition.names, self.definition.calibrated)

    def placed(self, item: Item, bounds: Bounds = UNBOUNDED) -> Placed:
        """Return the inputs of an item, as `feeds`, and its placement if the kind of answer has places, else None."""
        return self.feeds(item, bounds), self.placement(item) if hasattr(self.kind, "to_original") else None

    def to_original(self, answer: Value, placement: Placement | None) -> Value:
        """Move an answer to the pixels of its upright original; one without places stays."""
        return answer if placement is None else self.kind.to_original(answer, placement)

    def replay(self, witnesses: Witnesses, *, reread: bool = True) -> Proof:
        """Answer the witnesses with every output, and with the first alone, which backends may compile separately.

        The first witness is a batch by itself, and the others are batches of several: a graph may answer otherwise, or
        not at all, for another number of items than it was exported with. Every further program of the model answers
        them too.

        With `reread` the items are read again too, and the inputs that they become compared. Returns the worse of the
        two results, figure by figure.
        """
        pixels = input_difference(witnesses, self.definition) if reread else None
        forms = dict.fromkeys((self.outputs, self.outputs[:1]))
        answers = [self._answers(witnesses, form, self.run) for form in forms]
        answers += [self._answers(witnesses, self.outputs[:1], run) for run in self._further()]
        recorded, *replayed = (self._on_originals(outputs, witnesses) for outputs in (witnesses.outputs, *answers))
        return worst([compare_answers(recorded, one, self.tolerance, self.kind, pixels=pixels) for one in replayed])

    def _on_originals(self, outputs: Arrays, witnesses: Witnesses) -> list[Value]:
        if not hasattr(self.kind, "to_original"):
            return self.decode(outputs)
        pairs = zip(self.decode(outputs), witnesses.items, strict=True)
        return [self.to_original(answer, self.placement(item)) for answer, item in pairs]

    def _further(self) -> Iterator[_Run]:
        """Yield what answers a batch by each program but the first."""
        for name in self.definition.programs[1:]:
            yield partial(_streamed, PROGRAMS.module(name), self.sessions)

    def _answers(self, witnesses: Witnesses, outputs: tuple[str, ...], run: _Run) -> Arrays:
        starts = [0, *range(1, len(witnesses.items), _REPLAYED)]
        parts = [
            run(part(witnesses.inputs, start, stop), outputs)
            for start, stop in pairwise([*starts, len(witnesses.items)])
        ]
        arrays = {name: np.concatenate([one[name] for one in parts]) for name in outputs}
        for name, array in arrays.items():
            recorded = witnesses.outputs[name].shape
            if array.shape != recorded:
                raise BundleError(f"witnesses: output {name!r} has shape {array.shape}, recorded is {recorded}")
        return arrays

    def _with_first(self, outputs: Sequence[str]) -> tuple[str, ...]:
        return self._first.chosen((self.outputs[0], *outputs))

    def _predict(self, items: Iterator[Item], batch: int, outputs: tuple[str, ...]) -> Iterator[Outcome]:
        waiting: deque[tuple[Outcome, Placement | None]] = deque()
        pool = ThreadPoolExecutor(usable_cores(), thread_name_prefix="decode")
        try:
            batches = _batches(self._read(items, pool, ahead=2 * batch), batch, waiting)
            for arrays in self.stream(batches, outputs):
                for answer in self.decode(arrays):
                    while waiting[0][0].error:
                        yield waiting.popleft()[0]
                    outcome, placement = waiting.popleft()
                    yield replace(outcome, prediction=self.to_original(answer, placement))
        finally:
            pool.shutdown(cancel_futures=True)
        yield from (outcome for outcome, _ in waiting)

    def _read(self, items: Iterator[Item], pool: ThreadPoolExecutor, ahead: int) -> Iterator[_Read]:
        """Read items in the pool, in order, at most `ahead` of the consumer."""
        under_way: deque[_Read] = deque()
        numbered = enumerate(items)
        while True:
            for index, item in islice(numbered, ahead - len(under_way)):
                under_way.append((Outcome(index, describe(item)), pool.submit(self.placed, item)))
            if not under_way:
                return
            yield under_way.popleft()


def _streamed(program: ModuleType, sessions: Mapping[str, Session], feeds: Arrays, outputs: Sequence[str]) -> Arrays:
    """Return the outputs of a program for one batch."""
    (arrays,) = program.stream(sessions, [feeds], outputs)
    return dict(arrays)


def _batches(read: Iterator[_Read], batch: int, waiting: deque[tuple[Outcome, Placement | None]]) -> Iterator[Arrays]:
    """Yield the inputs of readable items by the batch; `waiting` gets every item, or the error of an unreadable one.

    Many unreadable items end a batch early: their number in memory is bounded too.
    """
    feeds: list[Arrays] = []
    since = 0  # items since the last batch
    for outcome, future in read:
        since += 1
        try:
            arrays, placement = future.result()
            feeds.append(arrays)
            waiting.append((outcome, placement))
        except PictureError as error:
            waiting.append((replace(outcome, error=error), None))
        if feeds and (len(feeds) == batch or since >= 4 * batch):
            yield stack(feeds)
            feeds, since = [], 0
    if feeds:
        yield stack(feeds)
