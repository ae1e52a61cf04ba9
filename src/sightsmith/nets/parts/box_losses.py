"""Losses of boxes: how far a box is from the true one, and a distribution of distances.

Papers: Zheng et al., "Distance-IoU Loss", AAAI 2020, arXiv:1911.08287, equations 7 to 11 (complete IoU); Li et al.,
"Generalized Focal Loss", NeurIPS 2020, arXiv:2006.04388, equation 6 (distribution focal loss).

Shapes: P pairs of boxes; 4 = (left, top, right, bottom) in pixels of a box, or the distances from a point to those
edges; R bins of a distance.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it

_EPS = 1e-7


def complete_iou(boxes_P4: Tensor, other_P4: Tensor) -> Tensor:
    """Return the complete IoU of each pair, (P,) in (-1.5, 1]: IoU − ρ²/c² − α·v.

    ρ is the distance of the middles, c the diagonal of the box around both, and v the difference of the aspects.
    """
    size_P2, other_size_P2 = boxes_P4[:, 2:] - boxes_P4[:, :2], other_P4[:, 2:] - other_P4[:, :2]
    low_P2, high_P2 = torch.maximum(boxes_P4[:, :2], other_P4[:, :2]), torch.minimum(boxes_P4[:, 2:], other_P4[:, 2:])
    common_P = (high_P2 - low_P2).clamp(min=0).prod(dim=1)
    iou_P = common_P / (size_P2.prod(dim=1) + other_size_P2.prod(dim=1) - common_P + _EPS)
    around_P2 = torch.maximum(boxes_P4[:, 2:], other_P4[:, 2:]) - torch.minimum(boxes_P4[:, :2], other_P4[:, :2])
    gap_P2 = (boxes_P4[:, :2] + boxes_P4[:, 2:] - other_P4[:, :2] - other_P4[:, 2:]) / 2
    distance_P = gap_P2.square().sum(dim=1) / (around_P2.square().sum(dim=1) + _EPS)
    angle_P = torch.atan(other_size_P2[:, 0] / (other_size_P2[:, 1] + _EPS)) - torch.atan(
        size_P2[:, 0] / (size_P2[:, 1] + _EPS)
    )
    aspect_P = (4 / math.pi**2) * angle_P.square()
    with torch.no_grad():
        alpha_P = aspect_P / (1 - iou_P + aspect_P + _EPS)
    return iou_P - distance_P - alpha_P * aspect_P


def distribution_loss(logits_P4R: Tensor, distances_P4: Tensor) -> Tensor:
    """Return the distribution focal loss of each pair, (P,), the mean of its four distances.

    (r − y)·CE(l) + (y − l)·CE(r) for a distance y between the bins l = ⌊y⌋ and r = l + 1.

    Args:
        distances_P4: in strides; those beyond the last bin are taken for a little less.
    """
    bins = logits_P4R.shape[2]
    wanted_P4 = distances_P4.clamp(0, bins - 1 - 0.01)
    left_P4 = wanted_P4.floor()
    share_P4 = wanted_P4 - left_P4  # of the bin to the right
    logs_P4R = F.log_softmax(logits_P4R, dim=2)
    places_P4 = left_P4.long()
    left_log_P4 = logs_P4R.gather(2, places_P4[..., None])[..., 0]
    right_log_P4 = logs_P4R.gather(2, places_P4[..., None] + 1)[..., 0]
    return -((1 - share_P4) * left_log_P4 + share_P4 * right_log_P4).mean(dim=1)
