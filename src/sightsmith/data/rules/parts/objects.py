"""The objects of all usable pictures, one after the other, for rules about single objects.

Shapes: N objects; 4 = (left, top, right, bottom) in pixels of the upright picture.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sightsmith.data.problem import Severity
from sightsmith.data.source import Source
from sightsmith.data.verdict import Checked, Verdict
from sightsmith.kinds.boxes.contents import text
from sightsmith.kinds.boxes.truth import Boxed


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects that count: neither ignored nor crowds."""

    data: Checked
    pictures_N: NDArray[np.int64]  # positions of their samples
    places_N: NDArray[np.int64]  # positions in the truths
    labels_N: NDArray[np.int64]
    boxes_N4: NDArray[np.float64]
    sizes_N2: NDArray[np.int64]  # (width, height) of their pictures

    def report(
        self,
        verdict: Verdict,
        code: str,
        severity: Severity,
        message: str,
        groups: Sequence[Sequence[int]],
        remarks: Iterable[str] = (),
    ) -> None:
        """Add a problem of objects.

        Args:
            groups: objects of one picture that belong together.
            remarks: words on each group.
        """
        remarks = list(remarks) or [""] * len(groups)
        verdict.add(
            self.data,
            code,
            severity,
            message,
            [(int(self.pictures_N[group[0]]),) for group in groups],
            [self._note(group, remark) for group, remark in zip(groups, remarks, strict=True)],
            [tuple(map(tuple, self.boxes_N4[list(group)].tolist())) for group in groups],
        )

    def _note(self, group: Sequence[int], remark: str) -> str:
        told = " = ".join(object_text(self.data.source, self.truth(at), int(self.places_N[at])) for at in group)
        return f"{told}{', ' if remark else ''}{remark}"

    def truth(self, at: int) -> Boxed:
        truth: Boxed = self.data.source.samples[self.pictures_N[at]].target
        return truth


def objects(data: Checked, verdict: Verdict) -> Objects:
    """Return the objects of the pictures that training may use."""
    pictures = verdict.usable.tolist()
    truths: list[Boxed] = [data.source.samples[place].target for place in pictures]
    counted = [np.flatnonzero(~truth.ignored_N) for truth in truths]
    counts = [len(places_M) for places_M in counted]
    sizes_P2 = np.array([truth.size for truth in truths], dtype=np.int64).reshape(-1, 2)
    pairs = list(zip(truths, counted, strict=True))
    return Objects(
        data,
        pictures_N=np.repeat(np.array(pictures, dtype=np.int64), counts),
        places_N=np.concatenate([np.zeros(0, dtype=np.int64), *counted]),
        labels_N=np.concatenate([np.zeros(0, dtype=np.int64), *(truth.labels_N[places] for truth, places in pairs)]),
        boxes_N4=np.concatenate([np.zeros((0, 4)), *(truth.boxes_N4[places] for truth, places in pairs)]),
        sizes_N2=np.repeat(sizes_P2, counts, axis=0),
    )


def object_text(source: Source, truth: Boxed, at: int) -> str:
    """Return one object of a truth in words: where it is written, its name and its box."""
    where = f"{truth.places[at]}: " if truth.places[at] else ""
    return f"{where}{text(truth, at, source.names)}"


def without(source: Source, left_out: Mapping[int, Sequence[int]]) -> Source:
    """Return the source without some objects of its samples, by position."""
    samples = [
        replace(sample, target=_less(sample.target, left_out[place])) if left_out.get(place) else sample
        for place, sample in enumerate(source.samples)
    ]
    return replace(source, samples=tuple(samples))


def _less(truth: Boxed, left_out: Sequence[int]) -> Boxed:
    kept_N = np.ones(len(truth), dtype=np.bool_)
    kept_N[list(left_out)] = False
    return replace(
        truth,
        boxes_N4=truth.boxes_N4[kept_N],
        labels_N=truth.labels_N[kept_N],
        ignored_N=truth.ignored_N[kept_N],
        crowd_N=truth.crowd_N[kept_N],
        areas_N=truth.areas_N[kept_N],
        places=tuple(place for place, kept in zip(truth.places, kept_N.tolist(), strict=True) if kept),
    )
