"""A random part of a picture, for training.

Paper: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, arXiv:1409.4842 (crops of random area and aspect).
"""

import math

import numpy as np

from sightsmith.core.placement import Box

_ASPECTS = (3 / 4, 4 / 3)  # Least and greatest width : height of a random crop, relative to the input's own
_TRIES = 10


def random_box(width: int, height: int, aspect: float, area: float, rng: np.random.Generator) -> Box:
    """Choose a part of a picture to show: of a given area, random aspect, anywhere inside, at least a pixel each way.

    Args:
        aspect: width : height of the input that the part will be resized to.
        area: of the part, as a share of the picture's, in (0, 1].
    """
    low, high = map(math.log, _ASPECTS)
    aspects = aspect * np.exp(rng.uniform(low, high, _TRIES))
    across, down = np.sqrt(area * width * height * aspects), np.sqrt(area * width * height / aspects)
    fits = np.flatnonzero((across <= width) & (down <= height))
    if fits.size:
        box_width, box_height = float(across[fits[0]]), float(down[fits[0]])
    else:  # a long thin picture: the largest part of the wanted aspect
        box_width, box_height = min(width, height * aspect), min(height, width / aspect)
    box_width, box_height = max(1.0, box_width), max(1.0, box_height)
    left, top = rng.uniform(0, width - box_width), rng.uniform(0, height - box_height)
    return left, top, left + box_width, top + box_height
