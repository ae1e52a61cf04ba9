"""The chart of a confusion matrix.

Shapes: K classes.
"""

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sightsmith.kinds.parts.charts import LETTER, shorten, svg, tag, text

MAX_MATRIX = 50  # Classes above which a confusion matrix is no longer readable
_NUMBERS_FROM = 20  # Pixels of a matrix cell from which its number fits in


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
