"""Comparing an export with the trained model on labelled pictures.

Shapes: N pictures, H, W, C height, width and channels of the net's input.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.bundle.store import Bundle
from sightsmith.core.counts import many
from sightsmith.core.errors import ProofError
from sightsmith.core.images import Picture
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.core.progress import track
from sightsmith.predictions import KINDS
from sightsmith.runtime.backends import BACKENDS
from sightsmith.runtime.session import Session, default_batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What an export and the trained model made of the same labelled pictures.

    Attributes:
        metric: name of the metric.
        count: how many pictures.
        trained: the metric of the trained model in fp32, 0…1.
        exported: the metric of the export, 0…1.
        agreement: share of the pictures with the same answer, 0…1.
        alike: the same, counting as equal what the trained model holds to be as good as equal (`tie`); this is judged.
        tie: how near two answers of the trained model are that count so, in the unit of the output.
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
    sessions: dict[str, Session],
    samples: Sequence[tuple[Picture, Any]],
    *,
    max_drop: float,
    min_agreement: float,
    quiet: bool,
) -> dict[str, Comparison]:
    """Compare sessions of a backend, by precision, with the trained model in fp32; nothing without samples.

    Args:
        bundle: the trained model.
        backend: what to call the backend in a message.
        sessions: by precision.
        samples: each (picture, target).
        max_drop: how far the metric may fall, in 0…1.
        min_agreement: share of the pictures that must be answered alike, near ties counting, in 0…1.
        quiet: show no progress.

    Raises:
        ProofError: an export is worse than allowed.
        PictureError: a picture cannot be decoded.
    """
    if not samples:
        return {}
    kind = KINDS.module(bundle.manifest.kind)
    trained = BACKENDS.module("torch").load(bundle, bundle.folder, "fp32", 0)
    answers = _answers({"trained": trained, **sessions}, samples, bundle.manifest.preprocessing, backend, quiet)
    targets = [target for _, target in samples]
    first, expected = trained.outputs[0], answers.pop("trained")
    made = {}
    for precision, got in answers.items():
        tie = kind.TOLERANCES[precision][first] / 10
        made[precision] = Comparison(
            metric=kind.METRIC,
            count=len(samples),
            trained=kind.measure(expected, targets),
            exported=kind.measure(got, targets),
            agreement=kind.same_answers(expected, got),
            alike=kind.same_answers(expected, got, tie),
            tie=tie,
        )
        _require(made[precision], f"export to {backend} in {precision}", max_drop, min_agreement)
    return made


def _require(found: Comparison, what: str, max_drop: float, min_agreement: float) -> None:
    if found.trained - found.exported > max_drop:
        raise ProofError(f"{what}: {found.metric} may fall by {max_drop:g}, but: {found}. Nothing was written.")
    if found.alike < min_agreement:
        raise ProofError(f"{what}: {min_agreement:.1%} of the answers must stay, but: {found}. Nothing was written.")


def _answers(
    sessions: dict[str, Session],
    samples: Sequence[tuple[Picture, Any]],
    preprocessing: Preprocessing,
    backend: str,
    quiet: bool,
) -> dict[str, dict[str, NDArray[Any]]]:
    gathered: dict[str, list[NDArray[Any]]] = {name: [] for name in sessions}
    first = next(iter(sessions.values())).outputs[0]
    for pixels_NHWC in _batches(samples, preprocessing, f"Proving {backend}", quiet):
        for name, session in sessions.items():
            gathered[name].append(session.run(pixels_NHWC, (first,))[first])
    return {name: {first: np.concatenate(parts)} for name, parts in gathered.items()}


def _batches(
    samples: Sequence[tuple[Picture, Any]], preprocessing: Preprocessing, what: str, quiet: bool
) -> Iterator[NDArray[np.uint8]]:
    size = default_batch(preprocessing.shape)
    pixels: list[NDArray[np.uint8]] = []
    for picture, _ in track(samples, what, quiet=quiet):
        pixels.append(preprocessing.apply(picture))
        if len(pixels) == size:
            yield np.stack(pixels)
            pixels = []
    if pixels:
        yield np.stack(pixels)
