"""HiResCAM: the last feature maps times the gradient of the class's score, position by position.

Paper: Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
networks", 2020, arXiv:2011.08891: map = Σ_d ∂score/∂A[d] · A[d]. If the head is linear, the map's sum is the score
but for the bias, so it shows exactly what the head used. The score is the logit above the mean of all logits.
Shapes: H W C the input's height, width and channels, D features, h w height and width of the last feature map.
"""

import numpy as np
from numpy.typing import NDArray

from sightsmith.explanation.subject import Subject
from sightsmith.kinds.parts.answer import Aspect

NEEDS = "torch"
UNIT = "feature × gradient of the logit"


def explain(model: Subject, pixels_HWC: NDArray[np.uint8], aspect: Aspect) -> NDArray[np.float32]:
    """Return the evidence for a class at each position of the last feature map, (h, w).

    Raises SettingsError: the net has no such map.
    """
    map_Dhw, slope_Dhw = model.net.last_map(pixels_HWC, aspect)
    evidence_hw: NDArray[np.float32] = (slope_Dhw * map_Dhw).sum(dim=0).numpy()
    return evidence_hw
