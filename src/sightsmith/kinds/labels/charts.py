"""Charts of a classifier: confusion, reliability, and accuracy over coverage.

Shapes: K classes, M bins.
"""

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sightsmith.core.counts import many
from sightsmith.kinds.labels.figures import Bin
from sightsmith.kinds.parts.charts import LETTER, Frame, dot, grid, legend, padded, path, shorten, svg, tag, text

MAX_MATRIX = 50  # Classes above which a confusion matrix is no longer readable
_NUMBERS_FROM = 20  # Pixels of a matrix cell from which its number fits in


def coverage_chart(coverage: Sequence[float], right: Sequence[float], thresholds: Sequence[float]) -> Markup:
    """Draw accuracy over coverage: the most confident answers first."""
    points = list(zip(coverage, right, strict=True))
    frame = Frame(left=52, top=30, width=392, height=206, x=(0, 1), y=padded([*right, 1.0], 0.06, high=1.0))
    marks = [
        dot(frame, x, y, "a", f"threshold {threshold:.3f}: answers {x:.1%}, right {y:.2%}")
        for (x, y), threshold in zip(points, thresholds, strict=True)
    ]
    line = path(frame, points, "a")
    return svg(
        460,
        280,
        "Accuracy over the share of pictures answered",
        [grid(frame, "share of pictures answered", percent_y=True, percent_x=True), line, *marks],
    )


def reliability_chart(bins: Sequence[Bin]) -> Markup:
    """Draw accuracy against confidence, with a histogram of the confidences below."""
    frame = Frame(left=52, top=30, width=300, height=220, x=(0, 1), y=(0, 1))
    below = Frame(left=52, top=280, width=300, height=52, x=(0, 1), y=(0, max(1, *(one.count for one in bins))))
    corner, far = frame.at(0, 0), frame.at(1, 1)
    parts = [grid(frame, "", percent_y=True, percent_x=True)]
    for place, one in enumerate(bins):
        parts += _bin(frame, below, place / len(bins), 1 / len(bins), one)
    parts.append(tag("line", x1=corner[0], y1=corner[1], x2=far[0], y2=far[1], class_="ideal"))
    parts.append(tag("line", x1=52, y1=332, x2=352, y2=332, class_="axis"))
    parts.append(text(202, 352, "confidence of the answer", "middle"))
    parts.append(text(46, 300, "answers", "end"))
    parts.append(legend([("right", "a"), ("gap to confidence", "b")], 52))
    return svg(368, 360, "Reliability: accuracy over confidence", parts)


def confusion_chart(confusion_KK: NDArray[np.integer], classes: Sequence[str]) -> Markup:
    """Draw a confusion matrix, rows being targets; a cell is shaded by its share of the row.

    Raises ValueError: more than 50 classes.
    """
    count = len(classes)
    if count > MAX_MATRIX:
        raise ValueError(f"a confusion matrix is drawn for at most {MAX_MATRIX} classes, got {count}")
    cell = max(11.0, min(54.0, 540 / count))
    names = [shorten(name) for name in classes]
    room = max(len(name) for name in names) * LETTER + 12
    upright = max(len(name) for name in names) * LETTER <= cell - 8
    left, top = room + 16, 22 + (18 if upright else room)
    parts = [text(left + cell * count / 2, 12, "answer", "middle", "label")]
    parts.append(text(10, top + cell * count / 2, "target", "middle", "label", turn=-90))
    parts.append(tag("rect", x=left, y=top, width=cell * count, height=cell * count, class_="field"))
    for at, name in enumerate(names):
        middle = (at + 0.5) * cell
        parts.append(text(left - 6, top + middle + 4, name, "end"))
        anchor, x = ("middle", left + middle) if upright else ("start", left + middle + 4)
        parts.append(text(x, top - 6, name, anchor, turn=0 if upright else -90))
    parts += _cells(confusion_KK, classes, left, top, cell)
    return svg(left + cell * count + 8, top + cell * count + 8, "Confusion matrix", parts, grow=False)


def _cells(
    confusion_KK: NDArray[np.integer], classes: Sequence[str], left: float, top: float, cell: float
) -> list[Markup]:
    support_K = np.maximum(confusion_KK.sum(axis=1), 1)
    parts = []
    for row, column in zip(*np.nonzero(confusion_KK), strict=True):
        count, share = int(confusion_KK[row, column]), float(confusion_KK[row, column] / support_K[row])
        # square root, so that 1 mistake in 100 is still visible
        shade = 0.1 + 0.9 * (share if row == column else math.sqrt(share))
        kind = "right" if row == column else "wrong"
        x, y = left + column * cell, top + row * cell
        title = f"{classes[row]} → {classes[column]}: {count:,} ({share:.1%} of {classes[row]})"
        inner = [
            tag("rect", x=x + 0.5, y=y + 0.5, width=cell - 1, height=cell - 1, class_=kind, fill_opacity=shade),
            tag("title", title),
        ]
        if cell >= _NUMBERS_FROM:
            css = "number strong" if shade > 0.7 else "number"
            size = min(12.0, cell / (0.62 * len(str(count)) + 0.5))
            inner.append(text(x + cell / 2, y + cell / 2 + size * 0.36, str(count), "middle", css, font_size=size))
        parts.append(tag("g", *inner))
    return parts


def _bin(frame: Frame, below: Frame, low: float, wide: float, one: Bin) -> list[Markup]:
    if one.confidence is None or one.accuracy is None:
        return []
    title = f"{many(one.count, 'answer')}, confidence {one.confidence:.1%}, right {one.accuracy:.1%}"
    (x, top), (end, _) = frame.at(low, one.accuracy), frame.at(low + wide, 0)
    foot, expected = frame.at(0, 0)[1], frame.at(0, one.confidence)[1]
    count_top, count_foot = below.at(0, one.count)[1], below.at(0, 0)[1]
    gap_top, gap_foot = sorted((top, expected))
    return [
        tag(
            "g",
            tag("title", title),
            tag("rect", x=x + 1, y=top, width=end - x - 2, height=foot - top, class_="bar"),
            tag("rect", x=x + 1, y=gap_top, width=end - x - 2, height=gap_foot - gap_top, class_="gap"),
            tag("rect", x=x + 1, y=count_top, width=end - x - 2, height=count_foot - count_top, class_="count"),
        )
    ]
