"""What the truths of a data set hold, for people: in few words, as drawings, and counted."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from sightsmith.core.counts import first_few, many
from sightsmith.core.names import shortened
from sightsmith.kinds.boxes.truth import Boxed
from sightsmith.kinds.parts.counted import Counted
from sightsmith.kinds.parts.shapes import Shape

_MEDIUM, _LARGE = 32**2, 96**2  # Areas in square pixels from which an object is medium and large, as COCO counts them
_LONGEST = 40  # Characters of a name in a message
_NAMED = 8  # Classes that a line names
_ALONE = 5  # Up to this number of objects a picture is counted by its number, beyond in ranges
_RANGES = ((6, 10), (11, 20), (21, 50), (51, 100))


def brief(truth: Boxed, names: Sequence[str]) -> str:
    """Return how many objects of each class there are, the most frequent first."""
    counts = Counter(truth.labels_N.tolist())
    return first_few([f"{count:,} {names[label]}" for label, count in counts.most_common()], _NAMED) or "no object"


def shapes(truth: Boxed, names: Sequence[str]) -> list[Shape]:
    """Return a box for each object; one that is ignored is off."""
    return [
        Shape(shape="box", name=names[label], text="ignored" if ignored else "", on=not ignored, box=tuple(box))
        for label, box, ignored in zip(
            truth.labels_N.tolist(), truth.boxes_N4.tolist(), truth.ignored_N.tolist(), strict=True
        )
    ]


def written_at(truth: Boxed, note: str, names: Sequence[str]) -> str:
    """Return the object that is written at the place with which a note begins, in words; empty if there is none."""
    for at, place in enumerate(truth.places):
        if place and note.startswith(f"{place}:"):
            return text(truth, at, names)
    return ""


def text(truth: Boxed, at: int, names: Sequence[str]) -> str:
    """Return the name and the box of one object."""
    box = " ".join(f"{edge:.6g}" for edge in truth.boxes_N4[at].tolist())
    return f"{shortened(names[truth.labels_N[at]], _LONGEST)} {box}"


def counts(truths: Sequence[Boxed], names: Sequence[str]) -> list[Counted]:
    """Count the objects by class, by picture and by size; ignored ones apart."""
    return [_by_class(truths, names), _by_picture(truths), _by_size(truths)]


def _by_class(truths: Sequence[Boxed], names: Sequence[str]) -> Counted:
    totals_C = np.zeros(len(names), dtype=np.int64)
    ignored = 0
    for truth in truths:
        totals_C += np.bincount(truth.labels_N[~truth.ignored_N], minlength=len(names))
        ignored += int(truth.ignored_N.sum())
    rows = [(names[index], int(totals_C[index])) for index in np.argsort(-totals_C, kind="stable")]
    told = first_few([f"{count:,} {name}" for name, count in rows], _NAMED)
    more = f"; {many(ignored, 'other is', 'others are')} ignored" if ignored else ""
    text = f"{totals_C.sum():,}{': ' if told else ''}{told}{more}."
    return Counted(title="Objects", unit="object", text=text, rows=tuple(rows))


def _by_picture(truths: Sequence[Boxed]) -> Counted:
    counts_N = np.array([np.count_nonzero(~truth.ignored_N) for truth in truths], dtype=np.int64)
    ranges = [(number, number) for number in range(_ALONE + 1)] + [*_RANGES, (_RANGES[-1][1] + 1, None)]
    rows = [(_name(low, high), _within(counts_N, low, high)) for low, high in ranges]
    last = max((at for at, (_, count) in enumerate(rows) if count), default=0)
    negatives = rows[0][1]
    none = f"{many(negatives, 'picture has', 'pictures have')} none" if negatives else "each has at least one"
    text = "no picture."
    if len(counts_N):
        text = f"{counts_N.min():,} to {counts_N.max():,}, median {np.median(counts_N):g}; {none}."
    return Counted(title="Objects in a picture", unit="picture", text=text, rows=tuple(rows[: last + 1]))


def _within(counts_N: np.ndarray, low: int, high: int | None) -> int:
    return int(np.count_nonzero((counts_N >= low) & (counts_N <= (np.inf if high is None else high))))


def _name(low: int, high: int | None) -> str:
    if high is None:
        return f"{low} or more"
    return "none (negative)" if high == 0 else f"{low}" if low == high else f"{low}–{high}"


def _by_size(truths: Sequence[Boxed]) -> Counted:
    areas_N = np.concatenate([truth.areas_N[~truth.ignored_N] for truth in truths] or [np.zeros(0)])
    small, large = int(np.count_nonzero(areas_N < _MEDIUM)), int(np.count_nonzero(areas_N >= _LARGE))
    rows = (("small", small), ("medium", len(areas_N) - small - large), ("large", large))
    told = ", ".join(f"{count:,} {name}" for name, count in rows)
    return Counted(
        title="Objects by size",
        unit="object",
        text=f"{told} (small is under 32×32 pixels of the picture, large from 96×96).",
        rows=rows,
    )
