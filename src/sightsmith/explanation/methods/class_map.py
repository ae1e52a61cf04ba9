"""The class map that the exported graph gives by itself: no gradients, one pass, any backend.

Each class's evidence at each position of the net's last feature map (class activation, or Recipro-CAM if the head
needs the whole map); how a net makes it is in `nets/parts/maps.py`. The service's heat maps are the same.

Papers: Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, arXiv:1512.04150; Byun and
Lee, "Recipro-CAM", arXiv:2209.14074.
Shapes: H W C the input's height, width and channels, h w the map's height and width.
"""

import numpy as np
from numpy.typing import NDArray

from sightsmith.explanation.subject import Subject
from sightsmith.kinds.parts.answer import Aspect

NEEDS = "any"
UNIT = "{kind.EVIDENCE_UNIT}"


def explain(model: Subject, pixels_HWC: NDArray[np.uint8], aspect: Aspect) -> NDArray[np.float32]:
    """Return the evidence for a class at each position, (h, w)."""
    return model.evidence(pixels_HWC, aspect)
