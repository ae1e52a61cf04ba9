"""Comparing an export with the trained model on labelled items."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sightsmith.bundle.store import Bundle
from sightsmith.core.counts import many
from sightsmith.core.errors import ProofError
from sightsmith.core.ports import Arrays, stack
from sightsmith.core.progress import track
from sightsmith.kinds.parts.metric import Metric
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.runner import Item, Runner, Value
from sightsmith.runtime.session import default_batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The answers of an export and of the trained model to the same labelled pictures, compared.

    Attributes:
        metric: name of the metric.
        count: how many pictures.
        trained: the metric of the trained model in fp32, 0…1.
        exported: the metric of the export, 0…1.
        agreement: share of the pictures with the same answer, 0…1.
        alike: the same, with near ties of the trained model (`tie`) as equal; compared with the limit.
        tie: largest difference of answers that count as a near tie, in the unit of the output.
    """

    metric: str
    count: int
    trained: float
    exported: float
    agreement: float
    alike: float
    tie: float

    def to_json(self) -> dict[str, Any]:
        names = ("trained", "exported", "agreement", "alike", "tie")
        values: dict[str, float] = {name: getattr(self, name) for name in names}
        return {"metric": self.metric, "count": self.count, **{name: round(value, 6) for name, value in values.items()}}

    def __str__(self) -> str:
        ties = f" ({self.alike:.2%} with ties within {self.tie:g})" if self.alike > self.agreement else ""
        return (
            f"{self.metric} {self.exported:.4f} against {self.trained:.4f} on {many(self.count, 'picture')}, "
            f"{self.agreement:.2%} the same answers{ties}"
        )


def compare_on_data(
    bundle: Bundle,
    backend: str,
    runners: Mapping[str, Runner],
    samples: Sequence[tuple[Item, Any]],
    *,
    max_drop: float,
    min_agreement: float,
    quiet: bool,
) -> dict[str, Comparison]:
    """Compare a backend's models, by precision, with the trained model in fp32; nothing without samples.

    Args:
        backend: its name for messages.
        samples: each (item, truth).
        max_drop: how far the metric may get worse, in 0…1; a share of it if it has a unit.
        min_agreement: share of the items that must have the same answer, near ties counting, in 0…1.

    Raises:
        ProofError: an export is worse than allowed.
        PictureError: an item cannot be read.
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
            trained=kind.headline(expected, truths),
            exported=kind.headline(got, truths),
            agreement=kind.same_answers(expected, got),
            alike=kind.same_answers(expected, got, tie),
            tie=tie,
        )
        what = f"export to {backend} in {precision}"
        _require(made[precision], kind.METRIC, what, max_drop, min_agreement)
    return made


def _require(found: Comparison, metric: Metric, what: str, max_drop: float, min_agreement: float) -> None:
    if metric.drop(found.trained, found.exported) > max_drop:
        worse = "fall" if metric.higher else "rise"
        most = f"{max_drop:.1%} of it" if metric.relative else f"{max_drop:g}"
        raise ProofError(f"{what}: {found.metric} may {worse} by {most}, but: {found}. Nothing was written.")
    if found.alike < min_agreement:
        raise ProofError(f"{what}: {min_agreement:.1%} of the answers must stay, but: {found}. Nothing was written.")


def _answers(
    runners: Mapping[str, Runner], samples: Sequence[tuple[Item, Any]], what: str, quiet: bool
) -> dict[str, list[Value]]:
    """Return every model's answers; each item is read once for all of them."""
    gathered: dict[str, list[Value]] = {name: [] for name in runners}
    for feeds in _batches(next(iter(runners.values())), samples, what, quiet):
        for name, runner in runners.items():
            gathered[name] += runner.decode(runner.run(feeds, runner.outputs[:1]))
    return gathered


def _batches(runner: Runner, samples: Sequence[tuple[Item, Any]], what: str, quiet: bool) -> Iterator[Arrays]:
    size, read = default_batch(runner.definition.graph.inputs), []
    for item, _ in track(samples, what, quiet=quiet):
        read.append(runner.feeds(item))
        if len(read) == size:
            yield stack(read)
            read = []
    if read:
        yield stack(read)
