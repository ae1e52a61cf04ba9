"""Grad-CAM: the last feature maps, each weighted by how much the class's score rises with it on average.

Paper: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017,
arXiv:1610.02391: α[d] = mean over positions of ∂score/∂A[d], map = Σ_d α[d] · A[d]. The paper's ReLU is applied when
the map is drawn; the raw values keep their sign. The score is the logit above the mean of all logits.

Averaging the gradient over positions loses the location for heads that treat positions differently (dense layers,
attention); `hirescam` does not.
Shapes: H W C the input's height, width and channels, D features, h w height and width of the last feature map.
"""

import numpy as np
from numpy.typing import NDArray

from sightsmith.explanation.subject import Subject
from sightsmith.kinds.parts.answer import Aspect

NEEDS = "torch"
UNIT = "feature × mean gradient of the logit"


def explain(model: Subject, pixels_HWC: NDArray[np.uint8], aspect: Aspect) -> NDArray[np.float32]:
    """Return the evidence for a class at each position of the last feature map, (h, w).

    Raises SettingsError: the net has no such map.
    """
    map_Dhw, slope_Dhw = model.net.last_map(pixels_HWC, aspect)
    weights_D11 = slope_Dhw.mean(dim=(1, 2), keepdim=True)
    evidence_hw: NDArray[np.float32] = (weights_D11 * map_Dhw).sum(dim=0).numpy()
    return evidence_hw
