"""Random boxes: what an answer is worth that knows which objects are usual and nothing of the picture."""

import numpy as np

from sightsmith.kinds.boxes.metrics import headline
from sightsmith.kinds.boxes.rows import Rows, rows_of, truths_in

_RANDOM = 100  # Boxes a picture


def map_of_prior(rows: Rows) -> float:
    """Return the mAP of random boxes: to each picture 100 objects of other pictures, in shares of its size.

    So they have the sizes, places and classes that are usual here, and know nothing of the picture. Seeded.
    """
    rng = np.random.default_rng(0)
    known_G = np.flatnonzero(~rows.ignored_G)
    if len(np.unique(rows.pictures_G[known_G])) < 2:
        return 0.0
    sides_N4 = np.tile(rows.sizes_N2, 2).astype(np.float64)
    shares_G4 = rows.truth_G4 / sides_N4[rows.pictures_G]
    candidates = []
    for picture in range(len(rows)):
        others = known_G[rows.pictures_G[known_G] != picture]
        chosen = rng.choice(others, _RANDOM)
        scores_K = np.sort(rng.random(_RANDOM))[::-1]
        candidates.append((shares_G4[chosen] * sides_N4[picture], scores_K, rows.classes_G[chosen]))
    return headline(rows_of(candidates, truths_in(rows)))["map"]
