"""YOLO: a one-stage detector without anchors, which answers at every point of three maps.

    backbone → maps of strides 8, 16, 32 → neck → at each point: C class logits, and 4 distributions of R distances

A point at p answers with the box (p − s·d_left,top , p + s·d_right,bottom): s is the stride of its map, and each
distance d = Σ k·softmax_k is the mean of a distribution over 0…R-1 strides.

Papers: Redmon et al., "You Only Look Once", CVPR 2016, arXiv:1506.02640; points without anchors and two branches of the
head as Ge et al., "YOLOX", arXiv:2107.08430; distributions of distances as Li et al., "Generalized Focal Loss",
arXiv:2006.04388; assignment as Feng et al., "TOOD", arXiv:2108.07755 (`parts/assignment.py`); backbone and neck as in
`parts/csp.py`; a first bias for rare objects as Lin et al., "Focal Loss", arXiv:1708.02002; a second branch of one
point an object as Wang et al., "YOLOv10", arXiv:2405.14458.
Deviations: in the first steps, in which predictions are noise, points are ranked by the overlap of a fixed square
around them; the branch of one point an object has a class score and a box of its own, and learns only its own layers.

Shapes: B batch, C channels or classes, H W height and width, M objects of a picture, G of all pictures, A points,
P points that learn an object, R bins of a distance, K candidates.
"""

import math
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it

from sightsmith.nets.parts.assignment import Objects, Positives, Seen, assign, objects_of
from sightsmith.nets.parts.box_losses import complete_iou, distribution_loss
from sightsmith.nets.parts.checks import at_least, multiples
from sightsmith.nets.parts.csp import Backbone, Neck, conv
from sightsmith.nets.parts.detector import CANDIDATES, DETECTOR, DetectorNet
from sightsmith.nets.parts.grid import Grid
from sightsmith.nets.parts.timm_features import TimmFeatures, timm_features

PAPER = "Redmon et al., You Only Look Once, arXiv:1506.02640; Feng et al., TOOD, arXiv:2108.07755"
LICENCE = "Apache-2.0"
FAMILY = DETECTOR

_STRIDES = (8, 16, 32)
_SIZES = {
    "n": ((16, 32, 64, 128, 256), (1, 2, 2, 1)),
    "s": ((32, 64, 128, 256, 512), (1, 2, 2, 1)),
    "m": ((48, 96, 192, 384, 576), (2, 4, 4, 2)),
}  # feature maps at strides 2 to 32, and blocks at strides 4 to 32
_RARE = 0.01  # First score of every class: most points see no object
_TOP, _TOP_SINGLE = 10, 7  # Points of an object; of the second branch, of which the best one stays
_SQUARE = 6.0  # Strides of the squares by which the first steps assign; the usual object of a map is as large
_CLASS, _BOX, _DISTRIBUTION, _L1 = 0.5, 7.5, 1.5, 6.0  # Weights of the parts of the loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the detector."""

    size: Literal["n", "s", "m"] = "n"
    """Width and depth: n (about 3 million parameters), s (11) or m (26)."""
    backbone: str = ""
    """A convolutional net of timm whose maps replace those of the net's own backbone, such as resnet18."""
    reg_max: int = 16
    """Bins of the distribution of a distance, so boxes reach at most as many strides, less one, from a point; 1: no
    distribution, the distance itself. ≥ 1."""
    one_to_one: bool = False
    """Also train a branch that gives each object one point, and answer with it, so that nothing need be suppressed;
    usually a little less accurate."""
    cold_steps: int = 100
    """First steps of training, in which points are assigned by their places alone. ≥ 0."""

    def __post_init__(self) -> None:
        at_least("yolo.reg_max", self.reg_max, 1)
        at_least("yolo.cold_steps", self.cold_steps, 0)


