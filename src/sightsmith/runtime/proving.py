"""Comparing an export with the trained model: on witnesses, also of other lengths, and on labelled items."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from typing import Any

from numpy.typing import NDArray

from sightsmith.bundle.store import Bundle
from sightsmith.bundle.witnesses import Proof, Witnesses, worst
from sightsmith.core.counts import many
from sightsmith.core.errors import BackendError, BundleError
from sightsmith.core.ports import Port, stack
from sightsmith.core.progress import track
from sightsmith.inputs import nouns_of
from sightsmith.kinds.parts.intervals import known
from sightsmith.kinds.parts.metric import Metric
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.runner import Item, Runner, Value
from sightsmith.runtime.session import default_batch

_OTHERS = 3  # Witnesses of another length


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The answers of an export and of the trained model to the same labelled samples, compared."""

    metric: str  # name of the metric
    count: int  # how many samples
    nouns: tuple[str, str]  # a sample, singular and plural
    trained: float | None  # the metric of the trained model in fp32, 0…1; None if the samples do not define it
    exported: float | None  # the metric of the export, 0…1
    agreement: float  # share of the samples with the same answer, 0…1
    alike: float  # the same, with near ties of the trained model (`tie`) as equal; compared with the limit
    tie: float  # largest difference of answers that count as a near tie, in the unit of the output

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        del values["nouns"]
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()}

    def __str__(self) -> str:
        ties = f" ({self.alike:.2%} with ties within {self.tie:g})" if self.alike > self.agreement else ""
        exported, trained = ("undefined" if one is None else f"{one:.4f}" for one in (self.exported, self.trained))
        return (
            f"{self.metric} {exported} against {trained} on {many(self.count, *self.nouns)}, "
            f"{self.agreement:.2%} the same answers{ties}"
        )

    def problem(self, metric: Metric) -> str:
        """Return why the export is worse than allowed, empty if it is not."""
        if self.trained is not None and not self._drop(metric, self.trained) <= metric.most_drop:
            worse = "fall" if metric.higher else "rise"
            most = f"{metric.most_drop:.1%} of it" if metric.relative else f"{metric.most_drop:g}"
            return f"{self.metric} may {worse} by {most}, but: {self}"
        least = metric.least_alike
        return f"{least:.1%} of the answers must stay, but: {self}" if self.alike < least else ""

    def _drop(self, metric: Metric, trained: float) -> float:
        return math.inf if self.exported is None else metric.drop(trained, self.exported)


def at_other_lengths(bundle: Bundle) -> list[Witnesses]:
    """Return witnesses of other lengths than the bundle's, for inputs with free axes: 1, and twice the usual plus 1.

    The entries are those of the bundle's witnesses, and the outputs the trained model's in fp32. Each set has three,
    which a replay answers as one and as two.
    """
    witnesses, ports = bundle.witnesses(), bundle.manifest.definition.graph.inputs
    if not any(port.free for port in ports.values()):
        return []
    trained = Predictor.open(bundle, "torch", "fp32")
    items = tuple(islice(cycle(witnesses.items), _OTHERS))
    made = []
    for long in (False, True):
        inputs = {name: _of_length(array[:_OTHERS], ports[name], long) for name, array in witnesses.inputs.items()}
        made.append(Witnesses(items, inputs, trained.run(inputs)))
    return made


def _of_length(array: NDArray[Any], port: Port, long: bool) -> NDArray[Any]:
    lengths = {axis + 1: 2 * port.shape[axis] + 1 if long else 1 for axis in port.free}
    for axis, length in {0: _OTHERS, **lengths}.items():
        array = array.take(range(length), axis=axis, mode="wrap")
    return array


def replay_all(runner: Runner, witnesses: Witnesses, others: Sequence[Witnesses]) -> tuple[Proof, str]:
    """Return the worst replay of a bundle's witnesses and of others, and why it does not hold; empty if it does."""
    proof = runner.replay(witnesses, reread=False)
    if not proof.ok:
        return proof, str(proof)
    for other in others:
        shapes = ", ".join(f"{name} of the shape {array.shape[1:]}" for name, array in other.inputs.items())
        try:
            again = runner.replay(other, reread=False)
        except (BackendError, BundleError) as error:
            return proof, f"for {shapes} it fails: {error}"
        if not again.ok:
            return again, f"for {shapes} {again}"
        proof = worst([proof, again])
    return proof, ""


def compare_on_data(
    bundle: Bundle,
    backend: str,
    runners: Mapping[str, Runner],
    samples: Sequence[tuple[Item, Any]],
    *,
    quiet: bool,
) -> dict[str, Comparison]:
    """Compare a backend's models, by precision, with the trained model in fp32; nothing without samples.

    Args:
        backend: its name for messages.
        samples: each (item, truth).

    Raises PictureError: an item cannot be read.
    """
    if not samples:
        return {}
    trained = Predictor.open(bundle, "torch", "fp32")
    answers = _answers({"trained": trained, **runners}, samples, f"Proving {backend}", quiet)
    truths, expected, kind = [truth for _, truth in samples], answers.pop("trained"), trained.kind
    made = {}
    for precision, got in answers.items():
        tie = next(iter(kind.TOLERANCES[precision].values())) / 10
        made[precision] = Comparison(
            metric=kind.METRIC.title,
            count=len(samples),
            nouns=nouns_of(bundle.manifest.definition.input),
            trained=known(kind.headline(expected, truths)),
            exported=known(kind.headline(got, truths)),
            agreement=kind.same_answers(expected, got),
            alike=kind.same_answers(expected, got, tie),
            tie=tie,
        )
    return made


def _answers(
    runners: Mapping[str, Runner], samples: Sequence[tuple[Item, Any]], what: str, quiet: bool
) -> dict[str, list[Value]]:
    """Return every model's answers; each item is read once for all of them."""
    gathered: dict[str, list[Value]] = {name: [] for name in runners}
    reader = next(iter(runners.values()))
    size = default_batch(reader.definition.graph.inputs)
    items = track([item for item, _ in samples], what, quiet=quiet)
    while read := [reader.placed(item) for item in islice(items, size)]:
        feeds, placements = stack([arrays for arrays, _ in read]), [placement for _, placement in read]
        for name, runner in runners.items():
            answers = runner.decode(runner.run(feeds, runner.outputs[:1]))
            gathered[name] += list(map(runner.to_original, answers, placements))
    return gathered
