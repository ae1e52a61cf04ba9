"""Charts of a classifier: confusion, reliability, and accuracy over coverage.

Shapes: K classes, M bins.
"""

from collections.abc import Sequence

from markupsafe import Markup

from sightsmith.core.counts import many
from sightsmith.kinds.labels.figures import Bin
from sightsmith.kinds.parts.charts import Frame, dot, grid, legend, padded, path, svg, tag, text


def coverage_chart(
    coverage: Sequence[float], right: Sequence[float], thresholds: Sequence[float], items: str
) -> Markup:
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
        f"Accuracy over the share of {items} answered",
        [grid(frame, f"share of {items} answered", percent_y=True, percent_x=True), line, *marks],
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
