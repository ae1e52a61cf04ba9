"""What annotations lose in a format that cannot hold it, in words with counts."""

from collections.abc import Sequence

import numpy as np

from sightsmith.core.counts import many
from sightsmith.kinds.boxes.truth import Boxed


def lost_of(truths: Sequence[Boxed], licence: str | None, *, crowds: str, difficult: str = "") -> list[str]:
    """Return what is lost of these truths, each as a text.

    Args:
        licence: of the data, which the format has no place for.
        crowds: what becomes of the boxes around crowds.
        difficult: what becomes of other ignored objects; empty if the format marks them.
    """
    crowd_count = sum(int(truth.crowd_N.sum()) for truth in truths)
    ignored_count = sum(int(truth.ignored_N.sum()) for truth in truths) - crowd_count
    area_count = sum(int((~np.isclose(truth.areas_N, _box_areas(truth)) & ~truth.crowd_N).sum()) for truth in truths)
    return [
        *([f"{many(crowd_count, 'box', 'boxes')} around crowds: {crowds}"] if crowd_count else []),
        *([f"{many(ignored_count, 'object')} marked as difficult: {difficult}"] if ignored_count and difficult else []),
        *([f"{many(area_count, 'area')} of outlines: that of the box counts"] if area_count else []),
        *([f"the licence, {licence}"] if licence else []),
    ]


def _box_areas(truth: Boxed) -> np.ndarray:
    return (truth.boxes_N4[:, 2:] - truth.boxes_N4[:, :2]).prod(axis=1)
