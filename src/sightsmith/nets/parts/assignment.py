"""Which points of a detector learn which object: task-aligned assignment.

Paper: Feng et al., "TOOD: Task-aligned One-stage Object Detection", ICCV 2021, arXiv:2108.07755, section 3.2: a point
is ranked for an object by t = p^α·u^β, p being its score for the object's class and u the overlap of its box.
Deviations: u is the complete IoU, negative ones being 0 (theirs IoU), α = .5 (theirs 1); points are candidates if they
are inside the box; a point that two objects want goes to the one that its box overlaps more.

Shapes: B pictures, G objects of all pictures, A points of a picture, C classes, P pairs of an object and a point,
Q of them chosen; 4 = (left, top, right, bottom) in pixels of the input.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sightsmith.nets.parts.box_losses import complete_iou
from sightsmith.nets.parts.grid import Grid

_ALPHA, _BETA = 0.5, 6.0
_TOP = 10
_TINY = 1e-18  # Ranks are sixth powers of overlaps


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """The objects of a batch in one list."""

    pictures_G: Tensor  # the picture of each, int64
    boxes_G4: Tensor  # float32
    labels_G: Tensor  # int64

    def __len__(self) -> int:
        return len(self.labels_G)


@dataclass(frozen=True, slots=True, eq=False)
class Positives:
    """The points that learn an object; every other point learns that there is none."""

    pictures_P: Tensor
    points_P: Tensor
    objects_P: Tensor
    targets_P: Tensor  # the score that each learns, t̂ in 0…1: its rank, scaled to the best overlap of its object


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The net's answers by which points are ranked, of all points; float32 without a gradient."""

    boxes_BA4: Tensor
    scores_BAC: Tensor | None  # 0…1; None if only the boxes count


def objects_of(targets_BM6: Tensor) -> tuple[Objects, Objects]:
    """Return the objects to learn, and those to ignore, of targets whose rows with the label -1 fill up."""
    real_BM = targets_BM6[:, :, 4] >= 0
    learned_BM = real_BM & (targets_BM6[:, :, 5] == 0)
    return _listed(targets_BM6, learned_BM), _listed(targets_BM6, real_BM & ~learned_BM)


def _listed(targets_BM6: Tensor, chosen_BM: Tensor) -> Objects:
    pictures_G, places_G = chosen_BM.nonzero(as_tuple=True)
    rows_G6 = targets_BM6[pictures_G, places_G].float()
    return Objects(pictures_G, rows_G6[:, :4], rows_G6[:, 4].long())


def assign(
    objects: Objects, grid: Grid, seen: Seen, *, reach: float, top: int = _TOP, single: bool = False
) -> Positives:
    """Give each object up to `top` points, and at least one, unless another object wants the same one alone.

    Args:
        reach: strides from a point to the furthest edge that its box can have.
        single: of those points only the best one stays.
    """
    objects_P, points_P = _candidates(objects.boxes_G4, grid, reach)
    pictures_P = objects.pictures_G[objects_P]
    boxes_P4 = seen.boxes_BA4[pictures_P, points_P]
    overlaps_P = complete_iou(boxes_P4, objects.boxes_G4[objects_P]).clamp(min=0)
    ranks_P = overlaps_P**_BETA
    if seen.scores_BAC is not None:
        ranks_P = ranks_P * seen.scores_BAC[pictures_P, points_P, objects.labels_G[objects_P]] ** _ALPHA
    keys_P = pictures_P * len(grid) + points_P
    chosen_Q = _best(ranks_P, objects_P, len(objects), top)
    chosen_Q = chosen_Q[_best_of_key(overlaps_P[chosen_Q], keys_P[chosen_Q])]
    chosen_Q = _with_the_lost(chosen_Q, ranks_P, objects_P, keys_P, len(objects))
    if single:
        chosen_Q = chosen_Q[_best(ranks_P[chosen_Q], objects_P[chosen_Q], len(objects), 1)]
    objects_Q, ranks_Q, overlaps_Q = objects_P[chosen_Q], ranks_P[chosen_Q], overlaps_P[chosen_Q]
    shares_Q = ranks_Q / (_most(ranks_Q, objects_Q, len(objects)) + _TINY)
    targets_Q = shares_Q * _most(overlaps_Q, objects_Q, len(objects))
    return Positives(pictures_P[chosen_Q], points_P[chosen_Q], objects_Q, targets_Q)


def _candidates(boxes_G4: Tensor, grid: Grid, reach: float) -> tuple[Tensor, Tensor]:
    """Return the pairs of an object and a point inside it; an object without one gets the nearest."""
    inside_GA = grid.inside(boxes_G4, reach)
    (alone_E,) = (~inside_GA.any(dim=1)).nonzero(as_tuple=True)
    if len(alone_E):
        inside_GA[alone_E, grid.nearest(boxes_G4[alone_E], reach)] = True
    objects_P, points_P = inside_GA.nonzero(as_tuple=True)
    return objects_P, points_P


def _best(values_P: Tensor, groups_P: Tensor, count: int, top: int) -> Tensor:
    """Return the places of the `top` largest values of each of `count` groups; of equal values the first."""
    order_P = values_P.argsort(descending=True, stable=True)
    order_P = order_P[groups_P[order_P].argsort(stable=True)]
    sizes_G = torch.bincount(groups_P, minlength=count)
    starts_G = sizes_G.cumsum(0) - sizes_G
    ranks_P = torch.arange(len(order_P), device=order_P.device) - starts_G[groups_P[order_P]]
    return order_P[ranks_P < top]


def _best_of_key(values_P: Tensor, keys_P: Tensor) -> Tensor:
    """Return the place of the largest value of each key."""
    distinct_K, groups_P = torch.unique(keys_P, return_inverse=True)
    return _best(values_P, groups_P, len(distinct_K), 1)


def _with_the_lost(chosen_Q: Tensor, ranks_P: Tensor, objects_P: Tensor, keys_P: Tensor, count: int) -> Tensor:
    """Return the chosen pairs, in which objects that lost all their points have their best one back."""
    lost_G = torch.bincount(objects_P[chosen_Q], minlength=count) == 0
    if not bool(lost_G.any()):
        return chosen_Q
    (theirs_T,) = lost_G[objects_P].nonzero(as_tuple=True)
    back_L = theirs_T[_best(ranks_P[theirs_T], objects_P[theirs_T], count, 1)]
    back_L = back_L[_best_of_key(ranks_P[back_L], keys_P[back_L])]  # equal boxes want the same point
    stay_Q = ~torch.isin(keys_P[chosen_Q], keys_P[back_L])
    return torch.cat([chosen_Q[stay_Q], back_L])


def _most(values_P: Tensor, groups_P: Tensor, count: int) -> Tensor:
    """Return for each value the largest of its group, (P,)."""
    most_G = torch.zeros(count, dtype=values_P.dtype, device=values_P.device)
    return most_G.scatter_reduce(0, groups_P, values_P, "amax", include_self=False)[groups_P]
