"""One object that is annotated twice: under one class, or under two.

Shapes: N objects of all pictures, M of one, P pairs of them; 4 = (left, top, right, bottom) in pixels.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.counts import many
from sightsmith.data.changes import Change
from sightsmith.data.rules.parts.objects import Objects, object_text, objects, without
from sightsmith.data.source import Source
from sightsmith.data.verdict import Checked, Verdict
from sightsmith.kinds.boxes.geometry import iou
from sightsmith.kinds.boxes.truth import Boxed

ORDER = 63
KINDS = ("boxes",)
_SAME = 0.95
"""IoU from which two boxes of one class are one object; two objects side by side overlap less."""
_TWO_NAMES = 0.9
"""The same for two classes, whose boxes were drawn by two people or in two passes."""
_BLOCK = 256  # Boxes compared with all others at a time


def find(data: Checked, verdict: Verdict) -> None:
    found = objects(data, verdict)
    same: list[tuple[int, int]] = []
    two_names: list[tuple[int, int]] = []
    for start, end in _pictures(found):
        if end - start > 1:
            boxes_M4, labels_M = found.boxes_N4[start:end], found.labels_N[start:end]
            same += [(start + first, start + second) for first, second in _same(boxes_M4, labels_M)]
            two_names += [(start + first, start + second) for first, second in _named_twice(boxes_M4, labels_M)]
    message = (
        f"{many(len(same), 'object is', 'objects are')} annotated twice: of one class, with boxes that overlap by "
        f"{_SAME:.0%} or more (IoU). Delete the second box, by hand or with --fix."
    )
    found.report(verdict, "same-box", "warning", message, same)
    message = (
        f"{many(len(two_names), 'object has', 'objects have')} two classes: boxes that overlap by {_TWO_NAMES:.0%} or "
        "more (IoU). Delete the box with the wrong class; if both are right, a net can answer both."
    )
    found.report(verdict, "two-names", "warning", message, two_names)


def mend(source: Source) -> tuple[Source, list[Change]]:
    """Leave out the second of two boxes of one object."""
    changes, doubles = [], {}
    for place, sample in enumerate(source.samples):
        truth: Boxed = sample.target
        counted = np.flatnonzero(~truth.ignored_N)
        pairs = _same(truth.boxes_N4[counted], truth.labels_N[counted])
        doubles[place] = [int(counted[second]) for _, second in pairs]
        for first, second in counted[pairs].tolist() if pairs else []:
            changes.append(
                Change(
                    code="same-box",
                    key=sample.key,
                    before=object_text(source, truth, second),
                    why=f"the object is there already: {object_text(source, truth, first)}",
                )
            )
    return without(source, doubles), changes


def _pictures(found: Objects) -> Iterator[tuple[int, int]]:
    """Yield the first object of each picture, and the one after its last."""
    starts = np.flatnonzero(np.diff(found.pictures_N, prepend=-1)).tolist()
    yield from pairwise([*starts, len(found.pictures_N)])


def _same(boxes_M4: NDArray[np.float64], labels_M: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return each box that repeats an earlier one of its class, after that one, which repeats none itself."""
    pairs_P2 = _alike(boxes_M4, _SAME)
    repeats: dict[int, int] = {}
    for first, second in pairs_P2[labels_M[pairs_P2[:, 0]] == labels_M[pairs_P2[:, 1]]].tolist():
        if first not in repeats:
            repeats.setdefault(second, first)
    return [(first, second) for second, first in repeats.items()]


def _named_twice(boxes_M4: NDArray[np.float64], labels_M: NDArray[np.int64]) -> list[tuple[int, int]]:
    pairs_P2 = _alike(boxes_M4, _TWO_NAMES)
    two_P2 = pairs_P2[labels_M[pairs_P2[:, 0]] != labels_M[pairs_P2[:, 1]]]
    return [(first, second) for first, second in two_P2.tolist()]


def _alike(boxes_M4: NDArray[np.float64], least: float) -> NDArray[np.int64]:
    """Return the pairs of boxes with at least this IoU, (P, 2), the earlier first; in the order of the later."""
    found = [np.zeros((0, 2), dtype=np.int64)]
    for start in range(0, len(boxes_M4), _BLOCK):  # thousands of boxes at once would take gigabytes
        seconds_B, firsts_B = np.nonzero(iou(boxes_M4[start : start + _BLOCK], boxes_M4) >= least)
        pairs_B2 = np.stack([firsts_B, seconds_B + start], axis=1)
        found.append(pairs_B2[pairs_B2[:, 0] < pairs_B2[:, 1]])
    return np.concatenate(found)
