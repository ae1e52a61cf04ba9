"""Operations on boxes that a graph can hold: with fixed shapes, for all pictures of a batch at once.

Libraries decode and suppress one picture after the other and return as many boxes as there are. A graph of that has as
many pictures as it was traced with, so here shapes depend on the input's size alone.

Shapes: B batch, N boxes, P pairs of a box and a class, K candidates, C classes, S boxes of each; 4 = (left, top, right,
bottom) in pixels of the input, or for deltas (x, y, width, height).
"""

import math

import torch
from torch import Tensor

from sightsmith.nets.parts.detector import CANDIDATES

_ROUNDS = 16
_LARGEST = math.log(1000 / 16)  # Of the logarithm of a growth, as of the libraries: exp would overflow


def decode(deltas: Tensor, anchors: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Return the boxes (…, 4) that deltas (…, 4) move anchors to, which are as many or a whole axis has the same.

    The centre moves by a share of the anchor's side, and a side grows by an exponential (Girshick et al., "Rich feature
    hierarchies for accurate object detection", CVPR 2014, arXiv:1311.2524, appendix C).

    Args:
        weights: by which the deltas of x, y, width and height were multiplied for training.
    """
    sides = anchors[..., 2:] - anchors[..., :2]
    centres = anchors[..., :2] + sides / 2
    scaled = deltas / deltas.new_tensor(weights)
    middles = centres + scaled[..., :2] * sides
    halves = scaled[..., 2:].clamp(max=_LARGEST).exp() * sides / 2
    return torch.cat([middles - halves, middles + halves], dim=-1)


def clip(boxes: Tensor, height: int, width: int) -> Tensor:
    """Return the parts of boxes (…, 4) that are inside the input."""
    left, top, right, bottom = boxes.unbind(dim=-1)
    edges = (left.clamp(0, width), top.clamp(0, height), right.clamp(0, width), bottom.clamp(0, height))
    return torch.stack(edges, dim=-1)


def larger_than(boxes: Tensor, side: float) -> Tensor:
    """Return 1 for boxes (…, 4) whose sides are all at least so long, else 0, (…) float."""
    return ((boxes[..., 2:] - boxes[..., :2]).amin(dim=-1) >= side).to(boxes.dtype)


def unsuppressed(boxes_BN4: Tensor, overlap: float) -> Tensor:
    """Return 1 for boxes that no better one overlaps by more than `overlap` (IoU), else 0, (B, N) float.

    The boxes are sorted, best first. This is greedy non-maximum suppression: a box goes if a box before it stays that
    overlaps it. Each round settles the boxes whose rivals are settled, so the result is exact unless more than 16 boxes
    suppress each other in a chain.
    """
    areas_BN = (boxes_BN4[..., 2:] - boxes_BN4[..., :2]).prod(dim=-1)
    low_BNN2 = torch.maximum(boxes_BN4[:, :, None, :2], boxes_BN4[:, None, :, :2])
    high_BNN2 = torch.minimum(boxes_BN4[:, :, None, 2:], boxes_BN4[:, None, :, 2:])
    common_BNN = (high_BNN2 - low_BNN2).clamp(min=0).prod(dim=-1)
    union_BNN = areas_BN[:, :, None] + areas_BN[:, None] - common_BNN
    count = boxes_BN4.shape[1]
    before_NN = torch.ones(count, count, device=boxes_BN4.device, dtype=boxes_BN4.dtype).triu(1)
    rival_BNN = (common_BNN > overlap * union_BNN).to(boxes_BN4.dtype) * before_NN
    stays_BN = torch.ones_like(areas_BN)
    for _ in range(min(_ROUNDS, count)):
        # a product, not a condition: every runtime computes it alike, and none takes it for a matrix product
        stays_BN = 1 - (rival_BNN * stays_BN[:, :, None]).amax(dim=1)
    return stays_BN


def best_pairs(boxes_BNS4: Tensor, scores_BNC: Tensor) -> Tensor:
    """Return the best pairs of a box and a class as candidates, best first, (B, K, 6).

    Args:
        boxes_BNS4: S is C if each class has a box of its own, else 1.
    """
    classes = scores_BNC.shape[2]
    scores_BP = scores_BNC.flatten(1)
    best_BK, places_BK = scores_BP.topk(min(CANDIDATES, scores_BP.shape[1]), dim=1)
    labels_BK = places_BK % classes
    owners_BK = places_BK if boxes_BNS4.shape[2] > 1 else torch.div(places_BK, classes, rounding_mode="floor")
    boxes_BK4 = boxes_BNS4.flatten(1, 2).gather(1, owners_BK[..., None].expand(-1, -1, 4))
    return torch.cat([boxes_BK4, best_BK[..., None], labels_BK[..., None].to(best_BK.dtype)], dim=2)
