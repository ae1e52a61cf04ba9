"""The attention weights over the positions of a net's feature map, the same for every class.

Paper: Luong, Pham and Manning, "Effective Approaches to Attention-based Neural Machine Translation", EMNLP 2015,
arXiv:1508.04025. Attention shows the positions that a net reads from, not its conclusions: `class_map` of the same net
multiplies the weights by the evidence of the position for the class.
Shapes: H W C the input's height, width and channels, h w height and width of the last feature map.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from sightsmith.core.errors import SettingsError
from sightsmith.explanation.subject import Subject
from sightsmith.kinds.parts.answer import Aspect

NEEDS = "torch"
UNIT = "share of the attention"


def explain(model: Subject, pixels_HWC: NDArray[np.uint8], aspect: Aspect) -> NDArray[np.float32]:  # noqa: ARG001 -- as every method
    """Return the attention weights, (h, w) ≥ 0 summing to 1. Raises SettingsError: the net has no attention."""
    with torch.inference_mode():
        weights_Bhw = model.net.classifier.attention(model.net.images(pixels_HWC[None]))
    if weights_Bhw is None:
        raise SettingsError(
            f"{model.net.name}: has no attention weights to show. Use class_map, gradcam or occlusion, or train the "
            "net 'attention'."
        )
    weights_hw: NDArray[np.float32] = weights_Bhw[0].numpy()
    return weights_hw