class Head(nn.Module):
    """Gives the class logits and the distances of every point, in two branches of convolutions for each map."""

    def __init__(self, widths: tuple[int, ...], classes: int, reg_max: int) -> None:
        super().__init__()
        self.reg_max, self.classes = reg_max, classes
        box_width = max(16, widths[0] // 4, 4 * min(reg_max, 16))
        class_width = max(widths[0], min(classes, 100))
        self.boxes = nn.ModuleList(_branch(width, box_width, _last(box_width, 4 * reg_max)) for width in widths)
        rare = -math.log((1 - _RARE) / _RARE)
        self.scores = nn.ModuleList(
            _branch(width, class_width, _last(class_width, classes, bias=rare)) for width in widths
        )

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the logits (B, A, C), and the distances' logits (B, A, 4·R), finest map first, float32."""
        logits = [_points_last(branch(one)) for branch, one in zip(self.scores, maps, strict=True)]
        distances = [_points_last(branch(one)) for branch, one in zip(self.boxes, maps, strict=True)]
        return torch.cat(logits, dim=1).float(), torch.cat(distances, dim=1).float()


def _branch(channels: int, features: int, last: nn.Module) -> nn.Sequential:
    return nn.Sequential(conv(channels, features, 3), conv(features, features, 3), last)


def _last(features: int, outputs: int, bias: float | None = None) -> nn.Conv2d:
    """Return a 1×1 convolution, whose biases are `bias` if one is given."""
    layer = nn.Conv2d(features, outputs, 1)
    if bias is not None:
        nn.init.constant_(cast("Tensor", layer.bias), bias)
    return layer


def _points_last(map_BChw: Tensor) -> Tensor:
    return map_BChw.permute(0, 2, 3, 1).flatten(1, 2)


class Yolo(DetectorNet):
    """The detector for one size of input and some classes."""

    def __init__(self, settings: Settings, *, channels: int, classes: int, height: int, width: int) -> None:
        super().__init__()
        self.settings = settings
        self.suppresses = not settings.one_to_one
        widths, depths = _SIZES[settings.size]
        self.backbone: Backbone | TimmFeatures
        if settings.backbone:
            self.backbone = timm_features(settings.backbone, channels, _STRIDES, height=height, width=width)
        else:
            self.backbone = Backbone(channels, widths, depths)
        self.neck = Neck(self.backbone.features, widths[2:], depths[0])
        self.head = Head(widths[2:], classes, settings.reg_max)
        self.single_head = Head(widths[2:], classes, settings.reg_max) if settings.one_to_one else None
        self.grid = Grid(height, width, _STRIDES)

    @property
    def _reach(self) -> float:
        """Strides from a point to the furthest edge of its box."""
        return self.settings.reg_max - 1.01 if self.settings.reg_max > 1 else float("inf")

    def losses(self, images_BCHW: Tensor, targets_BM6: Tensor, step: int) -> dict[str, Tensor]:
        maps = self.neck(self.backbone(images_BCHW))
        parts = self._losses_of(self.head, maps, targets_BM6, step, _TOP, single=False)
        if self.single_head is not None:
            # AdamW's steps do not depend on the scale of a loss, and these layers have no other: it needs no weight
            still = [one.detach() for one in maps]
            single = self._losses_of(self.single_head, still, targets_BM6, step, _TOP_SINGLE, single=True)
            parts |= {f"single_{name}": part for name, part in single.items()}
        return parts

    def detect(self, images_BCHW: Tensor) -> Tensor:
        head = self.head if self.single_head is None else self.single_head
        logits_BAC, distances_BAF = head(self.neck(self.backbone(images_BCHW)))
        best_BA, labels_BA = logits_BAC.max(dim=2)
        best_BK, places_BK = best_BA.topk(min(CANDIDATES, len(self.grid)), dim=1)
        chosen_BKF = places_BK[..., None].expand(-1, -1, distances_BAF.shape[2])
        boxes_BK4 = _boxes(
            self._distances(distances_BAF.gather(1, chosen_BKF)),
            self.grid.points_A2[places_BK],
            self.grid.strides_A[places_BK],
        )
        labels_BK = labels_BA.gather(1, places_BK)
        return torch.cat([boxes_BK4, best_BK.sigmoid()[..., None], labels_BK[..., None].float()], dim=2)

    def head_parts(self) -> tuple[str, ...]:
        return tuple(f"{name}.scores" for name in ("head", "single_head") if getattr(self, name) is not None)

    def feature_net(self) -> nn.Module:
        backbone = self.backbone
        return backbone.net if isinstance(backbone, TimmFeatures) else backbone

    def _distances(self, logits: Tensor) -> Tensor:
        """Return the four distances in strides, (…, 4), of logits (…, 4·R)."""
        if self.settings.reg_max == 1:
            return F.softplus(logits)
        bins_R = torch.arange(self.settings.reg_max, dtype=torch.float32, device=logits.device)
        return (torch.unflatten(logits, -1, (4, self.settings.reg_max)).softmax(dim=-1) * bins_R).sum(dim=-1)

    def _losses_of(
        self, head: nn.Module, maps: list[Tensor], targets_BM6: Tensor, step: int, top: int, *, single: bool
    ) -> dict[str, Tensor]:
        logits_BAC, distances_BAF = head(maps)
        with torch.autocast(logits_BAC.device.type, enabled=False):
            objects, ignored = objects_of(targets_BM6)
            seen = self._seen(logits_BAC, distances_BAF, cold=step < self.settings.cold_steps)
            positives = assign(objects, self.grid, seen, reach=self._reach, top=top, single=single)
            total = positives.targets_P.sum().clamp(min=1.0)
            parts = self._box_losses(distances_BAF, objects, positives)
            parts["class"] = _CLASS * self._class_loss(logits_BAC, objects, ignored, positives)
            return {name: part / total for name, part in parts.items()}

    @torch.no_grad()
    def _seen(self, logits_BAC: Tensor, distances_BAF: Tensor, *, cold: bool) -> Seen:
        """Return what points are ranked by: the answers, or in the first steps, in which they are noise, squares."""
        if cold:
            return Seen(self.grid.squares(_SQUARE).expand(len(logits_BAC), -1, -1), None)
        boxes_BA4 = _boxes(self._distances(distances_BAF), self.grid.points_A2, self.grid.strides_A)
        return Seen(boxes_BA4, logits_BAC.sigmoid())

    def _box_losses(self, distances_BAF: Tensor, objects: Objects, positives: Positives) -> dict[str, Tensor]:
        """Return the losses of the boxes, sums over the points; 0 with a gradient if there is no object."""
        points_P2, strides_P = self.grid.points_A2[positives.points_P], self.grid.strides_A[positives.points_P]
        logits_PF = distances_BAF[positives.pictures_P, positives.points_P]
        distances_P4, true_P4 = self._distances(logits_PF), objects.boxes_G4[positives.objects_P]
        boxes_P4 = _boxes(distances_P4, points_P2, strides_P)
        wanted_P4 = torch.cat([points_P2 - true_P4[:, :2], true_P4[:, 2:] - points_P2], dim=1) / strides_P[:, None]
        weights_P = positives.targets_P
        parts = {"box": _BOX * (weights_P * (1 - complete_iou(boxes_P4, true_P4))).sum()}
        if self.settings.reg_max == 1:
            off_P = (distances_P4 - wanted_P4.clamp(min=0)).abs().mean(dim=1)
            return parts | {"distance": _L1 * (weights_P * off_P).sum()}
        far_P = distribution_loss(torch.unflatten(logits_PF, 1, (4, self.settings.reg_max)), wanted_P4)
        return parts | {"distance": _DISTRIBUTION * (weights_P * far_P).sum()}

    def _class_loss(self, logits_BAC: Tensor, objects: Objects, ignored: Objects, positives: Positives) -> Tensor:
        """Return the binary cross-entropy of all points and classes, a sum.

        It is softplus(z) − z·target; the target is 0 but for the class of a point's object. Points inside ignored
        objects that learn none count for nothing.
        """
        each_BA = F.softplus(logits_BAC).sum(dim=2)
        if len(ignored):
            counts_BA = torch.ones_like(each_BA)
            inside_GA = self.grid.inside(ignored.boxes_G4, float("inf"))
            places_I, points_I = inside_GA.nonzero(as_tuple=True)
            counts_BA[ignored.pictures_G[places_I], points_I] = 0
            counts_BA[positives.pictures_P, positives.points_P] = 1
            each_BA = each_BA * counts_BA
        labels_P = objects.labels_G[positives.objects_P]
        own_P = logits_BAC[positives.pictures_P, positives.points_P, labels_P]
        return each_BA.sum() - (own_P * positives.targets_P).sum()


def _boxes(distances: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """Return the boxes (…, 4) in pixels, of distances (…, 4) in strides from points (…, 2) of maps of those strides."""
    pixels = distances * strides[..., None]
    return torch.cat([points - pixels[..., :2], points + pixels[..., 2:]], dim=-1)


def build(settings: Settings, *, channels: int, classes: int, height: int, width: int) -> Yolo:
    """Build the net. Raises SettingsError: a side is not a multiple of 32, or timm has no such backbone."""
    multiples("yolo", _STRIDES[-1], height, width)
    return Yolo(settings, channels=channels, classes=classes, height=height, width=width)
