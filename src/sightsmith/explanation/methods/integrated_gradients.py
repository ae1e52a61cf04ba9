"""Integrated gradients: each pixel's contribution to the class's score along a path from an empty picture.

Paper: Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", ICML 2017, arXiv:1703.01365; computed by
captum (BSD-3-Clause). From a black baseline black pixels get no share, from a white one white pixels; so
both baselines are used and averaged. The score is the logit above the mean of all logits.
Shapes: B batch, T frames of a clip, H W C the input's height, width and channels.
"""

import numpy as np
import torch
from captum.attr import IntegratedGradients
from numpy.typing import NDArray

from sightsmith.explanation.subject import Subject
from sightsmith.kinds.parts.answer import Aspect

NEEDS = "torch"
UNIT = "share of the logit"
IN_TIME = True
GRAIN = 1 / 48  # Standard deviation, as a share of the longer side, of the blur under which the grainy shares are drawn

_STEPS = 32
_BATCH = 16


def explain(model: Subject, pixels: NDArray[np.uint8], aspect: Aspect) -> NDArray[np.float32]:
    """Return each pixel's share, (H, W), of a clip (T, H, W), its channels added up."""
    net = model.net
    method = IntegratedGradients(lambda images: net.score(images, aspect))
    shares = [
        method.attribute(
            net.images(pixels[None]),
            baselines=net.images(np.full_like(pixels, level)[None]),
            n_steps=_STEPS,
            internal_batch_size=_BATCH,
        )
        for level in (0, 255)
    ]
    summed: NDArray[np.float32] = torch.stack(shares).mean(dim=0)[0].sum(dim=-3).float().detach().numpy()
    return summed
